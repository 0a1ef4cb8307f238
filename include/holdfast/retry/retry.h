// Retry repeats a call that failed with a transient error, after a backoff.
//
//   auto fetch = holdfast::Stack(holdfast::Timeout(10s), holdfast::Retry({.max_attempts = 4}))
//                    .Around(transport);
//
//   auto busy = [](const holdfast::Call&, const Reply& reply) { return reply.code == kBusy; };
//   auto ask = holdfast::Stack(holdfast::Retry({}, busy)).Around(server);
#ifndef HOLDFAST_RETRY_RETRY_H_
#define HOLDFAST_RETRY_RETRY_H_

#include <absl/base/attributes.h>
#include <absl/base/optimization.h>
#include <absl/status/status.h>

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/result.h"
#include "holdfast/base/settings.h"
#include "holdfast/call/call.h"
#include "holdfast/call/collector.h"
#include "holdfast/call/repeatability.h"
#include "holdfast/call/retry_decision.h"
#include "holdfast/call/verdict.h"
#include "holdfast/retry/internal/retry_plan.h"
#include "holdfast/retry/retry_budget.h"
#include "holdfast/retry/retry_options.h"
#include "holdfast/retry/retry_pause.h"
#include "holdfast/retry/retry_transient.h"

namespace holdfast {

namespace internal {

struct NoPreparation {};

}  // namespace internal

// Repeats a call while the check says so and attempts, time and retry budget are left. Otherwise
// it returns the last result unchanged, and Report::ended_by says why it stopped.
//
// - Rejections. A rejection by a policy below (an open breaker, a limit) is final and returned at
//   once, without asking the check, unless wait_for_refusals is set.
// - Deadlines. Retry does not wait when the call could not use the time that remains: when the wait
//   would end after the deadline, or when an attempt as fast as this call's fastest so far would.
//   After a rejection it takes for an attempt the time that the Timeouts below allow.
// - Requests that cannot be repeated. Whatever the check says, a request that an attempt has used
//   up is not sent again, where its type says so (RequestTraits, repeatability.h); the report then
//   says EndReason::kNotRepeatable. The default check (RetryTransient) also does not repeat a
//   request that is not idempotent, where its type says so. With a check of your own, that is up to
//   the check.
// - Bounds. With default options: 4 attempts, at most 10 s before each retry, or what the backend
//   asked for, up to 5 min; so at most 15 min of waiting. Retry does not bound the attempts
//   themselves: put a Timeout inside of it for each attempt, and one outside for the whole call.
//
// Exceptions of the check and of the preparation pass to the caller. Thread-safe. Copies share the
// budget.
template <class CheckRetry = RetryTransient, class Prepare = internal::NoPreparation>
class Retry {
 public:
  static constexpr std::string_view kName = "Retry";
  static constexpr bool kRepeats = true;  // these two: see policy.h
  static constexpr bool kMultiplies = true;

  // Throws std::invalid_argument with the text of Validate.
  //
  // `check(const Call&, const R&)` is called with each result, successes included, but not with a
  // rejection that is final. It returns a RetryDecision or a bool. The default is RetryTransient.
  //
  // `prepare(const Call&, const R&)` is called with the last result when Retry has decided to
  // retry, before the wait; for example to renew a credential. It returns an absl::Status: if that
  // is not OK, there is no retry, and the last result is returned.
  //
  // Both are called in the thread that makes the call, by several threads at once.
  explicit Retry(RetryOptions options, CheckRetry check = {}, Prepare prepare = {})
      : plan_(std::move(options)), check_(std::move(check)), prepare_(std::move(prepare)) {}
  // With options that change while calls run. Throws std::invalid_argument for null settings.
  template <std::same_as<Settings<RetryOptions>> S>
  explicit Retry(std::shared_ptr<S> settings, CheckRetry check = {}, Prepare prepare = {})
      : plan_(std::move(settings)), check_(std::move(check)), prepare_(std::move(prepare)) {}

  struct State : internal::RetryPlan::State {
    State() {}  // NOLINT(modernize-use-equals-default): see UnsetTime

    internal::Live<RetryOptions>::Pin plan;  // one for all attempts; unset without Settings
  };

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Before(Call& call, State& state) const {
    if (ABSL_PREDICT_FALSE(plan_.changes())) return BeginPinned(call, state);
    return plan_.first().Begin(call, state);
  }

  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Next After(Call& call, State& state, R& result) {
    if constexpr (std::same_as<CheckRetry, RetryTransient>) {
      if (ResultTraits<R>::StatusOf(result).ok()) return Succeed(call, state, result);
    }
    static_assert(kChecks<R>,
                  "Retry: the check must take (const Call&, const R&), where R is what the call "
                  "returns, and return a RetryDecision or a bool");
    static_assert(kPrepares<R>,
                  "Retry: the preparation must take (const Call&, const R&), where R is what the "
                  "call returns, and return an absl::Status");
    if constexpr (kChecks<R> && kPrepares<R>) {  // avoids further compile errors
      if (ABSL_PREDICT_FALSE(PlanOf(state).IsFinal(call))) {
        PlanOf(state).Refused(call, state, EndingOf(result));
        return Next::Done();
      }
      const RetryDecision decision = check_(std::as_const(call), std::as_const(result));
      const bool used_up = decision.again() && IsUsedUp(call, result);
      return Decide(call, state, result,
                    used_up ? RetryDecision::Stop(EndReason::kNotRepeatable) : decision);
    } else {
      return Next::Done();
    }
  }

