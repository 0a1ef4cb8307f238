// refused: a Cache is inside of a policy that counts calls or measures how long they take (Hedge,
// CircuitBreak, KeyedCircuitBreak, AdaptiveThrottle, AdaptiveLimit): that policy would count what
// the Cache knows as an answer of the service; put the Cache outside of it
#include "holdfast/cache/cache.h"
#include "holdfast/hedge/hedge.h"
#include "holdfast/stack/stack.h"

auto Make() {
  const holdfast::Cache<absl::Status> cache({.ttl = std::chrono::seconds(1)});
  const holdfast::Hedge hedge({});
#ifdef WRONG_ORDER
  return holdfast::Stack(hedge, cache);
#else
  return holdfast::Stack(cache, hedge);
#endif
}
