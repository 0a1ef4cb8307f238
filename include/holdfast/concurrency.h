// Limits of concurrent calls: semaphore, bulkhead, adaptive limit.
#ifndef HOLDFAST_CONCURRENCY_H_
#define HOLDFAST_CONCURRENCY_H_

#include "holdfast/concurrency/adaptive_limit.h"    // IWYU pragma: export
#include "holdfast/concurrency/adaptive_limiter.h"  // IWYU pragma: export
#include "holdfast/concurrency/bulkhead.h"          // IWYU pragma: export
#include "holdfast/concurrency/limit_algorithm.h"   // IWYU pragma: export
#include "holdfast/concurrency/semaphore.h"         // IWYU pragma: export

#endif  // HOLDFAST_CONCURRENCY_H_
