// refused: Cache inside of AdaptiveLimit: what it knows would count as the latency of the service;
// put Cache outside of AdaptiveLimit
#include "holdfast/adaptive_limit.h"
#include "holdfast/cache.h"
#include "holdfast/stack.h"

auto Make() {
  const holdfast::Cache<absl::Status> cache({.ttl = std::chrono::seconds(1)});
  const holdfast::AdaptiveLimit guard(holdfast::AdaptiveLimiter::Options{});
#ifdef WRONG_ORDER
  return holdfast::Stack(guard, cache);
#else
  return holdfast::Stack(cache, guard);
#endif
}
