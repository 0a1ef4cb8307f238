// Retry tries a call again that failed in a way that may pass.
//
//   auto fetch = holdfast::Stack(holdfast::Timeout(10s), holdfast::Retry({.max_attempts = 4}))
//                    .Around(transport);
//
//   auto busy = [](const holdfast::Call&, const Reply& reply) { return reply.code == kBusy; };
//   auto ask = holdfast::Stack(holdfast::Retry({}, busy)).Around(server);
#ifndef HOLDFAST_RETRY_H_
#define HOLDFAST_RETRY_H_

#include <absl/base/attributes.h>
#include <absl/base/optimization.h>
#include <absl/status/status.h>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "holdfast/backoff.h"
#include "holdfast/call.h"
#include "holdfast/internal/object_clock.h"
#include "holdfast/internal/unset_time.h"
#include "holdfast/policy_facts.h"
#include "holdfast/rejection.h"
#include "holdfast/repeatability.h"
#include "holdfast/report.h"
#include "holdfast/result.h"
#include "holdfast/retry_budget.h"
#include "holdfast/retry_pause.h"
#include "holdfast/settings.h"
#include "holdfast/verdict.h"

namespace holdfast {

// What a CheckRetry answers.
class RetryDecision {
 public:
  // No more; the report says `why`.
  static RetryDecision Stop(StopReason why = StopReason::kNotRetryable) {
    RetryDecision stop(false);
    stop.why_ = why;
    return stop;
  }
  // Again, after the backoff's delay or what the backend asked for, whichever is longer.
  static RetryDecision Again() { return RetryDecision(true, std::nullopt); }
  // Again, after exactly `delay`.
  static RetryDecision AgainAfter(TimeSpan delay) { return RetryDecision(true, delay); }

  // So that a CheckRetry may return a bool.
  RetryDecision(std::same_as<bool> auto again)
      : again_(again) {}  // NOLINT(google-explicit-constructor)

  bool again() const { return again_; }
  std::optional<Duration> delay() const { return delay_; }
  StopReason why() const { return why_; }  // of a Stop

 private:
  RetryDecision(bool again, std::optional<Duration> delay) : again_(again), delay_(delay) {}

  bool again_;
  StopReason why_ = StopReason::kNotRetryable;
  std::optional<Duration> delay_;
};

namespace internal {

// An attempt's result, whatever its type.
class ResultView {
 public:
  ResultView() = default;
  template <class R>
  explicit ResultView(const R& result) : result_(&result), type_(&type<R>) {}

  template <class R>
  const R* As() const {
    return type_ == &type<R> ? static_cast<const R*>(result_) : nullptr;
  }

 private:
  // Its address stands for the type. Not const: a linker may fold constants that are equal.
  template <class R>
  static inline constinit char type = 0;

  const void* result_ = nullptr;
  const void* type_ = nullptr;
};

}  // namespace internal

// An attempt, as a Retry sees it.
struct RetryEvent {
  int attempt;                  // of this Retry, from 1; those that were refused count
  const absl::Status& outcome;  // OK for a success, and before the attempt
  Duration took{0};             // since it began, with what it waited in policies below
  Duration delay{0};            // on_retry: before the next attempt
  StopReason stopped = StopReason::kSuccess;  // on_give_up: why there is none
  internal::ResultView any_result = {};

