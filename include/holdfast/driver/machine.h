// A Machine walks one call down through the policies of a stack to the executor, and the result
// back up. It never waits and never runs the executor on its own: each step tells the driver what
// to do next. For driver authors; everybody else uses stack.h.
//
//   driver::Machine<R, Policies...> machine(policies, call);
//   driver::Step step = machine.Start();
//   while (step != driver::Step::kDone) {
//     if (step == driver::Step::kWait) WaitUntil(machine.wait_until());
//     step = step == driver::Step::kExecute ? machine.Execute(attempt) : machine.Resume();
//   }
//   return std::move(machine).TakeResult();
#ifndef HOLDFAST_DRIVER_MACHINE_H_
#define HOLDFAST_DRIVER_MACHINE_H_

#include <absl/base/attributes.h>
#include <absl/base/optimization.h>
#include <absl/status/status.h>

#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "holdfast/base/internal/refusals.h"
#include "holdfast/base/internal/unset_time.h"
#include "holdfast/base/result.h"
#include "holdfast/call/call.h"
#include "holdfast/call/policy.h"
#include "holdfast/call/verdict.h"

namespace holdfast::driver {

// What a driver has to do next.
enum class Step {
  kExecute,  // run the executor by Execute()
  kWait,     // wait until wait_until(), a wake or a stop request, then Resume()
  kDone,     // TakeResult()
};

}  // namespace holdfast::driver

namespace holdfast::internal {

// Room for a T whose life the machine begins and ends.
template <class T>
union Slot {
  Slot() {}   // NOLINT(modernize-use-equals-default): a union member has a constructor
  ~Slot() {}  // NOLINT(modernize-use-equals-default)
  T value;
};

// The refusals of the machine itself, made once for each type of policy.
template <class P>
const absl::Status& DeadlineRejection() {
  static const absl::Status status =
      Refusal(absl::StatusCode::kDeadlineExceeded, RejectionKind::kDeadline, PolicyName<P>(),
              /*name=*/"", "the wait would end after the call's deadline");
  return status;
}

const absl::Status& DeadlinePassedRejection();  // of a call that has no time left to run anything
const absl::Status& CancelledRejection();       // of the caller's stop token
const absl::Status& NoResult();                 // of a policy that says it has one, and hasn't
const absl::Status& AttemptTooLate();           // no refusal: of an attempt cut off at its deadline

}  // namespace holdfast::internal

namespace holdfast::driver {

// One call through `policies`. The machine holds a State for each policy that the call is in. A
// State is destroyed when the result has passed its policy; States that never see a result are
// destroyed with the machine, or as soon as the call is abandoned, innermost first.
//
// The way down and up is unrolled at compile time. Recursion is bounded by the number of policies:
// a policy that returns Again goes through the driver. Not thread-safe; a driver may call it from
// another thread for each step.
template <class R, class... Policies>
class Machine {
 public:
  Machine(std::tuple<Policies...>& policies, Call& call) : policies_(policies), call_(call) {
    call.machine_ = this;
    call.time_in_machine_ = &TimeBelowDepth;
  }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  ~Machine() {
    if (ABSL_PREDICT_FALSE(kDepth == 0 ? call_.running() : call_.depth_ != 0)) LeaveCall();
    DropResult();
  }

  ABSL_ATTRIBUTE_ALWAYS_INLINE Step Start() {
    if (ABSL_PREDICT_FALSE(call_.watched_)) call_.Begin();
    if (ABSL_PREDICT_FALSE(call_.stop().stop_requested())) return Cancel();
    return Down<0>();
  }

  // Runs the executor as `attempt()`, which returns an R. If it throws, every State is destroyed
  // and the exception leaves this function.
  template <class F>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Step Execute(F&& attempt) {
    Begin();
    try {
      SetResult(std::forward<F>(attempt));
    } catch (...) {
      Fail();
      throw;
    }
    return Finish();
  }

  // Execute in two parts, for an asynchronous executor: Begin() before it starts, and when it has
  // ended Complete(), CompleteLate(), Fail() or Cancel().
  ABSL_ATTRIBUTE_ALWAYS_INLINE void Begin() { call_.BeginAttempt(); }

  // The executor's result is `make()`.
  template <class F>
  Step Complete(F&& make) {
    SetResult(std::forward<F>(make));
    return Finish();
  }

  // The executor was cut off at the deadline of its attempt. That is no refusal, though a stack
  // which it is may have said so of its own.
  Step CompleteLate() {
    call_.Answered(internal::AttemptTooLate());
    call_.set_ended_by(EndReason::kDeadline);
    return Complete([] { return ResultTraits<R>::FromStatus(internal::AttemptTooLate()); });
  }

  // The executor threw, and the driver passes the exception on; every State is destroyed.
  ABSL_ATTRIBUTE_NOINLINE void Fail() {
    call_.ForgetNow();
    Abandon(Abandonment::kThrew);
    call_.EndWithout(CallOutcome::kException);
  }

