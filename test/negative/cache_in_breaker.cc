// refused: Cache inside of CircuitBreak: the breaker would count what it knows as successes of the
// service, and refuse what needs no service; put Cache outside of CircuitBreak
#include "holdfast/cache.h"
#include "holdfast/circuit_break.h"
#include "holdfast/stack.h"

auto Make() {
  const holdfast::Cache<absl::Status> cache({.ttl = std::chrono::seconds(1)});
  const holdfast::CircuitBreak breaker(holdfast::CircuitBreaker::Options{});
#ifdef WRONG_ORDER
  return holdfast::Stack(breaker, cache);
#else
  return holdfast::Stack(cache, breaker);
#endif
}
