// CircuitBreak puts a CircuitBreaker around what is below it.
//
//   auto breaker = std::make_shared<holdfast::CircuitBreaker>(
//       holdfast::CircuitBreaker::Options{.name = "orders"});
//   auto fetch = holdfast::Stack(holdfast::Retry({}), holdfast::CircuitBreak(breaker))
//                    .Around(transport);
#ifndef HOLDFAST_CIRCUIT_BREAK_H_
#define HOLDFAST_CIRCUIT_BREAK_H_

#include <absl/base/attributes.h>

#include <concepts>
#include <memory>
#include <string_view>
#include <utility>

#include "holdfast/call.h"
#include "holdfast/circuit_breaker.h"
#include "holdfast/internal/validate.h"
#include "holdfast/result.h"
#include "holdfast/verdict.h"

namespace holdfast {

// Counts each call below it: inside of Retry, each attempt. How it went is read from its status, by
// the breaker's `classify`; an exception of the executor is a failure; what an inner policy
// refused, and what the caller cancelled, counts as ignored.
class CircuitBreak {
 public:
  static constexpr std::string_view kName = "CircuitBreak";

  // Throws std::invalid_argument for a null breaker. A template, so that CircuitBreak({}) means
  // default options.
  template <std::same_as<CircuitBreaker> B>
  explicit CircuitBreak(std::shared_ptr<B> breaker)
      : breaker_(internal::NotNull(std::move(breaker))) {}
  explicit CircuitBreak(CircuitBreaker::Options breaker)
      : CircuitBreak(std::make_shared<CircuitBreaker>(std::move(breaker))) {}

  class State {
   public:
    // In the call's time, which need not be that of the breaker's own clock.
    ~State() {
      if (ticket_.breaker_ == nullptr) return;
      const bool threw = call_->abandonment() == Abandonment::kThrew;
      ticket_.DoneAt(call_->now(), threw ? Outcome::kFailure : Outcome::kIgnored);
    }

   private:
    friend class CircuitBreak;
    Call* call_ = nullptr;
    Ticket ticket_;
  };

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Before(Call& call, State& state) const {
    state.call_ = &call;
    return breaker_->TryAdmitClosed(call.now(), state.ticket_) ? Verdict::Proceed()
                                                               : Admit(call, state);
  }

  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Next After(Call& call, State& state, R& result) const {
    const Outcome outcome =
        call.rejected() ? Outcome::kIgnored : breaker_->Classify(ResultTraits<R>::StatusOf(result));
    if (outcome == Outcome::kSuccess && breaker_->TrySucceedUntimed(state.ticket_)) {
      return Next::Done();
    }
    state.ticket_.DoneAt(call.now(), outcome);
    return Next::Done();
  }

 private:
  Verdict Admit(Call& call, State& state) const;

  std::shared_ptr<CircuitBreaker> breaker_;
};

}  // namespace holdfast

#endif  // HOLDFAST_CIRCUIT_BREAK_H_