  // The result, where it is an R; null before the attempt, and for any other R.
  template <class R>
  const R* result() const {
    return any_result.As<R>();
  }
};

// For a log, or a count. Called in the thread that makes the call, in as many at once as make
// calls; what it throws is dropped.
using RetryHook = std::function<void(const Call&, const RetryEvent&)>;

struct RetryOptions {
  // Tries, the first one included; >= 1. With wait_for_refusals, what a policy below refuses is one
  // as well.
  int max_attempts = 4;
  Backoff backoff = {};
  // Each retry of what reached the executor spends from it, each success repays. One that never
  // comes to the executor, as the caller stops it or a policy below refuses it, is free. Null: one
  // of this Retry's own, with default options, which its copies share; so make a Retry once for
  // each origin, not for each call. RetryBudget::Unlimited(): none.
  std::shared_ptr<RetryBudget> budget = nullptr;
  // What becomes of a call that a policy below refuses (an open breaker, a limit): false, the
  // refusal is final and handed on, with the time at which another try can succeed in
  // Report::retry_at. True, for batch work that nobody waits for: it waits for that time and tries
  // again, where after the wait there is time for a whole attempt. Those who wait are spread over
  // eight times as long as the breaker was open, so that they do not come as a herd when it closes.
  bool wait_for_refusals = false;
  // A backend that asks to be left alone (Retry-After) is, for so long; >= 0. Where it asks for
  // more, the result is handed on at once, and Report::retry_at has the time: to ask again before
  // that would be in vain. Five minutes is what Envoy puts up with by default
  // (RateLimitedRetryBackOff.max_interval).
  TimeSpan max_retry_after = std::chrono::minutes(5);
  // Where what a backend asked one call is kept for all others that have the same pause, for
  // max_retry_after at most: until then those that come are refused with kUnavailable, or wait with
  // wait_for_refusals, and no retry is sent. Null: it concerns that call alone.
  std::shared_ptr<RetryPause> pause = nullptr;
  // No retry starts later than this after the call came to this Retry; >= 0.
  TimeSpan max_elapsed = Duration::max();
  // Of the jitter, for runs that repeat themselves, as children of fork() then do; nullopt: at
  // random.
  std::optional<std::uint64_t> seed = std::nullopt;

  // An attempt begins, and ends in one of the next two, if the call is not stopped and nothing
  // throws. What a policy below answers (a Cache) ends in neither: nobody was asked.
  RetryHook before_attempt = {};
  RetryHook on_attempt = {};  // it ran: as often as this the service was called
  RetryHook on_refused = {};  // it never left: a policy below refused it, or had no time for it
  RetryHook on_retry = {};    // before the wait for the next one
  RetryHook on_give_up = {};  // where a failure is handed on; not for a call that was cancelled

  // What hashicorp/go-retryablehttp does: 4 retries, 1 s before the first and up to 30 s, without
  // jitter and without a budget.
  static RetryOptions Retryablehttp();
};

absl::Status Validate(const RetryOptions& options);

namespace internal {

// What the run that gave `result` can have done; what a policy refused has done nothing.
template <class R>
Effect EffectOf(const Call& call, const absl::Status& status, const R& result) {
  if (call.rejected() || RejectionOf(status)) return Effect::kNone;
  if constexpr (requires {
                  { ResultTraits<R>::EffectOf(call, result) } -> std::same_as<Effect>;
                }) {
    return ResultTraits<R>::EffectOf(call, result);
  } else {
    return Effect::kUnknown;
  }
}

// `idempotent`: whatever the request says of that.
template <class R>
Rerun MayRunAfter(const Call& call, const R& result, bool idempotent) {
  std::optional<Repeatability> request = call.repeatability();
  if (!request) return Rerun::kMay;
  request->idempotent |= idempotent;
  return MayRunAgain(*request, EffectOf(call, ResultTraits<R>::StatusOf(result), result));
}

}  // namespace internal

// Retries what is transient: see IsTransient (result.h), or what ResultTraits<R>'s own, of the call
// and the result or of the result alone, says where a specialisation has one. Answers with a bool,
// or as the first of these does; that one also judges by what the request says of being made twice,
// which for the others is done here: see repeatability.h.
struct RetryTransient {
  template <class R>
  auto operator()(const Call& call, const R& result) const {
    if constexpr (requires {
                    {
                      ResultTraits<R>::IsTransient(call, result)
                    } -> std::convertible_to<RetryDecision>;
                  }) {
      return ResultTraits<R>::IsTransient(call, result);
    } else if constexpr (requires {
                           { ResultTraits<R>::IsTransient(result) } -> std::same_as<bool>;
                         }) {
      return ResultTraits<R>::IsTransient(result) && IsIdempotent(call, result);
    } else {
      return IsTransient(ResultTraits<R>::StatusOf(result)) && IsIdempotent(call, result);
    }
  }

