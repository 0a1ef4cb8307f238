// Time, waiting, threads, statuses and results: what needs no call.
#ifndef HOLDFAST_BASE_H_
#define HOLDFAST_BASE_H_

#include "holdfast/base/backoff.h"      // IWYU pragma: export
#include "holdfast/base/error.h"        // IWYU pragma: export
#include "holdfast/base/priority.h"     // IWYU pragma: export
#include "holdfast/base/rejection.h"    // IWYU pragma: export
#include "holdfast/base/result.h"       // IWYU pragma: export
#include "holdfast/base/settings.h"     // IWYU pragma: export
#include "holdfast/base/stop_token.h"   // IWYU pragma: export
#include "holdfast/base/thread_pool.h"  // IWYU pragma: export
#include "holdfast/base/time.h"         // IWYU pragma: export
#include "holdfast/base/timer.h"        // IWYU pragma: export
#include "holdfast/base/waker.h"        // IWYU pragma: export

#endif  // HOLDFAST_BASE_H_
