// A Call is one logical request on its way through a stack, retries included. Policies read from it
// what they may know of the request, and tell it what they did.
//
//   Verdict Before(Call& call, State&) {
//     if (call.now() < opens_at_) return Verdict::Wait(opens_at_);
//     return Verdict::Proceed();
//   }
#ifndef HOLDFAST_CALL_CALL_H_
#define HOLDFAST_CALL_CALL_H_

#include <absl/base/attributes.h>
#include <absl/base/optimization.h>
#include <absl/random/bit_gen_ref.h>
#include <absl/status/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string_view>
#include <type_traits>
#include <utility>

#include "holdfast/base/internal/unset_time.h"
#include "holdfast/base/priority.h"
#include "holdfast/base/time.h"
#include "holdfast/base/waker.h"
#include "holdfast/call/abandoned_attempt.h"
#include "holdfast/call/call_options.h"  // IWYU pragma: export
#include "holdfast/call/internal/request_text.h"
#include "holdfast/call/internal/stack_meter.h"
#include "holdfast/call/internal/time_below.h"
#include "holdfast/call/internal/watches.h"
#include "holdfast/call/observer.h"
#include "holdfast/call/repeatability.h"
#include "holdfast/call/report.h"
#include "holdfast/call/trace_context.h"
#include "holdfast/call/tracer.h"

namespace holdfast {

namespace driver {
template <class R, class... Policies>
class Machine;
}  // namespace driver

namespace internal {

class Branches;
class CallSpans;
class CallTrace;

// What is below a policy that forks (driver/fork.h), to the call above it.
template <class Executor>
inline constexpr bool kForks = false;

// An executor that can be called with a Call& as well as without, and wants it.
template <class Executor>
concept TakesCall =
    requires { requires std::remove_reference_t<std::unwrap_reference_t<Executor>>::kTakesCall; };

}  // namespace internal

// Why a policy's State is destroyed without After having run.
enum class Abandonment : signed char {
  kNone,       // After has run, or a callback of a policy threw
  kThrew,      // the executor threw
  kCancelled,  // the caller requested a stop
};

// Made by a driver and used by one thread at a time.
class Call {
 public:
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // The time. The clock is read at most once between two waits or attempts, when the first policy
  // asks; all policies share that reading.
  ABSL_ATTRIBUTE_ALWAYS_INLINE TimePoint now() {
    if (!now_known_) {
      now_ = internal::ReadClock(clock_);
      now_known_ = true;
    }
    return *now_;
  }

  // Whether that is std::chrono::steady_clock's, so that deadline() is one of whatever waits by it.
  bool on_steady_clock() const { return clock_ == nullptr; }

  // The time after which no wait may end; an executor reads it to know how long it may take.
  // Timeout lowers it for what is below it, and restores it on the way up.
  TimePoint deadline() const { return deadline_; }
  void set_deadline(TimePoint deadline) { deadline_ = deadline; }

  // The first argument of the call if its type is T, otherwise null. For functions of a call that
  // are given to policies: see FromRequest (from_request.h).
  template <class T>
  const T* request() const {
    return internal::IsType<T>(request_type_) ? static_cast<const T*>(request_) : nullptr;
  }

  // Whether that argument may be sent more than once, by its RequestTraits; nullopt where its type
  // has none. Use the functions of repeatability.h to decide by it.
  std::optional<Repeatability> repeatability() const {
    if (request_type_ == nullptr || request_type_->repeatability == nullptr) return std::nullopt;
    return request_type_->repeatability(request_);
  }

  // That argument as text, if it is a std::string, a std::string_view, a C string or a string
  // literal; otherwise nullopt.
  std::optional<std::string_view> request_text() const {
    if (request_type_ == nullptr || request_type_->text == nullptr) return std::nullopt;
    return request_type_->text(request_);
  }

  const std::stop_token& stop() const { return options_.stop.get(); }
  std::string_view key() const { return options_.key; }
  Priority priority() const { return options_.priority; }

  // How often the executor was run: the number of the current attempt, from 1; 0 before the first.
  int attempt() const { return attempts_; }

