// CircuitBreak puts a CircuitBreaker around what is below it.
//
//   auto breaker = std::make_shared<holdfast::CircuitBreaker>(
//       holdfast::CircuitBreaker::Options{.name = "orders"});
//   auto fetch = holdfast::Stack(holdfast::Retry({}), holdfast::CircuitBreak(breaker))
//                    .Around(transport);
#ifndef HOLDFAST_BREAKER_CIRCUIT_BREAK_H_
#define HOLDFAST_BREAKER_CIRCUIT_BREAK_H_

#include <absl/base/attributes.h>

#include <concepts>
#include <memory>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/breaker/internal/circuit_break_base.h"
#include "holdfast/call/call.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/verdict.h"

namespace holdfast {

// Counts each call below it: inside of Retry, each attempt. How it went is what `classify` says,
// called as Outcome(const Call&, const R& result) in as many threads as make calls, or else what
// the breaker's own `classify` says of the result's status. An exception of the executor is a
// failure; what an inner policy refused, and what the caller cancelled, counts as ignored. So does
// what the caller (the deadline of CallOptions, a Timeout outside) cut off before it had as much
// time as the Timeout inside would have given it or, without one, as the slowest tenth of recent
// successes took: that says nothing of the service.
//
// What `classify` throws passes to the caller, and the call counts as ignored. In kMetricsOnly all
// calls pass, and Report::dry_run has what would have been refused.
template <class Classify = internal::ClassifyStatus>
class CircuitBreak : public internal::CircuitBreakBase<Classify> {
 public:
  static constexpr std::string_view kName = "CircuitBreak";

  // Throws std::invalid_argument for a null breaker. A template, so that CircuitBreak({}) means
  // default options.
  template <std::same_as<CircuitBreaker> B>
  explicit CircuitBreak(std::shared_ptr<B> breaker, Classify classify = {})
      : internal::CircuitBreakBase<Classify>(std::move(classify)),
        breaker_(internal::NotNull(std::move(breaker))) {}
  explicit CircuitBreak(CircuitBreaker::Options breaker, Classify classify = {})
      : CircuitBreak(std::make_shared<CircuitBreaker>(std::move(breaker)), std::move(classify)) {}

  using State = internal::CircuitBreakAdmission;

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Before(Call& call, State& state) const {
    return state.Ask(call, *breaker_, kName);
  }

  PolicyInfo Info(const internal::Changes& changes = {}) const { return breaker_->Info(changes); }

  void BindClock(internal::ClockBinder& binder) const { breaker_->BindClock(binder, kName); }

 private:
  std::shared_ptr<CircuitBreaker> breaker_;
};

template <std::same_as<CircuitBreaker> B>
CircuitBreak(std::shared_ptr<B>) -> CircuitBreak<>;
template <std::same_as<CircuitBreaker> B, class Classify>
CircuitBreak(std::shared_ptr<B>, Classify) -> CircuitBreak<Classify>;
CircuitBreak(CircuitBreaker::Options) -> CircuitBreak<>;
template <class Classify>
CircuitBreak(CircuitBreaker::Options, Classify) -> CircuitBreak<Classify>;

}  // namespace holdfast

#endif  // HOLDFAST_BREAKER_CIRCUIT_BREAK_H_
