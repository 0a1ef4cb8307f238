// All of Holdfast's core: policies, policy objects, and the Stack that puts them around a call.
#ifndef HOLDFAST_HOLDFAST_H_
#define HOLDFAST_HOLDFAST_H_

#include "holdfast/adaptive_limit.h"         // IWYU pragma: export
#include "holdfast/adaptive_limiter.h"       // IWYU pragma: export
#include "holdfast/adaptive_timeout.h"       // IWYU pragma: export
#include "holdfast/alarm.h"                  // IWYU pragma: export
#include "holdfast/any_executor.h"           // IWYU pragma: export
#include "holdfast/backoff.h"                // IWYU pragma: export
#include "holdfast/blocking_driver.h"        // IWYU pragma: export
#include "holdfast/breaker_snapshot.h"       // IWYU pragma: export
#include "holdfast/breaker_state.h"          // IWYU pragma: export
#include "holdfast/bulkhead.h"               // IWYU pragma: export
#include "holdfast/cache.h"                  // IWYU pragma: export
#include "holdfast/call.h"                   // IWYU pragma: export
#include "holdfast/catching.h"               // IWYU pragma: export
#include "holdfast/caught.h"                 // IWYU pragma: export
#include "holdfast/circuit_break.h"          // IWYU pragma: export
#include "holdfast/circuit_breaker.h"        // IWYU pragma: export
#include "holdfast/error.h"                  // IWYU pragma: export
#include "holdfast/fallback.h"               // IWYU pragma: export
#include "holdfast/flight.h"                 // IWYU pragma: export
#include "holdfast/fork.h"                   // IWYU pragma: export
#include "holdfast/hedge.h"                  // IWYU pragma: export
#include "holdfast/key_function.h"           // IWYU pragma: export
#include "holdfast/keyed_circuit_break.h"    // IWYU pragma: export
#include "holdfast/keyed_circuit_breaker.h"  // IWYU pragma: export
#include "holdfast/keyed_rate_limit.h"       // IWYU pragma: export
#include "holdfast/keyed_token_bucket.h"     // IWYU pragma: export
#include "holdfast/latency_quantile.h"       // IWYU pragma: export
#include "holdfast/limit_algorithm.h"        // IWYU pragma: export
#include "holdfast/lingering.h"              // IWYU pragma: export
#include "holdfast/machine.h"                // IWYU pragma: export
#include "holdfast/nested_retry.h"           // IWYU pragma: export
#include "holdfast/open_time.h"              // IWYU pragma: export
#include "holdfast/pace.h"                   // IWYU pragma: export
#include "holdfast/pacer.h"                  // IWYU pragma: export
#include "holdfast/policy_facts.h"           // IWYU pragma: export
#include "holdfast/priority.h"               // IWYU pragma: export
#include "holdfast/race.h"                   // IWYU pragma: export
#include "holdfast/rate_limit.h"             // IWYU pragma: export
#include "holdfast/rejection.h"              // IWYU pragma: export
#include "holdfast/repeatability.h"          // IWYU pragma: export
#include "holdfast/report.h"                 // IWYU pragma: export
#include "holdfast/reservation.h"            // IWYU pragma: export
#include "holdfast/result.h"                 // IWYU pragma: export
#include "holdfast/result_cache.h"           // IWYU pragma: export
#include "holdfast/retry.h"                  // IWYU pragma: export
#include "holdfast/retry_budget.h"           // IWYU pragma: export
#include "holdfast/retry_pause.h"            // IWYU pragma: export
#include "holdfast/semaphore.h"              // IWYU pragma: export
#include "holdfast/settings.h"               // IWYU pragma: export
#include "holdfast/sometimes.h"              // IWYU pragma: export
#include "holdfast/stack.h"                  // IWYU pragma: export
#include "holdfast/stop_token.h"             // IWYU pragma: export
#include "holdfast/thread_pool.h"            // IWYU pragma: export
#include "holdfast/throttle.h"               // IWYU pragma: export
#include "holdfast/throttler.h"              // IWYU pragma: export
#include "holdfast/time.h"                   // IWYU pragma: export
#include "holdfast/timeout.h"                // IWYU pragma: export
#include "holdfast/token_bucket.h"           // IWYU pragma: export
#include "holdfast/trip_rule.h"              // IWYU pragma: export
#include "holdfast/update_all.h"             // IWYU pragma: export
#include "holdfast/verdict.h"                // IWYU pragma: export
#include "holdfast/waker.h"                  // IWYU pragma: export

#endif  // HOLDFAST_HOLDFAST_H_
