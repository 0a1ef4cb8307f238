// An Observer is told what happens to the calls through a stack, while it happens.
//
//   class Log final : public holdfast::Observer {
//    public:
//     void OnEvent(const holdfast::Event& event) override { std::clog << ToString(event) << "\n"; }
//   };
//
//   auto fetch = holdfast::Stack(holdfast::Retry({}), breaker, holdfast::Timeout(2s))
//                    .Observed("orders", std::make_shared<Log>())
//                    .Around(transport);
#ifndef HOLDFAST_CALL_OBSERVER_H_
#define HOLDFAST_CALL_OBSERVER_H_

#include <absl/status/status.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "holdfast/base/time.h"
#include "holdfast/call/report.h"

namespace holdfast {

enum class EventKind : std::uint8_t {
  kRefused,         // a policy refused the call or, where `policy` is empty, it had no time left
  kWaited,          // a wait in a policy is over
  kAttempt,         // a run of the executor has ended
  kCutOff,          // an attempt did not end before its deadline
  kRetrying,        // a policy is going to send the call down again
  kGaveUp,          // the call failed, and is not retried although its failure is of that kind
  kHedged,          // a second copy of the call was sent, or a further one
  kHedgeWon,        // the call goes on with the result of such a copy
  kFellBack,        // a policy put a substitute in the place of a failure
  kDryRun,          // a policy in a dry run would have refused the call, or have made it wait
  kEnded,           // the call has ended
  kBreakerChanged,  // a circuit breaker has changed its state; it is of no call
};

enum class Severity : std::uint8_t { kDebug, kInfo, kWarning };

// Lower-case names, with underscores.
std::string_view ToString(EventKind kind);
std::string_view ToString(Severity severity);

// What its views refer to lives as long as OnEvent runs.
struct Event {
  EventKind kind = EventKind::kEnded;
  Severity severity = Severity::kDebug;
  TimePoint at = {};            // on the clock of the stack
  std::string_view stack = {};  // the name that Observed was given
  // CallOptions::key. kBreakerChanged: of a KeyedCircuitBreaker's breaker the key, with which its
  // name ends, or the name that options_for gave it.
  std::string_view key = {};
  std::string_view policy = {};  // the policy's kName; empty where none has a part in it
  std::string_view name = {};    // the name of the policy's object, if it has one
  std::string_view state = {};   // kBreakerChanged: the state that it entered
  // Why: of kRefused and kDryRun the RejectionKind, of kGaveUp and kEnded the EndReason, of
  // kBreakerChanged the cause as holdfast.breaker.transitions names it.
  std::string_view reason = {};
  // The refusal, the outcome of the attempt, the failure that is retried or replaced, the result.
  // kDryRun: OK if the call would only have waited. An attempt that threw, or that nobody waits
  // for, has kUnknown.
  absl::Status status = {};
  int attempt = 0;  // runs of the executor that had begun, those of the copies of a Hedge included
  // kAttempt, kEnded: since it began. An attempt below a policy that forks (Hedge, Timeout with a
  // pool) is told when the call goes on.
  Duration took{0};
  // kWaited: how long. kRetrying: from now to the next attempt. kAttempt: the waits before it,
  // since the attempt before. kEnded: all waits.
  Duration waited{0};
  // kRefused, kEnded: the earliest time at which another try can succeed. kDryRun: the same, or the
  // end of the wait. TimePoint::min() where it is not known.
  TimePoint until = TimePoint::min();
  EndReason ended_by = EndReason::kNotRetryable;  // kGaveUp, kEnded
};

// The event as a line of logfmt: key=value pairs, separated by spaces, with quotes around a value
// that needs them. Keys without a value are left out.
std::string ToString(const Event& event);

// Events come from every thread that makes calls, several at once, and OnEvent runs in these
// threads: it should be quick. It may make calls through the stack that it observes, as long as
// that comes to an end. What it throws is dropped.
class Observer {
 public:
  virtual ~Observer() = default;

  virtual void OnEvent(const Event& event) = 0;

  // Events below this severity are not told. Asked once, when the observer is attached. kDebug are
  // kWaited, kAttempt and the kEnded of a success; telling these costs each call what a Report
  // costs, and an allocation. kWarning are kRefused, kCutOff, kGaveUp, kFellBack, and that a
  // breaker has opened; all others are kInfo.
  virtual Severity least_severity() const { return Severity::kInfo; }

 protected:
  Observer() = default;
  Observer(const Observer&) = default;
  Observer& operator=(const Observer&) = default;
};

}  // namespace holdfast

#endif  // HOLDFAST_CALL_OBSERVER_H_
