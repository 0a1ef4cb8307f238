// AdaptiveThrottle is adaptive throttling at the client (Google SRE): it puts an AdaptiveThrottler
// around what is below it.
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
#include "holdfast/call/collector.h"
#include "holdfast/call/internal/judged_policy.h"
#include "holdfast/call/policy.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/verdict.h"
#include "holdfast/throttle/adaptive_throttler.h"

namespace holdfast {

namespace internal {

// A call's ticket, if it was admitted: settled by its result, or by the reason why it has none.
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
    ticket_.Fill(&throttler, call.priority());
    return Verdict::Proceed();
  }

  AdaptiveThrottler* judge() const { return ticket_.throttler_.get(); }  // null without a ticket
  SuccessTimes& success_times() const { return ticket_.throttler_->success_times_; }

  ABSL_ATTRIBUTE_ALWAYS_INLINE void Settle(Outcome outcome) {
    ticket_.DoneAt(outcome == Outcome::kFailure ? call_->now() : TimePoint::min(), outcome);
  }

 private:
  Call* call_ = nullptr;
  AdaptiveThrottler::Ticket ticket_;
};

}  // namespace internal

// Counts each call below it, and rejects some with kUnavailable while the backend accepts too few:
// see AdaptiveThrottler. Calls never wait. Inside of Retry it counts attempts.
//
// Whether the backend accepted a call is what `classify` returns (kFailure: it did not), or, where
// none is given, what the throttler's own Options::classify says of the result's status. `classify`
// is called as Outcome(const Call&, const R& result), in as many threads as make calls. Not
// counted, without asking it:
//   - results of calls that a policy below rejected;
//   - calls that the caller cancelled, or cut off by a deadline before they had the time that an
//     attempt gets (as for CircuitBreak).
// A call whose executor threw was not accepted. If `classify` throws, the exception passes to the
// caller and the call is not counted.
template <class Classify = internal::ClassifyStatus>
class AdaptiveThrottle : public internal::JudgedPolicy<Classify, internal::ThrottleAdmission> {
 public:
  static constexpr std::string_view kName = "AdaptiveThrottle";

  // Both throw std::invalid_argument: for a null throttler, and for options that Validate refuses.
  // The first shares a throttler. A template, so that AdaptiveThrottle({}) means default options.
  template <std::same_as<AdaptiveThrottler> T>
  explicit AdaptiveThrottle(std::shared_ptr<T> throttler, Classify classify = {})
      : internal::JudgedPolicy<Classify, internal::ThrottleAdmission>(std::move(classify)),
        throttler_(
            internal::NotNull(std::move(throttler), "AdaptiveThrottle: the AdaptiveThrottler")) {}
  // With a throttler of its own.
  explicit AdaptiveThrottle(AdaptiveThrottler::Options throttler, Classify classify = {})
      : AdaptiveThrottle(std::make_shared<AdaptiveThrottler>(std::move(throttler)),
                         std::move(classify)) {}

  using State = internal::ThrottleAdmission;

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Before(Call& call, State& state) const {
    return state.Ask(call, *throttler_);
  }

  PolicyInfo Info(const internal::Changes& changes = {}) const { return throttler_->Info(changes); }

  void Objects(CollectedObjects& objects) const { objects.Add(throttler_, kName); }

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

// Stack(throttler) means Stack(AdaptiveThrottle(throttler)).
template <>
struct PolicyOf<AdaptiveThrottler> {
  using type = AdaptiveThrottle<>;
};

}  // namespace holdfast

#endif  // HOLDFAST_THROTTLE_ADAPTIVE_THROTTLE_H_
