#include "holdfast/base/priority.h"

#include <absl/status/statusor.h>

#include <chrono>
#include <memory>
#include <vector>

#include "holdfast/base/thread_pool.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"

namespace holdfast::priority_test {
namespace {

TEST_CASE("A call says how much it matters to what is below, in stacks within stacks as well") {
  std::vector<Priority> seen;
  const auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{});
  const auto inner = Stack(Timeout(std::chrono::seconds(1))).Around([&](Call& call) {
    seen.push_back(call.priority());
    return absl::StatusOr<int>(1);
  });
  const auto outer = Stack(Retry({}), Timeout(std::chrono::seconds(1), pool)).Around(inner);
  REQUIRE(outer().ok());
  REQUIRE(outer.With({.priority = Priority::kCritical}).ok());
  CHECK(seen == std::vector{Priority::kNormal, Priority::kCritical});
}

TEST_CASE("Priorities have an order and names") {
  CHECK(Priority::kSheddable < Priority::kLow);
  CHECK(Priority::kLow < Priority::kNormal);
  CHECK(Priority::kNormal < Priority::kCritical);
  CHECK(ToString(Priority::kSheddable) == "sheddable");
  CHECK(ToString(Priority::kCritical) == "critical");
}

}  // namespace
}  // namespace holdfast::priority_test
