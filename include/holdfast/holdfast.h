// All of Holdfast's core: policies, policy objects, and the Stack that puts them around a call.
#ifndef HOLDFAST_HOLDFAST_H_
#define HOLDFAST_HOLDFAST_H_

#include "holdfast/base.h"         // IWYU pragma: export
#include "holdfast/breaker.h"      // IWYU pragma: export
#include "holdfast/cache.h"        // IWYU pragma: export
#include "holdfast/call.h"         // IWYU pragma: export
#include "holdfast/concurrency.h"  // IWYU pragma: export
#include "holdfast/driver.h"       // IWYU pragma: export
#include "holdfast/fallback.h"     // IWYU pragma: export
#include "holdfast/hedge.h"        // IWYU pragma: export
#include "holdfast/rate.h"         // IWYU pragma: export
#include "holdfast/retry.h"        // IWYU pragma: export
#include "holdfast/stack.h"        // IWYU pragma: export
#include "holdfast/throttle.h"     // IWYU pragma: export
#include "holdfast/timeout.h"      // IWYU pragma: export
#include "holdfast/version.h"      // IWYU pragma: export

#endif  // HOLDFAST_HOLDFAST_H_