  // The caller requested a stop: every State is destroyed, and the result is kCancelled.
  ABSL_ATTRIBUTE_NOINLINE Step Cancel() {
    call_.ForgetNow();
    call_.AttemptStopped();
    Abandon(Abandonment::kCancelled);
    DropResult();
    call_.Rejected(TimePoint::min(), EndReason::kCancelled);
    SetResult([] { return ResultTraits<R>::FromStatus(internal::CancelledRejection()); });
    return Up<0>();
  }

  // A policy threw: destroys every State.
  void Drop() {
    DestroyStates();
    call_.EndWithout(CallOutcome::kException);
  }

  // The end of the wait that the last step asked for.
  TimePoint wait_until() const { return *wait_until_; }

  // Continues after a wait, at the policy that asked for it.
  ABSL_ATTRIBUTE_NOINLINE Step Resume() {
    call_.ForgetNow();
    if (call_.metered()) call_.Waited(resume_, *wait_began_);
    if (call_.stop().stop_requested()) return Cancel();
    if (again_ && call_.now() < *wait_until_) return Wait(*wait_until_);
    return ResumeAt(std::make_index_sequence<kDepth>());
  }

  R TakeResult() && { return std::move(result_.value); }

 private:
  static constexpr std::size_t kDepth = sizeof...(Policies);
  static constexpr std::size_t kFirstToRepeat = [] {
    std::size_t first = 0;
    (void)((internal::kRepeats<Policies> || (++first, false)) || ...);
    return first;
  }();

  // Sends the call down from policy I; at the bottom it is the executor's turn.
  template <std::size_t I>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Step Down() {
    if constexpr (I == kDepth) {
      if (call_.deadline() != TimePoint::max()) {
        call_.attempt_began_ = call_.now();
        if (ABSL_PREDICT_FALSE(call_.attempt_began_ > call_.deadline())) {
          return Reject<I>(internal::DeadlinePassedRejection());
        }
      }
      return Step::kExecute;
    } else {
      std::construct_at(&state<I>());
      call_.depth_ = I + 1;
      if constexpr (kFirstToRepeat == I) call_.call_deadline_ = call_.deadline();
      return Ask<I>();
    }
  }

  // Asks policy I, which is entered, on the way down.
  template <std::size_t I>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Step Ask() {
    Verdict verdict = policy<I>().Before(call_, state<I>());
    if (ABSL_PREDICT_TRUE(verdict.kind() == Verdict::Kind::kProceed)) return Down<I + 1>();
    return Stay<I>(std::move(verdict));
  }

  template <std::size_t I>
  ABSL_ATTRIBUTE_NOINLINE Step Stay(Verdict verdict) {
    const TimePoint time = verdict.time();
    if constexpr (requires { policy<I>().template Result<R>(call_, state<I>()); }) {
      if (verdict.kind() == Verdict::Kind::kShortCircuit) {
        SetResult([this] { return policy<I>().template Result<R>(call_, state<I>()); });
        call_.Answered(status());
        Leave<I>();
        return Up<I>();
      }
    }
    if (verdict.kind() == Verdict::Kind::kShortCircuit) {
      Leave<I>();
      return Reject<I>(internal::NoResult());
    }
    if (verdict.kind() == Verdict::Kind::kReject) {
      Leave<I>();
      const Duration spread = verdict.spread();
      return Reject<I>(std::move(verdict).TakeStatus(), time, spread);
    }
    if (time > call_.deadline()) {
      Leave<I>();
      return Reject<I>(internal::DeadlineRejection<PolicyAt<I>>(), time);
    }
    again_ = false;
    resume_ = I;
    return Wait(time);
  }

  // Makes a refusal the result, seen by the policies outside of I.
  template <std::size_t I>
  Step Reject(absl::Status status, TimePoint retry_at = TimePoint::min(),
              Duration spread = Duration::zero()) {
    call_.Refused(I == kDepth ? Call::kNoPolicy : I, status, retry_at);
    call_.Rejected(retry_at,
                   status.code() == absl::StatusCode::kDeadlineExceeded ? EndReason::kDeadline
                                                                        : EndReason::kRejected,
                   spread);
    SetResult([&] { return ResultTraits<R>::FromStatus(std::move(status)); });
    return Up<I>();
  }

  // Hands the result up through the `N` outermost policies.
  template <std::size_t N>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Step Up() {
    if constexpr (N == 0) {
      const bool ok = ResultTraits<R>::StatusOf(result_.value).ok();
      if (ABSL_PREDICT_FALSE(!ok || !call_.TrySucceed())) End();
      return Step::kDone;
    } else {
      const Next next = policy<N - 1>().After(call_, state<N - 1>(), result_.value);
      if (ABSL_PREDICT_FALSE(next.again())) return Again<N - 1>(next.at());
      Leave<N - 1>();
      return Up<N - 1>();
    }
  }

