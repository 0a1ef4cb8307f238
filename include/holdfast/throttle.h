// Throttle puts a Throttler around what is below it.
//
//   auto throttler = std::make_shared<holdfast::Throttler>(
//       holdfast::Throttler::Options{.name = "orders"});
//   auto fetch = holdfast::Stack(holdfast::Retry({}), holdfast::Throttle(throttler),
//                                holdfast::Timeout(2s))
//                    .Around(transport);
//   auto order = fetch.With({.priority = holdfast::Priority::kCritical}, request);
#ifndef HOLDFAST_THROTTLE_H_
#define HOLDFAST_THROTTLE_H_

#include <absl/base/attributes.h>

#include <concepts>
#include <memory>
#include <string_view>
#include <utility>

#include "holdfast/call.h"
#include "holdfast/internal/changes.h"
#include "holdfast/internal/judged_policy.h"
#include "holdfast/internal/object_clock.h"
#include "holdfast/internal/validate.h"
#include "holdfast/policy_facts.h"
#include "holdfast/throttler.h"
#include "holdfast/verdict.h"

namespace holdfast {

namespace internal {

// A call's ticket, if it has one: settled with its result, or else by why there was none.
class ThrottleAdmission {
 public:
  ThrottleAdmission() = default;
  ThrottleAdmission(const ThrottleAdmission&) = delete;
  ThrottleAdmission& operator=(const ThrottleAdmission&) = delete;
  ~ThrottleAdmission() {
    if (judge() != nullptr && call_->abandonment() == Abandonment::kThrew &&
        !CutOffEarly(*call_, success_times())) {
      Settle(Outcome::kFailure);
    }
  }

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Ask(Call& call, Throttler& throttler) {
    if (!throttler.CalmAt(call.now()) && throttler.Refuses(call.priority(), call.random())) {
      return Verdict::Reject(*throttler.refused_);
    }
    call_ = &call;
    ticket_.throttler_ = &throttler;
    ticket_.priority_ = call.priority();
    return Verdict::Proceed();
  }

  Throttler* judge() const { return ticket_.throttler_; }  // null without a ticket
  SuccessTimes& success_times() const { return ticket_.throttler_->success_times_; }

  ABSL_ATTRIBUTE_ALWAYS_INLINE void Settle(Outcome outcome) {
    ticket_.DoneAt(outcome == Outcome::kFailure ? call_->now() : TimePoint::min(), outcome);
  }

 private:
  Call* call_ = nullptr;
  Throttler::Ticket ticket_;
};

}  // namespace internal

// Counts each call below it, and refuses some, by their priority, while the backend accepts too
// few: see Throttler. Inside of Retry it counts each attempt.
//
// Whether a call was accepted is what `classify` says, called as Outcome(const Call&, const R&
// result) in as many threads as make calls (kFailure: it was not), or else what the throttler's own
// `classify` says of the result's status. An exception of the executor was not accepted; what an
// inner policy refused, and what the caller cancelled or cut off early (internal/judged_policy.h),
// is not counted. What `classify` throws passes to the caller, and the call is not counted.
template <class Classify = internal::ClassifyStatus>
class Throttle : public internal::JudgedPolicy<Classify, internal::ThrottleAdmission> {
 public:
  static constexpr std::string_view kName = "Throttle";

  // Throws std::invalid_argument for a null throttler. A template, so that Throttle({}) means
  // default options.
  template <std::same_as<Throttler> T>
  explicit Throttle(std::shared_ptr<T> throttler, Classify classify = {})
      : internal::JudgedPolicy<Classify, internal::ThrottleAdmission>(std::move(classify)),
        throttler_(internal::NotNull(std::move(throttler))) {}
  explicit Throttle(Throttler::Options throttler, Classify classify = {})
      : Throttle(std::make_shared<Throttler>(std::move(throttler)), std::move(classify)) {}

  using State = internal::ThrottleAdmission;

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Before(Call& call, State& state) const {
    return state.Ask(call, *throttler_);
  }

  PolicyFacts Facts(const internal::Changes& changes = {}) const {
    return throttler_->Facts(changes);
  }

  void BindClock(internal::ClockBinder& binder) const { throttler_->BindClock(binder, kName); }

 private:
  std::shared_ptr<Throttler> throttler_;
};

template <std::same_as<Throttler> T>
Throttle(std::shared_ptr<T>) -> Throttle<>;
template <std::same_as<Throttler> T, class Classify>
Throttle(std::shared_ptr<T>, Classify) -> Throttle<Classify>;
Throttle(Throttler::Options) -> Throttle<>;
template <class Classify>
Throttle(Throttler::Options, Classify) -> Throttle<Classify>;

}  // namespace holdfast

#endif  // HOLDFAST_THROTTLE_H_