 private:
  // As far as that matters after this result, and is known.
  template <class R>
  static bool IsIdempotent(const Call& call, const R& result) {
    return internal::MayRunAfter(call, result, false) != Rerun::kNotIdempotent;
  }
};

namespace internal {

// The part of Retry that knows neither the result nor the check.
class RetryPlan {
 public:
  explicit RetryPlan(RetryOptions options);  // which are valid
  // The same, after `before`: with the same seed its jitter goes on.
  RetryPlan(RetryOptions options, const RetryPlan& before);

  // What a budget was charged for a retry. It goes back if the executor is not run for that:
  // whatever refuses, stops or throws before it.
  class Charge {
   public:
    Charge() = default;
    Charge(const Charge&) = delete;
    Charge& operator=(const Charge&) = delete;
    ~Charge() { Settle(); }

    // For the retry that comes next; false if the budget does not allow it.
    bool Take(Call& call, RetryBudget& budget, RetryClass why);

   private:
    void Settle() {
      if (ABSL_PREDICT_FALSE(budget_ != nullptr)) SettleTaken();
    }
    void SettleTaken();

    RetryBudget* budget_ = nullptr;  // null: nothing was taken
    // When something was.
    const Call* call_;
    int attempt_;  // of the call, that the retry is to follow
    RetryClass why_;
  };

  struct State {
    State() {}  // NOLINT(modernize-use-equals-default): see UnsetTime

    int attempts = 0;         // that have ended
    int runs = 0;             // of the executor, before the present one; known with hooks
    UnsetTime began;          // when the call came; known where it matters
    UnsetTime attempt_began;  // the present one, likewise
    Duration fastest = Duration::max();
    Charge charge;
  };

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Begin(Call& call, State& state) const {
    if (ABSL_PREDICT_FALSE(options_.pause != nullptr)) return BeginAfterPause(call, state);
    Start(call, state);
    return Verdict::Proceed();
  }
  void Start(Call& call, State& state) const {
    if (call.deadline() != TimePoint::max() || timed_) {
      state.began = state.attempt_began = call.now();
      if (ABSL_PREDICT_FALSE(timed_)) TellBegin(call, state);
    }
  }
  // The same for the attempts after the first.
  void StartAgain(Call& call, State& state) const {
    state.attempt_began = call.now();
    if (timed_) TellBegin(call, state);
  }

  // How an attempt ended.
  struct Ending {
    absl::Status status;
    ResultView result;
  };

  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE void Succeeded(Call& call, State& state, const R& result) const {
    RetryBudget* const budget = options_.budget.get();
    if (call.MayRepay(budget)) budget->Deposit();
    if (ABSL_PREDICT_FALSE(timed_)) {
      TellEnd(call, state, {.status = absl::OkStatus(), .result = ResultView(result)});
    }
  }

  // What the backend asked for with a failure concerns others too.
  bool SharesPause() const { return options_.pause != nullptr; }
  void Pause(Call& call, Duration retry_after) const;

  // Whether what came up is a policy's refusal that is not to be waited for.
  bool IsFinal(const Call& call) const { return call.rejected() && !options_.wait_for_refusals; }
  void Refused(Call& call, State& state, const Ending& ending) const;

  // An attempt that failed for good, and why it is the last one.
  void Failed(Call& call, State& state, const Ending& ending, StopReason why) const;

