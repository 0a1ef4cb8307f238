// Rate limits: token buckets, for all calls or for each key, pacing, and sampling of what is
// frequent.
#ifndef HOLDFAST_RATE_H_
#define HOLDFAST_RATE_H_

#include "holdfast/rate/keyed_rate_limit.h"    // IWYU pragma: export
#include "holdfast/rate/keyed_token_bucket.h"  // IWYU pragma: export
#include "holdfast/rate/pace.h"                // IWYU pragma: export
#include "holdfast/rate/pacer.h"               // IWYU pragma: export
#include "holdfast/rate/rate_limit.h"          // IWYU pragma: export
#include "holdfast/rate/reservation.h"         // IWYU pragma: export
#include "holdfast/rate/sometimes.h"           // IWYU pragma: export
#include "holdfast/rate/token_bucket.h"        // IWYU pragma: export

#endif  // HOLDFAST_RATE_H_
