// Adaptive throttling at the client.
#ifndef HOLDFAST_THROTTLE_H_
#define HOLDFAST_THROTTLE_H_

#include "holdfast/throttle/adaptive_throttle.h"   // IWYU pragma: export
#include "holdfast/throttle/adaptive_throttler.h"  // IWYU pragma: export

#endif  // HOLDFAST_THROTTLE_H_
