#include "holdfast/breaker/circuit_break.h"

#include <algorithm>

namespace holdfast::internal {

namespace {

// How long the call may take from now on: Duration::max() if nothing bounds it.
Duration LongestOf(Call& call) {
  const Duration below = call.time_below().call;
  if (call.deadline() == TimePoint::max()) return below;
  return std::min(below, std::max(SaturatingSub(call.deadline(), call.now()), Duration::zero()));
}

}  // namespace

Verdict CircuitBreakAdmission::AskOtherwise(CircuitBreaker& breaker, std::string_view policy) {
  const CircuitBreaker::Refusal refusal =
      breaker.AdmitOtherwise(call_->now(), ticket_, LongestOf(*call_));
  if (refusal.status == nullptr) return Verdict::Proceed();
  if (!refusal.dry_run) return Verdict::Reject(*refusal.status, refusal.retry_at, refusal.spread);
  call_->NoteDryRun(policy, *refusal.status, refusal.retry_at);
  return Verdict::Proceed();
}

void CircuitBreakAdmission::SettleWithoutResult() {
  const bool failed =
      call_->abandonment() == Abandonment::kThrew && !CutOffEarly(*call_, success_times());
  ticket_.DoneAt(call_->now(), failed ? Outcome::kFailure : Outcome::kIgnored);
}

}  // namespace holdfast::internal
