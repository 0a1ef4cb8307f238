// refused: Cache inside of Hedge: what is sent again would wait for what was sent first, as who
// asks for the same key does; put Cache outside of Hedge
#include "holdfast/cache.h"
#include "holdfast/hedge.h"
#include "holdfast/stack.h"

auto Make() {
  const holdfast::Cache<absl::Status> cache({.ttl = std::chrono::seconds(1)});
  const holdfast::Hedge hedge({});
#ifdef WRONG_ORDER
  return holdfast::Stack(hedge, cache);
#else
  return holdfast::Stack(cache, hedge);
#endif
}
