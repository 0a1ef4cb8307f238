// What a policy may know and say of a call.
#ifndef HOLDFAST_CALL_H_
#define HOLDFAST_CALL_H_

#include "holdfast/call/abandoned_attempt.h"  // IWYU pragma: export
#include "holdfast/call/call.h"               // IWYU pragma: export
#include "holdfast/call/call_options.h"       // IWYU pragma: export
#include "holdfast/call/caught.h"             // IWYU pragma: export
#include "holdfast/call/collector.h"          // IWYU pragma: export
#include "holdfast/call/from_request.h"       // IWYU pragma: export
#include "holdfast/call/key_function.h"       // IWYU pragma: export
#include "holdfast/call/observer.h"           // IWYU pragma: export
#include "holdfast/call/outcome.h"            // IWYU pragma: export
#include "holdfast/call/policy.h"             // IWYU pragma: export
#include "holdfast/call/policy_info.h"        // IWYU pragma: export
#include "holdfast/call/recent_calls.h"       // IWYU pragma: export
#include "holdfast/call/repeatability.h"      // IWYU pragma: export
#include "holdfast/call/report.h"             // IWYU pragma: export
#include "holdfast/call/retry_decision.h"     // IWYU pragma: export
#include "holdfast/call/trace_context.h"      // IWYU pragma: export
#include "holdfast/call/tracer.h"             // IWYU pragma: export
#include "holdfast/call/verdict.h"            // IWYU pragma: export

#endif  // HOLDFAST_CALL_H_
