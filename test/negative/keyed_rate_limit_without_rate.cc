// refused: KeyedRateLimit({}) has no rate: write KeyedRateLimit({.limits = {.rate = 100}}), in
// tokens per second for each key
#include "holdfast/rate/keyed_rate_limit.h"

auto Make() {
#ifdef WRONG_ORDER
  return holdfast::KeyedRateLimit({});
#else
  return holdfast::KeyedRateLimit({.limits = {.rate = 100}});
#endif
}
