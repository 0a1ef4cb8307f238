#include "holdfast/circuit_break.h"

namespace holdfast {

Verdict CircuitBreak::Admit(Call& call, State& state) const {
  absl::StatusOr<Ticket> ticket = breaker_->AdmitAt(call.now());
  if (!ticket.ok()) return Verdict::Reject(ticket.status(), breaker_->retry_at());
  state.ticket_ = *std::move(ticket);
  return Verdict::Proceed();
}

}  // namespace holdfast
