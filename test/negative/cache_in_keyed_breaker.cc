// refused: a Cache is inside of a policy that counts calls or measures how long they take (Hedge,
// CircuitBreak, KeyedCircuitBreak, AdaptiveThrottle, AdaptiveLimit): that policy would count what
// the Cache knows as an answer of the service; put the Cache outside of it
#include "holdfast/breaker/keyed_circuit_break.h"
#include "holdfast/cache/cache.h"
#include "holdfast/stack/stack.h"

auto Make() {
  const holdfast::Cache<absl::Status> cache({.ttl = std::chrono::seconds(1)});
  const holdfast::KeyedCircuitBreak breaker(holdfast::KeyedCircuitBreaker::Options{});
#ifdef WRONG_ORDER
  return holdfast::Stack(breaker, cache);
#else
  return holdfast::Stack(cache, breaker);
#endif
}
