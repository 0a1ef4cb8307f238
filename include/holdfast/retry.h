// Retries, their budget, and the pause that a server asks for.
#ifndef HOLDFAST_RETRY_H_
#define HOLDFAST_RETRY_H_

#include "holdfast/retry/nested_retry.h"     // IWYU pragma: export
#include "holdfast/retry/retry.h"            // IWYU pragma: export
#include "holdfast/retry/retry_budget.h"     // IWYU pragma: export
#include "holdfast/retry/retry_options.h"    // IWYU pragma: export
#include "holdfast/retry/retry_pause.h"      // IWYU pragma: export
#include "holdfast/retry/retry_transient.h"  // IWYU pragma: export

#endif  // HOLDFAST_RETRY_H_