  // Called by the machine before each attempt after the first (machine.h).
  void BeforeAgain(Call& call, State& state) const { PlanOf(state).StartAgain(call, state); }

  PolicyInfo Info(const internal::Changes& changes = {}) const {
    return plan_.With(changes).Info(changes);
  }

  void BindClock(internal::ClockBinder& binder) const {
    budget()->BindClock(binder, kName);
    if (pause() != nullptr) pause()->BindClock(binder, kName);
  }

  // First the one that rejects calls.
  void Objects(CollectedObjects& objects) const {
    if (pause() != nullptr) objects.Add(pause(), kName);
    objects.Add(budget(), kName);
  }

  // The budget of the options, or the one that this Retry made; never null.
  const std::shared_ptr<RetryBudget>& budget() const { return plan_.first().budget(); }

 private:
  template <class R>
  static constexpr bool kChecks =
      std::is_invocable_r_v<RetryDecision, CheckRetry&, const Call&, const R&>;
  template <class R>
  static constexpr bool kPrepares = std::same_as<Prepare, internal::NoPreparation> ||
                                    std::is_invocable_r_v<absl::Status, Prepare&, Call&, const R&>;

  const std::shared_ptr<RetryPause>& pause() const { return plan_.first().options().pause; }

  ABSL_ATTRIBUTE_NOINLINE Verdict BeginPinned(Call& call, State& state) const {
    if (!state.plan) state.plan = plan_.Read();
    return state.plan->Begin(call, state);
  }
  ABSL_ATTRIBUTE_ALWAYS_INLINE const internal::RetryPlan& PlanOf(const State& state) const {
    return ABSL_PREDICT_TRUE(!state.plan) ? plan_.first() : *state.plan;
  }

  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Next Succeed(Call& call, State& state, const R& result) const {
    PlanOf(state).Succeeded(call, state, result);
    return Next::Done();
  }

  template <class R>
  static internal::RetryPlan::Ending EndingOf(const R& result) {
    return {.status = ResultTraits<R>::StatusOf(result), .result = internal::ResultView(result)};
  }

  template <class R>
  static bool IsUsedUp(const Call& call, const R& result) {
    return internal::MayRunAfter(call, result, true) == Rerun::kUsedUp;
  }

  template <class R>
  Next Decide(Call& call, State& state, const R& result, const RetryDecision& decision) {
    const internal::RetryPlan::Ending ending = EndingOf(result);
    const internal::RetryPlan& plan = PlanOf(state);
    if (plan.SharesPause() && !ending.status.ok()) {
      if (const auto asked = ResultTraits<R>::RetryAfter(result)) plan.Pause(call, *asked);
    }
    if (!decision.again()) {
      if (ending.status.ok()) return Succeed(call, state, result);
      plan.Failed(call, state, ending, decision.why());
      return Next::Done();
    }
    const auto at =
        plan.Again(call, state, ending, decision.delay(), ResultTraits<R>::RetryAfter(result));
    if (!at) return Next::Done();
    if constexpr (!std::same_as<Prepare, internal::NoPreparation>) {
      const absl::Status prepared = prepare_(call, result);
      if (!prepared.ok()) {
        plan.Refuse(call, state, ending);
        return Next::Done();
      }
    }
    return plan.Go(call, state, ending, *at);
  }

  internal::Live<RetryOptions> plan_;
  CheckRetry check_;
  [[no_unique_address]] Prepare prepare_;
};

Retry(RetryOptions) -> Retry<>;
template <std::same_as<Settings<RetryOptions>> S>
Retry(std::shared_ptr<S>) -> Retry<>;
template <std::same_as<Settings<RetryOptions>> S, class CheckRetry>
Retry(std::shared_ptr<S>, CheckRetry) -> Retry<CheckRetry>;
template <std::same_as<Settings<RetryOptions>> S, class CheckRetry, class Prepare>
Retry(std::shared_ptr<S>, CheckRetry, Prepare) -> Retry<CheckRetry, Prepare>;
template <class CheckRetry>
Retry(RetryOptions, CheckRetry) -> Retry<CheckRetry>;
template <class CheckRetry, class Prepare>
Retry(RetryOptions, CheckRetry, Prepare) -> Retry<CheckRetry, Prepare>;

}  // namespace holdfast

#endif  // HOLDFAST_RETRY_RETRY_H_
