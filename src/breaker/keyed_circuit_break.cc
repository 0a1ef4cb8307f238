#include "holdfast/breaker/keyed_circuit_break.h"

namespace holdfast::internal {

Verdict KeyedCircuitBreakAdmission::AskByKey(Call& call, KeyedCircuitBreaker& breakers,
                                             std::string_view key, std::string_view policy) {
  BreakerHold::breaker = breakers.GetAt(call.now(), key);
  if (BreakerHold::breaker != nullptr) return Ask(call, *BreakerHold::breaker, policy);
  const absl::Status* const refusal = breakers.no_room();
  return refusal == nullptr ? Verdict::Proceed() : Verdict::Reject(*refusal);
}

}  // namespace holdfast::internal
