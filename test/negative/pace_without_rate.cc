// refused: Pace({}) has no rate: write Pace({.rate = 100}), in calls per second
#include "holdfast/rate/pace.h"

auto Make() {
#ifdef WRONG_ORDER
  return holdfast::Pace({});
#else
  return holdfast::Pace({.rate = 100});
#endif
}
