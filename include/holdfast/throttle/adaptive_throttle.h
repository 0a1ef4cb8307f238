// AdaptiveThrottle puts a AdaptiveThrottler around what is below it.
//
//   auto throttler = std::make_shared<holdfast::AdaptiveThrottler>(
//       holdfast::AdaptiveThrottler::Options{.name = "orders"});
//   auto fetch = holdfast::Stack(holdfast::Retry({}), holdfast::AdaptiveThrottle(throttler),
//                                holdfast::Timeout(2s))
//                    .Around(transport);
//   auto order = fetch.With({.priority = holdfast::Priority::kCritical}, request);
#ifndef HOLDFAST_THROTTLE_ADAPTIVE_THROTTLE_H_
#define HOLDFAST_THROTTLE_ADAPTIVE_THROTTLE_H_

#include <absl/base/attributes.h>

#include <concepts>
#include <memory>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/call/call.h"
#include "holdfast/call/internal/judged_policy.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/verdict.h"
#include "holdfast/throttle/adaptive_throttler.h"

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

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Ask(Call& call, AdaptiveThrottler& throttler) {
    if (!throttler.CalmAt(call.now()) && throttler.Refuses(call.priority(), call.random())) {
      return Verdict::Reject(*throttler.refused_);
    }
    call_ = &call;
    ticket_.throttler_ = &throttler;
    ticket_.priority_ = call.priority();
    return Verdict::Proceed();
  }

  AdaptiveThrottler* judge() const { return ticket_.throttler_; }  // null without a ticket
  SuccessTimes& success_times() const { return ticket_.throttler_->success_times_; }

  ABSL_ATTRIBUTE_ALWAYS_INLINE void Settle(Outcome outcome) {
    ticket_.DoneAt(outcome == Outcome::kFailure ? call_->now() : TimePoint::min(), outcome);
  }

 private:
  Call* call_ = nullptr;
  AdaptiveThrottler::Ticket ticket_;
};

}  // namespace internal

// Counts each call below it, and refuses some, by their priority, while the backend accepts too
// few: see AdaptiveThrottler. Inside of Retry it counts each attempt.
//
// Whether a call was accepted is what `classify` says, called as Outcome(const Call&, const R&
// result) in as many threads as make calls (kFailure: it was not), or else what the throttler's own
// `classify` says of the result's status. An exception of the executor was not accepted; what an
// inner policy refused, and what the caller cancelled or cut off early (internal/judged_policy.h),
// is not counted. What `classify` throws passes to the caller, and the call is not counted.
template <class Classify = internal::ClassifyStatus>
class AdaptiveThrottle : public internal::JudgedPolicy<Classify, internal::ThrottleAdmission> {
 public:
  static constexpr std::string_view kName = "AdaptiveThrottle";

  // Throws std::invalid_argument for a null throttler. A template, so that AdaptiveThrottle({})
  // means default options.
  template <std::same_as<AdaptiveThrottler> T>
  explicit AdaptiveThrottle(std::shared_ptr<T> throttler, Classify classify = {})
      : internal::JudgedPolicy<Classify, internal::ThrottleAdmission>(std::move(classify)),
        throttler_(internal::NotNull(std::move(throttler))) {}
  explicit AdaptiveThrottle(AdaptiveThrottler::Options throttler, Classify classify = {})
      : AdaptiveThrottle(std::make_shared<AdaptiveThrottler>(std::move(throttler)),
                         std::move(classify)) {}

  using State = internal::ThrottleAdmission;

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Before(Call& call, State& state) const {
    return state.Ask(call, *throttler_);
  }

  PolicyInfo Info(const internal::Changes& changes = {}) const { return throttler_->Info(changes); }

  void BindClock(internal::ClockBinder& binder) const { throttler_->BindClock(binder, kName); }

 private:
  std::shared_ptr<AdaptiveThrottler> throttler_;
};

template <std::same_as<AdaptiveThrottler> T>
AdaptiveThrottle(std::shared_ptr<T>) -> AdaptiveThrottle<>;
template <std::same_as<AdaptiveThrottler> T, class Classify>
AdaptiveThrottle(std::shared_ptr<T>, Classify) -> AdaptiveThrottle<Classify>;
AdaptiveThrottle(AdaptiveThrottler::Options) -> AdaptiveThrottle<>;
template <class Classify>
AdaptiveThrottle(AdaptiveThrottler::Options, Classify) -> AdaptiveThrottle<Classify>;

}  // namespace holdfast

#endif  // HOLDFAST_THROTTLE_ADAPTIVE_THROTTLE_H_
