// Whether a wait is short enough.
#ifndef HOLDFAST_SRC_RATE_IN_TIME_H_
#define HOLDFAST_SRC_RATE_IN_TIME_H_

#include "holdfast/base/time.h"

namespace holdfast::internal {

// `at`: when it would end; TimePoint::max() for never, which is too late for anybody.
inline bool InTime(TimePoint at, TimePoint now, Duration max_wait) {
  return at != TimePoint::max() && SaturatingSub(at, now) <= max_wait;
}

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_RATE_IN_TIME_H_
