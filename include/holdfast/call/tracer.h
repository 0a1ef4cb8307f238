// A Tracer makes spans of the calls through a stack and of their attempts, and says which ids they
// are sent with.
//
//   const auto recent = std::make_shared<holdfast::RecentCalls>();
//   auto fetch = holdfast::Stack(holdfast::Retry({}), breaker, holdfast::Timeout(2s))
//                    .Traced("orders", recent)
//                    .Around(transport);
#ifndef HOLDFAST_CALL_TRACER_H_
#define HOLDFAST_CALL_TRACER_H_

#include <absl/status/status.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "holdfast/base/time.h"
#include "holdfast/call/report.h"
#include "holdfast/call/trace_context.h"

namespace holdfast {

// How a call or an attempt ended, as holdfast.outcome says it.
enum class CallOutcome : std::uint8_t { kSuccess, kFailure, kRejected, kCancelled, kException };
inline constexpr std::size_t kCallOutcomes = 5;

std::string_view ToString(CallOutcome outcome);  // "success", ...

// What these point to lives as long as the function that is given them. Times are on the clock
// of the stack.
struct CallStart {
  std::string_view stack = {};  // the name that Traced was given
  std::string_view key = {};    // CallOptions::key
  TimePoint at = {};
  // What the call is a part of: CallOptions::trace or, where the stack is the executor of another
  // one, the attempt of that. Null: nothing, the call begins a trace.
  const TraceContext* parent = nullptr;
  // The parent is a span of this process: the attempt of an outer stack that is traced, or what
  // CallOptions::trace_is_local says of `trace`.
  bool parent_is_local = false;
  // The context that another Tracer of the stack has given the call; null: none has.
  const TraceContext* given = nullptr;
};
struct CallEnd {
  TimePoint at = {};
  absl::Status status = {};  // of the result; kUnknown where the call threw
  CallOutcome outcome = CallOutcome::kSuccess;
  EndReason ended_by = EndReason::kSuccess;
  int attempts = 0;  // runs of the executor that had begun
};
struct AttemptStart {
  TimePoint at = {};
  // How many attempts of the call had begun before, those of the copies of a Hedge included: the
  // http.request.resend_count of OpenTelemetry, which is left out where it is 0.
  int resend_count = 0;
  const TraceContext* given = nullptr;  // by another Tracer of the stack
};
struct AttemptEnd {
  TimePoint at = {};
  absl::Status status = {};
  CallOutcome outcome = CallOutcome::kSuccess;
};

// One attempt. Used by one thread at a time, of which there may be several one after the other.
class AttemptSpan {
 public:
  AttemptSpan(const AttemptSpan&) = delete;
  AttemptSpan& operator=(const AttemptSpan&) = delete;
  virtual ~AttemptSpan() = default;

  // What the executor sends along, as the headers of a request. Asked once, before the attempt.
  virtual const TraceContext& context() const = 0;
  // Called once.
  virtual void End(const AttemptEnd& end) = 0;

 protected:
  AttemptSpan() = default;
};

// One call. It lives until the call and all of its attempts have ended, and the Tracer lives
// longer.
class CallSpan {
 public:
  CallSpan(const CallSpan&) = delete;
  CallSpan& operator=(const CallSpan&) = delete;
  virtual ~CallSpan() = default;

  // Asked once, when the call begins. One that is not valid() gives the call none.
  virtual const TraceContext& context() const = 0;
  // Copies of the call that a Hedge sent run in threads of their own, so several threads may call
  // this at once. An attempt that the call went on without (a Hedge, a Timeout with a pool) ends
  // later than the call, and may even begin later. Null: this attempt is not traced.
  virtual std::unique_ptr<AttemptSpan> StartAttempt(const AttemptStart& start) = 0;
  // Called once, when no policy has anything more to do with the call. Attempts that it went on
  // without may begin and end meanwhile.
  virtual void End(const CallEnd& end) = 0;

 protected:
  CallSpan() = default;
};

// Attached by Stack::Traced. Calls come from every thread that makes calls, several at once, and
// these functions run in those threads: they should be quick. What they, and those of spans, throw
// is dropped, and the call goes on without that span. A call that every policy lets through costs
// nothing more on a stack without a Tracer.
class Tracer {
 public:
  Tracer(const Tracer&) = delete;
  Tracer& operator=(const Tracer&) = delete;
  virtual ~Tracer() = default;

  // Null: this call is not traced. A stack inside of this one is a call of its own, whose parent is
  // the attempt of the outer one.
  virtual std::unique_ptr<CallSpan> StartCall(const CallStart& start) = 0;

  // Whether it takes the contexts that other Tracers of a stack give. Such a one is asked after
  // those that don't, and the first context that is valid() goes out. Asked once, when the Tracer
  // is attached.
  virtual bool takes_contexts() const { return false; }

 protected:
  Tracer() = default;
};

}  // namespace holdfast

#endif  // HOLDFAST_CALL_TRACER_H_
