#include "holdfast/retry.h"

#include <algorithm>
#include <mutex>
#include <random>

#include "holdfast/internal/validate.h"

namespace holdfast {
namespace {

RetryClass ClassOf(const absl::Status& outcome) {
  switch (outcome.code()) {
    case absl::StatusCode::kResourceExhausted:
      return RetryClass::kThrottled;
    case absl::StatusCode::kDeadlineExceeded:
      return RetryClass::kTimedOut;
    default:
      return RetryClass::kTransient;
  }
}

void Tell(const RetryHook& hook, const Call& call, const RetryEvent& event) {
  if (hook == nullptr) return;
  try {
    hook(call, event);
  } catch (...) {  // NOLINT(bugprone-empty-catch): an observer can't change what it observes
  }
}

}  // namespace

RetryOptions RetryOptions::Retryablehttp() {
  using std::chrono::seconds;
  return {.max_attempts = 5,
          .backoff = Backoff::Exponential(
              {.initial = seconds(1), .max = seconds(30), .jitter = Jitter::kNone}),
          .budget = nullptr};
}

absl::Status Validate(const RetryOptions& options) {
  if (options.max_attempts < 1) {
    return absl::InvalidArgumentError("Retry: max_attempts must be >= 1");
  }
  if (options.max_elapsed < Duration::zero()) {
    return absl::InvalidArgumentError("Retry: max_elapsed must be >= 0");
  }
  return absl::OkStatus();
}

namespace internal {

class RetryPlan::Random {
 public:
  explicit Random(std::uint64_t seed) : gen_(seed) {}

  std::uint64_t Draw() {
    const std::lock_guard lock(mutex_);
    return gen_();
  }

 private:
  std::mutex mutex_;
  std::mt19937_64 gen_;
};

RetryPlan::RetryPlan(RetryOptions options) : options_(Validated(std::move(options))) {
  if (options_.seed) random_ = std::make_shared<Random>(*options_.seed);
}

bool RetryPlan::Charge::Take(const Call& call, RetryBudget& budget, RetryClass why) {
  Settle();
  if (!budget.TryWithdraw(why)) return false;
  budget_ = &budget;
  call_ = &call;
  attempt_ = call.attempt();
  why_ = why;
  return true;
}

void RetryPlan::Charge::SettleTaken() {
  if (call_->attempt() == attempt_) budget_->Refund(why_);
  budget_ = nullptr;
}

void RetryPlan::TellSuccess(Call& call, State& state) const {
  const absl::Status ok;
  Tell(options_.on_attempt, call, {.attempt = ++state.attempts, .outcome = ok});
}

void RetryPlan::Failed(Call& call, State& state, const absl::Status& outcome,
                       StopReason why) const {
  Tell(options_.on_attempt, call, {.attempt = ++state.attempts, .outcome = outcome});
  // By an executor that looked at the caller's stop token.
  if (absl::IsCancelled(outcome) && call.stop().stop_requested()) {
    return call.set_stopped(StopReason::kCancelled);
  }
  // A report says by itself that it is not retryable, or better: what was refused and why.
  if (why != StopReason::kNotRetryable) call.set_stopped(why);
  GiveUp(call, state, outcome, why);
}

std::optional<TimePoint> RetryPlan::Again(Call& call, State& state, const absl::Status& outcome,
                                          std::optional<Duration> delay,
                                          std::optional<Duration> retry_after) const {
  Tell(options_.on_attempt, call, {.attempt = ++state.attempts, .outcome = outcome});
  StopReason why = StopReason::kAttempts;
  if (state.attempts < options_.max_attempts) {
    const Duration wait =
        delay ? std::max(*delay, Duration::zero())
              : std::max(Backoff(call, state.attempts), retry_after.value_or(Duration::zero()));
    // A refusal says when it will be over; before that there is nothing to ask.
    const TimePoint at = std::max(SaturatingAdd(call.now(), wait), call.retry_at());
    why = WhyNot(call, state, at);
    if (why == StopReason::kSuccess) {
      if (Withdraw(call, state, outcome)) return at;
      why = StopReason::kBudget;
    }
  }
  call.set_stopped(why);
  GiveUp(call, state, outcome, why);
  return std::nullopt;
}

// kSuccess where nothing speaks against it.
StopReason RetryPlan::WhyNot(Call& call, State& state, TimePoint at) const {
  if (at > call.deadline()) return StopReason::kDeadline;
  if (at == TimePoint::max()) {  // never
    return call.rejected() ? StopReason::kRejected : StopReason::kElapsed;
  }
  if (SaturatingSub(at, state.began) > options_.max_elapsed) return StopReason::kElapsed;
  if (call.deadline() == TimePoint::max()) return StopReason::kSuccess;
  // What a policy below refused was no attempt.
  if (!call.rejected()) {
    state.fastest = std::min(state.fastest, SaturatingSub(call.now(), state.attempt_began));
  }
  const bool known = state.fastest != Duration::max();
  return known && SaturatingAdd(at, state.fastest) > call.deadline() ? StopReason::kDeadline
                                                                     : StopReason::kSuccess;
}

// What a policy below refused has cost the backend nothing, and the next would be the first to
// reach it.
bool RetryPlan::Withdraw(Call& call, State& state, const absl::Status& outcome) const {
  return options_.budget == nullptr || call.rejected() ||
         state.charge.Take(call, *options_.budget, ClassOf(outcome));
}

Duration RetryPlan::Backoff(Call& call, int retry) const {
  if (random_ == nullptr) return options_.backoff.Delay(retry, call.random());
  // A user's own backoff is asked outside of the lock.
  std::mt19937_64 gen(random_->Draw());
  return options_.backoff.Delay(retry, gen);
}

Next RetryPlan::Go(Call& call, State& state, const absl::Status& outcome, TimePoint at) const {
  Tell(options_.on_retry, call,
       {.attempt = state.attempts,
        .outcome = outcome,
        .delay = std::max(SaturatingSub(at, call.now()), Duration::zero())});
  state.attempt_began = at;
  return Next::Again(at);
}

void RetryPlan::Refuse(Call& call, State& state, const absl::Status& outcome) const {
  call.set_stopped(StopReason::kNotRetryable);
  GiveUp(call, state, outcome, StopReason::kNotRetryable);
}

void RetryPlan::GiveUp(Call& call, const State& state, const absl::Status& outcome,
                       StopReason why) const {
  Tell(options_.on_give_up, call, {.attempt = state.attempts, .outcome = outcome, .stopped = why});
}

}  // namespace internal
}  // namespace holdfast
