// What CircuitBreak and KeyedCircuitBreak have in common.
#ifndef HOLDFAST_INTERNAL_CIRCUIT_BREAK_BASE_H_
#define HOLDFAST_INTERNAL_CIRCUIT_BREAK_BASE_H_

#include <absl/base/attributes.h>
#include <absl/base/optimization.h>
#include <absl/status/status.h>

#include <concepts>
#include <string_view>
#include <type_traits>
#include <utility>

#include "holdfast/call.h"
#include "holdfast/circuit_breaker.h"
#include "holdfast/result.h"
#include "holdfast/verdict.h"

namespace holdfast::internal {

// A call's ticket, if it has one: settled with its result, or else, in the call's time, by why
// there was none.
class CircuitBreakAdmission {
 public:
  CircuitBreakAdmission() = default;
  CircuitBreakAdmission(const CircuitBreakAdmission&) = delete;
  CircuitBreakAdmission& operator=(const CircuitBreakAdmission&) = delete;
  ~CircuitBreakAdmission() {
    if (ticket_.breaker_ == nullptr) return;
    const bool threw = call_->abandonment() == Abandonment::kThrew;
    ticket_.DoneAt(call_->now(), threw ? Outcome::kFailure : Outcome::kIgnored);
  }

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Ask(Call& call, CircuitBreaker& breaker,
                                           std::string_view policy) {
    call_ = &call;
    return breaker.TryAdmitClosed(call.now(), ticket_) ? Verdict::Proceed()
                                                       : AskOtherwise(breaker, policy);
  }

  CircuitBreaker* breaker() const { return ticket_.breaker_; }  // null without a ticket

  ABSL_ATTRIBUTE_ALWAYS_INLINE void Settle(Outcome outcome) {
    if (outcome == Outcome::kSuccess && ticket_.breaker_->TrySucceedUntimed(ticket_)) return;
    ticket_.DoneAt(call_->now(), outcome);
  }

 private:
  Verdict AskOtherwise(CircuitBreaker& breaker, std::string_view policy);

  Call* call_ = nullptr;
  Ticket ticket_;
};

// Reads how a call went from its status.
struct ClassifyStatus {};

template <class Classify>
class CircuitBreakBase {
 public:
  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Next After(Call& call, CircuitBreakAdmission& state, R& result) {
    if (state.breaker() != nullptr) state.Settle(OutcomeOf(call, *state.breaker(), result));
    return Next::Done();
  }

 protected:
  explicit CircuitBreakBase(Classify classify) : classify_(std::move(classify)) {}

 private:
  template <class R>
  Outcome OutcomeOf(const Call& call, const CircuitBreaker& breaker, const R& result) {
    if (call.rejected()) return Outcome::kIgnored;
    if constexpr (std::same_as<Classify, ClassifyStatus>) {
      const absl::Status& status = ResultTraits<R>::StatusOf(result);
      return Stopped(call, status) ? Outcome::kIgnored : breaker.Classify(status);
    } else {
      if (Stopped(call, ResultTraits<R>::StatusOf(result))) return Outcome::kIgnored;
      static_assert(std::is_invocable_r_v<Outcome, Classify&, const Call&, const R&>,
                    "a classifier is called as Outcome(const Call&, const R&)");
      return classify_(call, result);
    }
  }

  // By its caller: no classifier is to take that for a failure.
  static bool Stopped(const Call& call, const absl::Status& status) {
    return ABSL_PREDICT_FALSE(status.code() == absl::StatusCode::kCancelled) &&
           call.stop().stop_requested();
  }

  [[no_unique_address]] Classify classify_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_INTERNAL_CIRCUIT_BREAK_BASE_H_
