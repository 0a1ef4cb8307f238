// An Update that is prepared needs no memory; so UpdateAll can make all of its changes.
#include <memory>
#include <string>
#include <utility>

#include "holdfast/holdfast.h"
#include "test/support/allocations.h"
#include "test/support/catch.h"

namespace holdfast::update_memory_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using testing::WithoutMemory;

template <class Object>
void NeedsNone(Object& object, typename Object::Options next) {
  auto prepared = object.PrepareUpdate(std::move(next));
  REQUIRE(prepared.ok());
  CHECK(WithoutMemory([&] { std::move (*prepared)(); }));
}

TEST_CASE("what an object has prepared it changes without memory") {
  const std::string name(100, 'n');
  TokenBucket bucket({.rate = 1, .burst = 1, .name = name});
  NeedsNone(bucket, {.rate = 2, .burst = 3});
  CHECK(bucket.options().burst == 3);
  Semaphore semaphore({.limit = 1, .name = name});
  NeedsNone(semaphore, {.limit = 2});
  CHECK(semaphore.limit() == 2);
  Pacer pacer({.rate = 1, .name = name});
  NeedsNone(pacer, {.rate = 2});
  CHECK(pacer.rate() == 2);
  RetryBudget budget({.name = name});
  NeedsNone(budget, {.capacity = 7});
  CHECK(budget.options().capacity == 7);
  LatencyQuantile latencies({.name = name});
  NeedsNone(latencies, {.quantile = 0.5});
  CHECK(latencies.quantile() == 0.5);
  AdaptiveThrottler throttler({.name = name});
  NeedsNone(throttler, {.k = 3, .window = 1s, .buckets = 100});
  CHECK(throttler.options().k == 3);
  AdaptiveLimiter limiter({.name = name});
  NeedsNone(limiter, {.initial = 5, .minimum = 1, .maximum = 10});
  CHECK(limiter.limit() <= 10);
  Settings<RetryOptions> retry({.max_attempts = 2});
  NeedsNone(retry, {.max_attempts = 3});
  CHECK(retry.options().max_attempts == 3);
}

}  // namespace
}  // namespace holdfast::update_memory_test
