// CircuitBreak is the policy that puts a CircuitBreaker around the part of a stack below it.
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
#include "holdfast/call/collector.h"
#include "holdfast/call/policy.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/verdict.h"

namespace holdfast {

// Asks the breaker to admit each call, and reports the outcome of the part of the stack below it.
// Inside of Retry that is each attempt. A rejection has the code kUnavailable.
//
// The outcome of a result is what `classify` returns, called as Outcome(const Call&, const R&
// result) in as many threads as make calls; without it, what the breaker's own `classify` returns
// for the result's status. An exception of the executor is a failure. These are ignored:
//   - a rejection by a policy below;
//   - a call that the caller canceled;
//   - a call that the caller's deadline (CallOptions, or a Timeout outside) cut off before it had
//     as much time as the Timeout inside gives it or, without one, as the slowest tenth of recent
//     successes took: that says nothing of the service.
//
// An exception that `classify` throws passes to the caller, and the call counts as ignored. In
// kMetricsOnly every call proceeds, and Report::dry_run holds the rejection that it would have got.
template <class Classify = internal::ClassifyStatus>
class CircuitBreak : public internal::CircuitBreakBase<Classify> {
 public:
  static constexpr std::string_view kName = "CircuitBreak";

  // Shares the breaker with other stacks, or makes one of its own from options. Throws
  // std::invalid_argument for a null breaker and for options that Validate refuses. The first is a
  // template, so that CircuitBreak({}) means default options.
  template <std::same_as<CircuitBreaker> B>
  explicit CircuitBreak(std::shared_ptr<B> breaker, Classify classify = {})
      : internal::CircuitBreakBase<Classify>(std::move(classify)),
        breaker_(internal::NotNull(std::move(breaker), "CircuitBreak: the CircuitBreaker")) {}
  explicit CircuitBreak(CircuitBreaker::Options breaker, Classify classify = {})
      : CircuitBreak(std::make_shared<CircuitBreaker>(std::move(breaker)), std::move(classify)) {}

  using State = internal::CircuitBreakAdmission;

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Before(Call& call, State& state) const {
    return state.Ask(call, *breaker_, kName);
  }

  PolicyInfo Info(const internal::Changes& changes = {}) const { return breaker_->Info(changes); }

  void Objects(CollectedObjects& objects) const { objects.Add(breaker_, kName); }

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

// Stack(breaker) means Stack(CircuitBreak(breaker)).
template <>
struct PolicyOf<CircuitBreaker> {
  using type = CircuitBreak<>;
};

}  // namespace holdfast

#endif  // HOLDFAST_BREAKER_CIRCUIT_BREAK_H_