  // Whether the result on its way up is a refusal by an inner policy, and the earliest time at
  // which another try can succeed (TimePoint::min() if unknown).
  bool rejected() const { return rejected_; }
  // Whether it is a refusal by a stack that is the executor of this one, in which no attempt ran.
  bool rejected_inside() const { return rejected_ && rejected_inside_; }
  TimePoint retry_at() const { return rejected_ ? *retry_at_ : TimePoint::min(); }
  // The span of time after retry_at() over which refused callers should spread their retries: see
  // Verdict::Reject.
  Duration retry_spread() const { return rejected_ ? retry_spread_ : Duration::zero(); }

  // How long the policies and the executor below the asking policy may take. May be called in the
  // policy's Before and After, and in the destructor of its State.
  TimeBelow time_below();

  // The latest time until which a policy may keep the call waiting on its way down. A call that
  // waits longer would reach the service too late to finish, and would only cost it work. It is the
  // deadline minus the time for one attempt: the limit of the Timeouts below, or `attempt` if that
  // is shorter; but never less than half of the remaining time from now. If neither is known, it is
  // the deadline.
  TimePoint latest_start(Duration attempt = Duration::max());

  // When the current or latest attempt began; TimePoint::min() for a call without a deadline or
  // without an attempt yet.
  TimePoint attempt_began() const { return attempt_began_; }

  // The trace context that an executor sends along with the present attempt: that of its span or,
  // where no Tracer traces the call, the one that the call came with. Null: none. It lives until
  // the attempt ends.
  const TraceContext* attempt_trace() const;
  // Whether a Tracer of this stack, or of one around it, has made that context, so that it takes
  // the place of one that the request has already.
  bool traced() const;

  // For the destructor of a State: why After has not run.
  Abandonment abandonment() const { return abandonment_; }

  // Whether the result on its way up is due to a deadline: that of the call, or of a Timeout below.
  bool out_of_time() const { return ended_by_ == EndReason::kDeadline; }

  // For a policy in a dry run: records in the report that the policy would have refused the call
  // with `refusal` or, if that is OK, would have made it wait until `until`.
  void NoteDryRun(std::string_view policy, const absl::Status& refusal, TimePoint until);

  // For a policy that puts a substitute in the place of `failure`: tells those who observe the
  // stack.
  void NoteFallback(std::string_view policy, const absl::Status& failure);

  // For the report: why a policy returns a failure that it could have retried.
  void set_ended_by(EndReason reason) { ended_by_ = reason; }

  // True for the first policy that claims this success for `account`; later policies with the same
  // account get false. So policies that share a RetryBudget deposit once for a success.
  bool FirstToClaim(const void* account) { return std::exchange(claimed_, account) != account; }

  // Marks the current attempt as abandoned: the call goes on without it, and the attempt keeps
  // running until its driver has released `attempt`.
  void Abandon(const std::shared_ptr<driver::AbandonedAttempt>& attempt);

  // Whether any attempt of the call was abandoned.
  bool has_abandoned() const { return left_ != nullptr; }

  // Keeps `admission` until all abandoned attempts with a number greater than `attempt` have ended.
  // To be called from a policy's optional member
  //   void OnAbandon(Call& call, State& state);
  // which the machine calls before it destroys a State of a call that has_abandoned().
  void HoldUntilAbandonedEnd(int attempt, const std::shared_ptr<void>& admission);

  // Ends the current or next wait of this call; the policy that asked for it is then asked again.
  virtual Waker& waker() = 0;

  // The random generator for policies: one per thread, seeded again in a child of fork(). A
  // simulation has its own, with a fixed seed.
  virtual absl::BitGenRef random();

 protected:
  // `clock` null: steady_clock.
  Call(const CallOptions& options, Clock* clock)
      : options_(options),
        clock_(clock),
        report_(options.report),
        holds_(options.report != nullptr ? kReport : 0),
        watched_(true),
        deadline_(options.deadline) {}
  // Virtual for parents that warn of anything else; nobody deletes a Call by its base.
  virtual ~Call() {
    if (ABSL_PREDICT_FALSE((holds_ & (kOwnReport | kLeft | kTrace | kActive)) != 0)) LetGo();
  }

  Clock* clock() const { return clock_; }
  void ForgetNow() { now_known_ = false; }

  // For drivers: the arguments of the call, which must outlive it.
  void SetRequest() {}
  template <class Request, class... More>
  void SetRequest(const Request& request, const More&...) {
    request_ = static_cast<const void*>(std::addressof(request));  // may itself be a pointer
    request_type_ = &internal::request_type<Request>;
  }

