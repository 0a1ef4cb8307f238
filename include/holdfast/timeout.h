// Timeout, AdaptiveTimeout, and the LatencyQuantile that it learns from.
#ifndef HOLDFAST_TIMEOUT_H_
#define HOLDFAST_TIMEOUT_H_

#include "holdfast/timeout/adaptive_timeout.h"  // IWYU pragma: export
#include "holdfast/timeout/latency_quantile.h"  // IWYU pragma: export
#include "holdfast/timeout/timeout.h"           // IWYU pragma: export

#endif  // HOLDFAST_TIMEOUT_H_
