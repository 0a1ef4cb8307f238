#include "src/http/keep_alive.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "test/support/catch.h"

namespace holdfast::http::internal::keep_alive_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

TEST_CASE("Keep-Alive says how long and how often a connection can be used") {
  const auto [value, timeout, requests] =
      GENERATE(table<std::string, std::optional<Duration>, std::optional<std::int64_t>>({
          {"timeout=5", 5s, std::nullopt},
          {"timeout=5, max=100", 5s, 100},
          {" Max=0 ,TIMEOUT = 7", 7s, 0},
          {"timeout=4294967295", 4294967295s, std::nullopt},
          {"timeout=4294967296, max=2", std::nullopt, 2},
          {"timeout=-1, max=-1", std::nullopt, std::nullopt},
          {"timeout=+5", std::nullopt, std::nullopt},
          {"timeout=5s", std::nullopt, std::nullopt},
          {"timeout", std::nullopt, std::nullopt},
          {"timeout=\"5\"", std::nullopt, std::nullopt},
          {"", std::nullopt, std::nullopt},
          {",,=,", std::nullopt, std::nullopt},
      }));
  CAPTURE(value);
  const KeepAliveHint hint = ParseKeepAlive(value);
  CHECK(hint.timeout == timeout);
  CHECK(hint.requests == requests);
}

}  // namespace
}  // namespace holdfast::http::internal::keep_alive_test