  // For drivers: what counts the calls of the stack, which must outlive the call, and the number of
  // the first policy that this call goes through.
  void SetMeter(internal::StackMeter& meter, unsigned first_policy) {
    meter_ = &meter;
    first_policy_ = first_policy;
    watched_ = branch_ || report_ != nullptr || options_.outer != nullptr;
    const internal::Watch* const watch = meter.watch();
    if (ABSL_PREDICT_FALSE(watch != nullptr)) TellTo(*watch);
  }

  // For drivers: the executor that runs the attempts, which must outlive the call.
  template <class Executor>
  void SetExecutor(const Executor& executor) {
    if constexpr (internal::kForks<Executor>) forked_ = true;
    if constexpr (internal::BoundsTime<Executor>) {
      executor_ = &executor;
      time_in_executor_ = [](const void* e, TimePoint now) {
        return static_cast<const Executor*>(e)->TimeBelowAt(now);
      };
    }
  }

 private:
  template <class R, class... Policies>
  friend class driver::Machine;
  friend class internal::Branches;

  struct Left;

  // What became of the present attempt.
  enum class Running : std::uint8_t {
    kNo,         // there is none, or it was counted
    kYes,        // it has not ended
    kSucceeded,  // it succeeded, which is yet to be counted
  };

  void BeginAttempt() {
    ++attempts_;
    running_ = Running::kYes;
    rejected_ = rejected_inside_ = false;
    ended_by_ = kNotSaid;
    if (ABSL_PREDICT_FALSE((holds_ & (kReport | kTimed | kTrace)) != 0)) NoteAttempt();
  }

  // The executor has returned. False if more is to be said of it, by AttemptReturned.
  ABSL_ATTRIBUTE_ALWAYS_INLINE bool TryEndAttempt(bool ok) {
    if (ABSL_PREDICT_FALSE(!ok)) return false;
    running_ = Running::kSucceeded;
    return (holds_ & (kReport | kTrace)) == 0;
  }
  // The call ends with a success. False if more is to be said of it, by End.
  ABSL_ATTRIBUTE_ALWAYS_INLINE bool TrySucceed() {
    if (watched_ || attempts_ != 1 || running_ != Running::kSucceeded) return false;
    if (ABSL_PREDICT_FALSE((holds_ & (kTimed | kActive)) != 0)) {
      EndFirstTry();
    } else {
      meter_->CountFirstTry();
    }
    return true;
  }

  void Rejected(TimePoint retry_at, EndReason reason, Duration spread = Duration::zero()) {
    rejected_ = true;
    retry_at_ = retry_at;
    retry_spread_ = spread;
    ended_by_ = reason;
  }

  // By a policy that had the result, which may be the refusal of another call.
  void Answered(const absl::Status& result);

  // What the machine says of the call, whose policies it numbers from the outermost; out of line.
  // The report, the counters of the stack and those who observe it learn of it.
  void Begin();
  void Refused(unsigned policy, const absl::Status& refusal, TimePoint retry_at);
  void Waited(unsigned policy, TimePoint from);
  void AttemptReturned(const absl::Status& outcome);
  void GoesAgain(unsigned policy, TimePoint at, const absl::Status& outcome);
  void WentAgain(const absl::Status& outcome);
  void AttemptStopped();  // if one is running
  void End(const absl::Status& result, std::optional<Duration> retry_after);
  void EndWithout(CallOutcome outcome);  // a result

  bool running() const { return running_ == Running::kYes; }
  bool metered() const { return meter_ != nullptr || report_ != nullptr; }