  template <std::size_t I>
  ABSL_ATTRIBUTE_NOINLINE Step Again(TimePoint at) {
    if (at > call_.deadline()) return HandOn<I>();
    call_.GoesAgain(I, at, status());
    again_ = true;
    resume_ = I;
    return Wait(at);
  }

  // The result in hand stands: there is no time for another.
  template <std::size_t I>
  Step HandOn() {
    call_.set_ended_by(EndReason::kDeadline);
    Leave<I>();
    return Up<I>();
  }

  // After the wait, which may have taken longer than it was to.
  template <std::size_t I>
  Step GoAgain() {
    if (call_.now() > call_.deadline()) return HandOn<I>();
    call_.WentAgain(status());
    DropResult();
    if constexpr (requires { policy<I>().BeforeAgain(call_, state<I>()); }) {
      policy<I>().BeforeAgain(call_, state<I>());
    }
    return Down<I + 1>();
  }

  Step Wait(TimePoint until) {
    wait_until_ = until;
    if (call_.metered()) wait_began_ = call_.now();
    return Step::kWait;
  }

  template <std::size_t... I>
  ABSL_ATTRIBUTE_NOINLINE Step ResumeAt(std::index_sequence<I...>) {
    Step step = Step::kDone;
    (void)((resume_ == I && (step = again_ ? GoAgain<I>() : Ask<I>(), true)) || ...);
    return step;
  }

  ABSL_ATTRIBUTE_ALWAYS_INLINE Step Finish() {
    call_.ForgetNow();
    const bool ok = ResultTraits<R>::StatusOf(result_.value).ok();
    if (ABSL_PREDICT_FALSE(!call_.TryEndAttempt(ok))) AttemptReturned();
    return Up<kDepth>();
  }

  void Abandon(Abandonment how) {
    call_.abandonment_ = how;
    DestroyStates();
  }

  template <std::size_t I>
  ABSL_ATTRIBUTE_ALWAYS_INLINE void Leave() {
    if constexpr (requires { policy<I>().OnAbandon(call_, state<I>()); }) {
      if (ABSL_PREDICT_FALSE(call_.has_abandoned())) policy<I>().OnAbandon(call_, state<I>());
    }
    std::destroy_at(&state<I>());
    call_.depth_ = I;
  }

  // Before the call has ended: a policy threw, or the driver has let go of it.
  ABSL_ATTRIBUTE_NOINLINE void LeaveCall() {
    DestroyStates();
    call_.EndWithout(std::uncaught_exceptions() > 0 ? CallOutcome::kException
                                                    : CallOutcome::kCancelled);
  }

  void DestroyStates() {
    [this]<std::size_t... I>(std::index_sequence<I...>) {
      ((call_.depth_ > kDepth - 1 - I ? Leave<kDepth - 1 - I>() : void()), ...);
    }(std::make_index_sequence<kDepth>());
  }

  // Builds the result in place, so that it need not be movable before it is handed on.
  template <class F>
  ABSL_ATTRIBUTE_ALWAYS_INLINE void SetResult(F&& make) {
    ::new (static_cast<void*>(std::addressof(result_.value))) R(std::forward<F>(make)());
    has_result_ = true;
  }

  void DropResult() {
    if (std::exchange(has_result_, false)) std::destroy_at(std::addressof(result_.value));
  }

  static TimeBelow TimeBelowDepth(const void* machine, unsigned depth, TimePoint now,
                                  TimeBelow executor) {
    return internal::BoundedBy(static_cast<const Machine*>(machine)->policies_, depth, now,
                               executor);
  }

  absl::Status status() const { return ResultTraits<R>::StatusOf(result_.value); }

  ABSL_ATTRIBUTE_NOINLINE void AttemptReturned() { call_.AttemptReturned(status()); }

  ABSL_ATTRIBUTE_NOINLINE void End() {
    call_.End(status(), ResultTraits<R>::RetryAfter(result_.value));
  }

  template <std::size_t I>
  using PolicyAt = std::tuple_element_t<I, std::tuple<Policies...>>;
  template <std::size_t I>
  PolicyAt<I>& policy() {
    return std::get<I>(policies_);
  }
  template <std::size_t I>
  auto& state() {
    return std::get<I>(states_).value;
  }

  std::tuple<Policies...>& policies_;
  Call& call_;
  std::tuple<internal::Slot<typename Policies::State>...> states_;
  internal::Slot<R> result_;
  bool has_result_ = false;
  // Of a wait; set by who asks for it.
  bool again_;       // it is one on the way up
  unsigned resume_;  // the policy that asked for it
  internal::UnsetTime wait_until_;
  internal::UnsetTime wait_began_;  // when metered
};

}  // namespace holdfast::driver

#endif  // HOLDFAST_DRIVER_MACHINE_H_
