// refused: a Cache is inside of a policy that counts calls or measures how long they take (Hedge,
// CircuitBreak, KeyedCircuitBreak, AdaptiveThrottle, AdaptiveLimit): that policy would count what
// the Cache knows as an answer of the service; put the Cache outside of it
#include "holdfast/cache/cache.h"
#include "holdfast/stack/stack.h"
#include "holdfast/throttle/adaptive_throttle.h"

auto Make() {
  const holdfast::Cache<absl::Status> cache({.ttl = std::chrono::seconds(1)});
  const holdfast::AdaptiveThrottle guard(holdfast::AdaptiveThrottler::Options{});
#ifdef WRONG_ORDER
  return holdfast::Stack(guard, cache);
#else
  return holdfast::Stack(cache, guard);
#endif
}