  void TellTo(const internal::Watch& watch);
  bool tells(Severity severity) const { return watch_ != nullptr && watch_->Wants(severity); }
  Event EventOf(EventKind kind, Severity severity);
  void Tell(Event event, unsigned policy);
  void TellAttempt(const Attempt& attempt, int number);
  void PassDryRun(const DryRunFinding& finding, std::string_view name);
  void TellDryRun(const DryRunFinding& finding, std::string_view name);
  std::string_view NameOf(std::string_view policy) const;
  void TellEnd(const absl::Status& result, EndReason why, TimePoint retry_at);
  void TakeOwnReport();
  void NoteAttempt();
  void EndFirstTry();
  void LeaveActive();
  // Its spans: see tracer.h. All of them are out of line.
  void BeginTrace(const internal::Watch& watch);
  void JoinTrace(const std::shared_ptr<internal::CallTrace>& trace);
  std::shared_ptr<internal::CallTrace> TraceForBranch() const;
  const TraceContext* ParentTrace() const;
  bool ParentTraceMade() const;
  void TraceAttempt();
  void TraceAttemptEnd(const absl::Status& status, CallOutcome outcome);
  void TraceEnd(const absl::Status& status, CallOutcome outcome, EndReason why);
  void DropTrace();
  void AttemptLost(CallOutcome outcome, absl::StatusCode code);
  void CountAttempt(CallOutcome outcome, absl::StatusCode code);
  void CountSuccess();
  void CountEnd(CallOutcome outcome, absl::StatusCode code, EndReason why);
  bool WasCutOff(const absl::Status& outcome);
  void NoteCutOff(const absl::Status& outcome);
  EndReason WhyEnded(const absl::Status& result) const;
  bool GaveUp(bool ok, EndReason why) const;

  static constexpr EndReason kNotSaid{-1};  // by anything but the result
  static constexpr unsigned kNoPolicy = static_cast<unsigned>(-1);

  void ForgetLeft();
  void LetGo();

  // What it has that most calls don't: bits of holds_.
  static constexpr unsigned kReport = 1;     // report_, the caller's or its own
  static constexpr unsigned kOwnReport = 2;  // for those who observe
  static constexpr unsigned kTimed = 4;      // how long it takes is measured
  static constexpr unsigned kTrace = 8;      // spans_
  static constexpr unsigned kActive = 16;    // it is counted as active
  static constexpr unsigned kLeft = 32;      // left_, or it had

  // In an order that lets what begins as null or false be set by few instructions.
  const CallOptions& options_;
  Clock* clock_;
  // What time_below() asks: the machine, about its policies from a depth inwards, and the executor.
  const void* machine_;
  TimeBelow (*time_in_machine_)(const void* machine, unsigned depth, TimePoint now,
                                TimeBelow executor);
  const void* executor_ = nullptr;
  TimeBelow (*time_in_executor_)(const void* executor, TimePoint now) = nullptr;
  const void* request_ = nullptr;
  const internal::RequestType* request_type_ = nullptr;
  Left* left_ = nullptr;                  // the attempts that were left; a list, owned
  internal::CallSpans* spans_ = nullptr;  // owned
  const void* claimed_ = nullptr;
  internal::StackMeter* meter_ = nullptr;
  const internal::Watch* watch_ = nullptr;  // when the call began
  Duration waited_{0};                      // since the attempt before
  Duration waited_in_all_{0};
  unsigned depth_ = 0;         // how many states are alive: those of the outermost policies
  unsigned first_policy_ = 0;  // the number in the stack of the outermost of them
  int attempts_ = 0;
  bool now_known_ = false;
  bool rejected_ = false;
  bool rejected_inside_ = false;
  bool attempt_open_ = false;  // when reporting: the last one in the report is the present one
  bool retried_ = false;       // it was sent down again
  bool branch_ = false;        // of another call, which says what becomes of its attempts
  bool forked_ = false;        // its attempts are those of its branches
  Running running_ = Running::kNo;
  Abandonment abandonment_ = Abandonment::kNone;
  Report* report_;  // null: none
  unsigned holds_;  // bits, see above
  bool watched_;    // more is to be said of its end than that it is a success
  TimePoint deadline_;
  TimePoint attempt_began_ = TimePoint::min();
  internal::UnsetTime now_;            // when now_known_
  internal::UnsetTime retry_at_;       // when rejected_
  Duration retry_spread_;              // likewise
  internal::UnsetTime began_;          // when watch_, unless all that watches counts active calls
  internal::UnsetTime attempt_start_;  // when kTimed
  // The deadline outside of what repeats the call: an attempt that is cut off at it ends the call.
  TimePoint call_deadline_ = TimePoint::min();
  EndReason ended_by_ = kNotSaid;
};

}  // namespace holdfast

#endif  // HOLDFAST_CALL_CALL_H_
