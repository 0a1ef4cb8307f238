// What a Timeout is made of.
#include "holdfast/timeout/timeout.h"

#include <chrono>
#include <memory>

#include "holdfast/base/thread_pool.h"
#include "holdfast/timeout/adaptive_timeout.h"
#include "test/support/catch.h"

namespace holdfast::timeout_test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("a timeout without a limit says what is missing") {
  const auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{});
  CHECK_THROWS_WITH(Timeout({}), "Timeout: limit must be > 0; it has no default");
  CHECK_THROWS_WITH(Timeout({}, pool), "Timeout: limit must be > 0; it has no default");
  CHECK_THROWS_WITH(Timeout(-1s), "Timeout: limit must be > 0; it has no default");
  CHECK_THROWS_AS(Timeout(std::shared_ptr<Settings<TimeoutOptions>>()), std::invalid_argument);
  CHECK(Timeout(1s).LimitAt({}) == Duration(1s));
  const auto settings = std::make_shared<Settings<TimeoutOptions>>(TimeoutOptions{.limit = 2s});
  CHECK(Timeout(settings).LimitAt({}) == Duration(2s));
  CHECK(Timeout(settings, pool).LimitAt({}) == Duration(2s));
}

TEST_CASE("an adaptive timeout with default options allows ten seconds until it has learned") {
  CHECK(AdaptiveTimeout({}).LimitAt({}) == Duration(10s));
}

}  // namespace
}  // namespace holdfast::timeout_test
