#include "holdfast/circuit_break.h"

namespace holdfast::internal {

Verdict CircuitBreakAdmission::AskOtherwise(CircuitBreaker& breaker, std::string_view policy) {
  const CircuitBreaker::Refusal refusal = breaker.AdmitOtherwise(call_->now(), ticket_);
  if (refusal.status == nullptr) return Verdict::Proceed();
  if (!refusal.waived) return Verdict::Reject(*refusal.status, refusal.retry_at);
  call_->Waive(policy, *refusal.status, refusal.retry_at);
  return Verdict::Proceed();
}

}  // namespace holdfast::internal
