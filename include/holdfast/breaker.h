// Circuit breakers: one, or one for each key.
#ifndef HOLDFAST_BREAKER_H_
#define HOLDFAST_BREAKER_H_

#include "holdfast/breaker/breaker_snapshot.h"         // IWYU pragma: export
#include "holdfast/breaker/breaker_state.h"            // IWYU pragma: export
#include "holdfast/breaker/circuit_break.h"            // IWYU pragma: export
#include "holdfast/breaker/circuit_breaker.h"          // IWYU pragma: export
#include "holdfast/breaker/circuit_breaker_options.h"  // IWYU pragma: export
#include "holdfast/breaker/keyed_circuit_break.h"      // IWYU pragma: export
#include "holdfast/breaker/keyed_circuit_breaker.h"    // IWYU pragma: export
#include "holdfast/breaker/open_time.h"                // IWYU pragma: export
#include "holdfast/breaker/trip_rule.h"                // IWYU pragma: export

#endif  // HOLDFAST_BREAKER_H_
