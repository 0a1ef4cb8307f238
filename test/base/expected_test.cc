// With C++23, std::expected as it is.
#include <version>

#ifdef __cpp_lib_expected

#include <absl/status/status.h>

#include <expected>
#include <memory>
#include <system_error>

#include "holdfast/holdfast.h"
#include "holdfast/testing.h"
#include "test/support/catch.h"

namespace holdfast::expected_test {
namespace {

TEST_CASE("std::expected is a result") {
  testing::FakeClock clock;
  int calls = 0;
  const auto call = Stack(Retry({})).Around(
      [&]() -> std::expected<std::unique_ptr<int>, std::error_code> {
        if (++calls < 3) return std::unexpected(std::make_error_code(std::errc::timed_out));
        return std::make_unique<int>(5);
      },
      &clock);
  CHECK(**call() == 5);
  CHECK(calls == 3);

  const auto refused =
      Stack(Retry({.max_attempts = 1})).Around([]() -> std::expected<void, absl::Status> {
        return std::unexpected(absl::InternalError("broken"));
      });
  CHECK(refused().error() == absl::InternalError("broken"));
}

}  // namespace
}  // namespace holdfast::expected_test

#endif
