#include "holdfast/retry.h"

#include <algorithm>

namespace holdfast {

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

bool RetryPlan::LastAttempt(Call& call, State& state) const {
  if (++state.attempts < options_.max_attempts) return false;
  call.set_stopped(StopReason::kAttempts);
  return true;
}

Next RetryPlan::Again(Call& call, const State& state, std::optional<Duration> delay,
                      std::optional<Duration> retry_after) const {
  const auto stop = [&call](StopReason reason) {
    call.set_stopped(reason);
    return Next::Done();
  };
  const Duration wait = delay ? std::max(*delay, Duration::zero())
                              : std::max(options_.backoff.Delay(state.attempts, call.random()),
                                         retry_after.value_or(Duration::zero()));
  // A refusal says when it will be over; before that there is nothing to ask.
  const TimePoint at = std::max(SaturatingAdd(call.now(), wait), call.retry_at());
  if (at > call.deadline()) return stop(StopReason::kDeadline);
  if (at == TimePoint::max()) {  // never
    return stop(call.rejected() ? StopReason::kRejected : StopReason::kElapsed);
  }
  if (SaturatingSub(at, state.began) > options_.max_elapsed) return stop(StopReason::kElapsed);
  // What a policy below refused has cost the backend nothing, and this would be the first to reach
  // it.
  if (options_.budget != nullptr && !call.rejected() && !options_.budget->TryWithdraw()) {
    return stop(StopReason::kBudget);
  }
  return Next::Again(at);
}

}  // namespace internal
}  // namespace holdfast
