// The part of Retry that depends neither on the type of the result nor on the check.
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

// The decisions of one Retry.
class RetryPlan {
 public:
  explicit RetryPlan(RetryOptions options);  // which are valid
  // Options that follow on those of `before`: with the same seed the jitter continues.
  RetryPlan(RetryOptions options, const RetryPlan& before);

  // What a retry has withdrawn from the budget. It is refunded if the executor does not run for
  // that retry, because something rejects, cancels or throws before.
  class Charge {
   public:
    Charge() = default;
    Charge(const Charge&) = delete;
    Charge& operator=(const Charge&) = delete;
    ~Charge() { Settle(); }

    // Withdraws for the next retry; false if the budget does not allow it.
    [[nodiscard]] bool Take(Call& call, RetryBudget& budget, RetryCause why);

   private:
    void Settle() {
      if (ABSL_PREDICT_FALSE(budget_ != nullptr)) SettleTaken();
    }
    void SettleTaken();

    RetryBudget* budget_ = nullptr;  // null: nothing was withdrawn
    // Set while budget_ is.
    const Call* call_;
    int attempt_;  // the call's number of attempts before the retry
    RetryCause why_;
  };

  struct State {
    State() {}  // NOLINT(modernize-use-equals-default): see UnsetTime

    int attempts = 0;         // attempts that have ended
    int runs = 0;             // runs of the executor before the present attempt; set with hooks
    UnsetTime began;          // when the call came; set with a deadline, max_elapsed or hooks
    UnsetTime attempt_began;  // when the present attempt began; likewise
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
  // For each attempt after the first.
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

  // Whether a Retry-After concerns other calls too.
  bool SharesPause() const { return options_.pause != nullptr; }
  void Pause(Call& call, Duration retry_after) const;

  // Whether the result is a rejection that is returned at once.
  bool IsFinal(const Call& call) const { return call.rejected() && !options_.wait_for_refusals; }
  void Refused(Call& call, State& state, const Ending& ending) const;

  // After the last attempt failed; `why` says why there is no retry.
  void Failed(Call& call, State& state, const Ending& ending, EndReason why) const;

  // After an attempt that the check wants to retry: the time of the retry, for which the budget was
  // charged; nullopt if there is none. `retry_after` is the backend's, if any.
  std::optional<TimePoint> Again(Call& call, State& state, const Ending& ending,
                                 std::optional<Duration> delay,
                                 std::optional<Duration> retry_after) const;
  // After Again returned a time, one of these: retry, or give up after all.
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
  bool timed_;  // the time of each attempt is needed: for max_elapsed, or for a hook
  std::shared_ptr<Random> random_;  // with a seed; null: the call's own
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
