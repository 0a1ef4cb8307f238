// refused: RateLimit({}) has no rate: write RateLimit({.rate = 100}), in tokens per second
#include "holdfast/rate/rate_limit.h"

auto Make() {
#ifdef WRONG_ORDER
  return holdfast::RateLimit({});
#else
  return holdfast::RateLimit({.rate = 100});
#endif
}