  // One that the check wants to try again: when that will be, or nullopt if it won't. A budget has
  // been charged then. `retry_after` is what the backend asked for.
  std::optional<TimePoint> Again(Call& call, State& state, const Ending& ending,
                                 std::optional<Duration> delay,
                                 std::optional<Duration> retry_after) const;
  // Then one of these.
  Next Go(Call& call, State& state, const Ending& ending, TimePoint at) const;
  void Refuse(Call& call, State& state, const Ending& ending) const;

  PolicyFacts Facts(const Changes& changes) const;
  const RetryOptions& options() const { return options_; }
  const std::shared_ptr<RetryBudget>& budget() const { return options_.budget; }

 private:
  class Random;

  Verdict BeginAfterPause(Call& call, State& state) const;
  void TellBegin(Call& call, State& state) const;
  void TellEnd(Call& call, State& state, const Ending& ending) const;
  TimePoint NextTry(Call& call, const State& state, std::optional<Duration> delay,
                    std::optional<Duration> retry_after) const;
  StopReason WhyNot(Call& call, State& state, TimePoint at) const;
  bool HasTime(Call& call, State& state, TimePoint at) const;
  bool Withdraw(Call& call, State& state, const absl::Status& outcome) const;
  Duration Backoff(Call& call, int retry) const;
  Duration Spread(Call& call) const;
  Duration Draw(Call& call, Duration most) const;
  void GiveUp(Call& call, const State& state, const Ending& ending, StopReason why) const;

  RetryOptions options_;
  bool timed_;  // each attempt's beginning matters: for max_elapsed, or to a hook
  std::shared_ptr<Random> random_;  // null: the call's
};

struct NoPreparation {};

template <>
struct SettingsPlan<RetryOptions> {
  using type = RetryPlan;
  static const RetryOptions& OptionsOf(const RetryPlan& plan) { return plan.options(); }
  static RetryPlan After(const RetryPlan& present, RetryOptions next) {
    return {std::move(next), present};
  }
  static absl::Status Keep(const RetryOptions& present, RetryOptions& next);
};

}  // namespace internal

// Sends the call down again while the check says so and there are attempts, time and budget left.
// What a policy below refused is handed on at once, unless wait_for_refusals says otherwise; the
// check is not asked about it then. It never waits towards a time that the call can't use: not
// where the wait, or after it an attempt as fast as the fastest of this call so far, would end
// after the deadline; after a refusal, an attempt as long as the Timeouts below allow. The result
// that it can't or won't retry is handed on as it is. What the check throws passes to the caller.
//
// Whatever the check says, a request that a run has used up is not made again, as far as its type
// says so (repeatability.h): the report then says StopReason::kNotRepeatable. A check of one's own
// is its caller's word that what it retries is idempotent.
template <class CheckRetry = RetryTransient, class Prepare = internal::NoPreparation>
class Retry {
 public:
  static constexpr std::string_view kName = "Retry";
  static constexpr bool kRepeats = true;

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
    if (ABSL_PREDICT_FALSE(PlanOf(state).IsFinal(call))) {
      PlanOf(state).Refused(call, state, EndingOf(result));
      return Next::Done();
    }
    const RetryDecision decision = check_(std::as_const(call), std::as_const(result));
    const bool used_up = decision.again() && IsUsedUp(call, result);
    return Decide(call, state, result,
                  used_up ? RetryDecision::Stop(StopReason::kNotRepeatable) : decision);
  }

  // Each further attempt begins (machine.h).
  void BeforeAgain(Call& call, State& state) const { PlanOf(state).StartAgain(call, state); }

  PolicyFacts Facts(const internal::Changes& changes = {}) const {
    return plan_.With(changes).Facts(changes);
  }

  void BindClock(internal::ClockBinder& binder) const { budget()->BindClock(binder, kName); }

  // The one that it was given, or its own; never null.
  const std::shared_ptr<RetryBudget>& budget() const { return plan_.first().budget(); }

 private:
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

#endif  // HOLDFAST_RETRY_H_
