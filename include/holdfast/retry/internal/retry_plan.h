// The part of Retry that knows neither the result nor the check.
#ifndef HOLDFAST_RETRY_INTERNAL_RETRY_PLAN_H_
#define HOLDFAST_RETRY_INTERNAL_RETRY_PLAN_H_

#include <absl/base/attributes.h>
#include <absl/base/optimization.h>
#include <absl/status/status.h>

#include <memory>
#include <optional>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/unset_time.h"
#include "holdfast/base/settings.h"
#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/report.h"
#include "holdfast/call/verdict.h"
#include "holdfast/retry/retry_budget.h"
#include "holdfast/retry/retry_options.h"

namespace holdfast {

namespace internal {

// Of one Retry; its copies share it.
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
    [[nodiscard]] bool Take(Call& call, RetryBudget& budget, RetryCause why);

   private:
    void Settle() {
      if (ABSL_PREDICT_FALSE(budget_ != nullptr)) SettleTaken();
    }
    void SettleTaken();

    RetryBudget* budget_ = nullptr;  // null: nothing was taken
    // When something was.
    const Call* call_;
    int attempt_;  // of the call, that the retry is to follow
    RetryCause why_;
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
    if (call.FirstToClaim(budget)) budget->Deposit();
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
  void Failed(Call& call, State& state, const Ending& ending, EndReason why) const;

  // One that the check wants to try again: when that will be, or nullopt if it won't. A budget has
  // been charged then. `retry_after` is what the backend asked for.
  std::optional<TimePoint> Again(Call& call, State& state, const Ending& ending,
                                 std::optional<Duration> delay,
                                 std::optional<Duration> retry_after) const;
  // Then one of these.
  Next Go(Call& call, State& state, const Ending& ending, TimePoint at) const;
  void Refuse(Call& call, State& state, const Ending& ending) const;

  PolicyInfo Info(const Changes& changes) const;
  const RetryOptions& options() const { return options_; }
  const std::shared_ptr<RetryBudget>& budget() const { return options_.budget; }

 private:
  class Random;

  Verdict BeginAfterPause(Call& call, State& state) const;
  void TellBegin(Call& call, State& state) const;
  void TellEnd(Call& call, State& state, const Ending& ending) const;
  TimePoint NextTry(Call& call, const State& state, std::optional<Duration> delay,
                    std::optional<Duration> retry_after) const;
  EndReason WhyNot(Call& call, State& state, TimePoint at) const;
  bool HasTime(Call& call, State& state, TimePoint at) const;
  bool Withdraw(Call& call, State& state, const absl::Status& outcome) const;
  Duration Backoff(Call& call, int retry) const;
  Duration Spread(Call& call) const;
  Duration Draw(Call& call, Duration most) const;
  void GiveUp(Call& call, const State& state, const Ending& ending, EndReason why) const;

  RetryOptions options_;
  bool timed_;  // each attempt's beginning matters: for max_elapsed, or to a hook
  std::shared_ptr<Random> random_;  // null: the call's
};

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

}  // namespace holdfast

#endif  // HOLDFAST_RETRY_INTERNAL_RETRY_PLAN_H_
