// Retry tries a call again that failed in a way that may pass.
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
#include "holdfast/call/repeatability.h"
#include "holdfast/call/retry_decision.h"
#include "holdfast/call/verdict.h"
#include "holdfast/retry/internal/retry_plan.h"
#include "holdfast/retry/retry_budget.h"
#include "holdfast/retry/retry_options.h"
#include "holdfast/retry/retry_transient.h"

namespace holdfast {

namespace internal {

struct NoPreparation {};

}  // namespace internal

// Sends the call down again while the check says so and there are attempts, time and budget left.
// What a policy below refused is handed on at once, unless wait_for_refusals says otherwise; the
// check is not asked about it then. It never waits towards a time that the call can't use: not
// where the wait, or after it an attempt as fast as the fastest of this call so far, would end
// after the deadline; after a refusal, an attempt as long as the Timeouts below allow. The result
// that it can't or won't retry is handed on as it is. What the check throws passes to the caller.
//
// Whatever the check says, a request that a run has used up is not made again, as far as its type
// says so (repeatability.h): the report then says EndReason::kNotRepeatable. A check of one's own
// is its caller's word that what it retries is idempotent.
template <class CheckRetry = RetryTransient, class Prepare = internal::NoPreparation>
class Retry {
 public:
  static constexpr std::string_view kName = "Retry";
  static constexpr bool kRepeats = true;  // these two: see policy.h
  static constexpr bool kMultiplies = true;

  // Throws std::invalid_argument with the text of Validate. `check` is called with the call and
  // each result, in as many threads as make calls, and returns a RetryDecision or a bool.
  //
  // `prepare` is called with the call and the last result once a retry is decided, before the wait
  // for it: to renew a credential, say. It returns an absl::Status; one that isn't OK means that
  // there is no use in a retry, and the last result is handed on. What it throws passes to the
  // caller.
  explicit Retry(RetryOptions options, CheckRetry check = {}, Prepare prepare = {})
      : plan_(std::move(options)), check_(std::move(check)), prepare_(std::move(prepare)) {}
  // The same with options that change; throws for null settings. A template, so that Retry({})
  // means default options.
  template <std::same_as<Settings<RetryOptions>> S>
  explicit Retry(std::shared_ptr<S> settings, CheckRetry check = {}, Prepare prepare = {})
      : plan_(std::move(settings)), check_(std::move(check)), prepare_(std::move(prepare)) {}

  struct State : internal::RetryPlan::State {
    State() {}  // NOLINT(modernize-use-equals-default): see UnsetTime

    internal::Live<RetryOptions>::Pin plan;  // one for all attempts; none where it never changes
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
    if constexpr (kChecks<R> && kPrepares<R>) {  // else what follows would be more errors
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

  // Each further attempt begins (machine.h).
  void BeforeAgain(Call& call, State& state) const { PlanOf(state).StartAgain(call, state); }

  PolicyInfo Info(const internal::Changes& changes = {}) const {
    return plan_.With(changes).Info(changes);
  }

  void BindClock(internal::ClockBinder& binder) const { budget()->BindClock(binder, kName); }

  // The one that it was given, or its own; never null.
  const std::shared_ptr<RetryBudget>& budget() const { return plan_.first().budget(); }

 private:
  template <class R>
  static constexpr bool kChecks =
      std::is_invocable_r_v<RetryDecision, CheckRetry&, const Call&, const R&>;
  template <class R>
  static constexpr bool kPrepares = std::same_as<Prepare, internal::NoPreparation> ||
                                    std::is_invocable_r_v<absl::Status, Prepare&, Call&, const R&>;

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
