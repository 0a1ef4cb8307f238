// Retry, its options, its budget, and the pause that shares a Retry-After.
#ifndef HOLDFAST_RETRY_H_
#define HOLDFAST_RETRY_H_

#include "holdfast/retry/nested_retry.h"     // IWYU pragma: export
#include "holdfast/retry/retry.h"            // IWYU pragma: export
#include "holdfast/retry/retry_budget.h"     // IWYU pragma: export
#include "holdfast/retry/retry_options.h"    // IWYU pragma: export
#include "holdfast/retry/retry_pause.h"      // IWYU pragma: export
#include "holdfast/retry/retry_transient.h"  // IWYU pragma: export

#endif  // HOLDFAST_RETRY_H_
