// The part that CircuitBreak and KeyedCircuitBreak share.
#ifndef HOLDFAST_BREAKER_INTERNAL_CIRCUIT_BREAK_BASE_H_
#define HOLDFAST_BREAKER_INTERNAL_CIRCUIT_BREAK_BASE_H_

#include <absl/base/attributes.h>
#include <absl/base/optimization.h>

#include <string_view>

#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/call/call.h"
#include "holdfast/call/internal/judged_policy.h"
#include "holdfast/call/verdict.h"

namespace holdfast::internal {

// The ticket of one call, if the breaker gave it one. It is settled with the outcome of the call's
// result; without a result, by the reason why there is none, at the call's time.
class CircuitBreakAdmission {
 public:
  CircuitBreakAdmission() {}  // NOLINT(modernize-use-equals-default): see UnsetTime
  CircuitBreakAdmission(const CircuitBreakAdmission&) = delete;
  CircuitBreakAdmission& operator=(const CircuitBreakAdmission&) = delete;
  ABSL_ATTRIBUTE_ALWAYS_INLINE ~CircuitBreakAdmission() {
    if (ABSL_PREDICT_FALSE(ticket_.breaker_ != nullptr)) SettleWithoutResult();
  }

  [[nodiscard]] ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Ask(Call& call, CircuitBreaker& breaker,
                                                         std::string_view policy) {
    call_ = &call;
    return breaker.TryAdmitClosed(call.now(), ticket_) ? Verdict::Proceed()
                                                       : AskOtherwise(breaker, policy);
  }

  CircuitBreaker* judge() const { return ticket_.breaker_.get(); }  // null without a ticket
  SuccessTimes& success_times() const { return ticket_.breaker_->success_times_; }

  ABSL_ATTRIBUTE_ALWAYS_INLINE void Settle(Outcome outcome) {
    if (outcome == Outcome::kSuccess && ticket_.breaker_->TrySucceedUntimed(ticket_)) return;
    ticket_.DoneAt(call_->now(), outcome);
  }

 private:
  Verdict AskOtherwise(CircuitBreaker& breaker, std::string_view policy);
  void SettleWithoutResult();

  Call* call_ = nullptr;
  Ticket ticket_;
};

template <class Classify>
using CircuitBreakBase = JudgedPolicy<Classify, CircuitBreakAdmission>;

}  // namespace holdfast::internal

#endif  // HOLDFAST_BREAKER_INTERNAL_CIRCUIT_BREAK_BASE_H_
