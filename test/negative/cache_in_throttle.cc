// refused: Cache inside of Throttle: what it knows would count as accepted by the backend; put
// Cache outside of Throttle
#include "holdfast/cache.h"
#include "holdfast/stack.h"
#include "holdfast/throttle.h"

auto Make() {
  const holdfast::Cache<absl::Status> cache({.ttl = std::chrono::seconds(1)});
  const holdfast::Throttle guard(holdfast::Throttler::Options{});
#ifdef WRONG_ORDER
  return holdfast::Stack(guard, cache);
#else
  return holdfast::Stack(cache, guard);
#endif
}
