// CallOptions are what a caller may say of one call through a stack.
//
//   result = fetch.With({.deadline = soon, .stop = token, .key = customer}, request);
#ifndef HOLDFAST_CALL_CALL_OPTIONS_H_
#define HOLDFAST_CALL_CALL_OPTIONS_H_

#include <string_view>

#include "holdfast/base/priority.h"
#include "holdfast/base/stop_token.h"
#include "holdfast/base/time.h"
#include "holdfast/call/report.h"
#include "holdfast/call/trace_context.h"

namespace holdfast {

class Call;

// The caller's options for one call. Objects that they point to must outlive the call. (A member
// whose destructor does something must work around a defect of g++ 12 in coroutines, as StopToken
// does: stop_token.h.)
struct CallOptions {
  TimePoint deadline = TimePoint::max();  // on the clock of the stack
  StopToken stop = {};                    // ends every wait; the call then returns kCancelled
  std::string_view key = {};              // for keyed policies: the customer, host, ... of the call
  Priority priority = Priority::kNormal;  // under overload, lower ones are refused first
  Report* report = nullptr;               // is filled with what happened; null: no report
  // Set by an outer stack whose executor is this stack: the outer call, of which this call is one
  // attempt. It is told of a refusal and of the time at which a retry can succeed.
  Call* outer = nullptr;
  // What the call is a part of, as a service that calls others reads it from a request; null:
  // nothing, or the attempt of `outer`. See tracer.h.
  const TraceContext* trace = nullptr;
  // `trace` is of a span that was made in this process, and so goes before a traceparent that the
  // request has already; false: it came from elsewhere.
  bool trace_is_local = false;
};

}  // namespace holdfast

#endif  // HOLDFAST_CALL_CALL_OPTIONS_H_
