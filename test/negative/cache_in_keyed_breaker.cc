// refused: Cache inside of KeyedCircuitBreak: the breakers would count what it knows as successes
// of the service, and refuse what needs no service; put Cache outside of KeyedCircuitBreak
#include "holdfast/cache.h"
#include "holdfast/keyed_circuit_break.h"
#include "holdfast/stack.h"

auto Make() {
  const holdfast::Cache<absl::Status> cache({.ttl = std::chrono::seconds(1)});
  const holdfast::KeyedCircuitBreak breaker(holdfast::KeyedCircuitBreaker::Options{});
#ifdef WRONG_ORDER
  return holdfast::Stack(breaker, cache);
#else
  return holdfast::Stack(cache, breaker);
#endif
}
