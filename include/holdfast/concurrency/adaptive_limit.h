// AdaptiveLimit puts an AdaptiveLimiter around what is below it: a Bulkhead that finds its own
// limit.
//
//   auto limiter = std::make_shared<holdfast::AdaptiveLimiter>(
//       holdfast::AdaptiveLimiter::Options{.name = "orders"});
//   auto fetch = holdfast::Stack(holdfast::Retry({}), holdfast::AdaptiveLimit(limiter),
//                                holdfast::Timeout(2s))
//                    .Around(transport);
#ifndef HOLDFAST_CONCURRENCY_ADAPTIVE_LIMIT_H_
#define HOLDFAST_CONCURRENCY_ADAPTIVE_LIMIT_H_

#include <absl/base/attributes.h>
#include <absl/base/optimization.h>

#include <concepts>
#include <memory>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/base/settings.h"
#include "holdfast/call/call.h"
#include "holdfast/call/internal/judged_policy.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/verdict.h"
#include "holdfast/concurrency/adaptive_limiter.h"
#include "holdfast/concurrency/bulkhead.h"

namespace holdfast {

namespace internal {

// A call's permit, and its part in what the limiter measures, if it has one.
class LimitAdmission {
 public:
  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Ask(Call& call, AdaptiveLimiter& limiter,
                                           const Bulkhead& bulkhead) {
    Verdict verdict = bulkhead.Before(call, permit_);
    if (ABSL_PREDICT_FALSE(verdict.kind() != Verdict::Kind::kProceed)) {
      return Refused(limiter, std::move(verdict));
    }
    if (limiter.Picks()) {
      call_ = &call;
      limiter.Measure(call.now(), sample_);
    }
    return verdict;
  }

  AdaptiveLimiter* judge() const { return sample_.limiter(); }
  SuccessTimes& success_times() const { return sample_.limiter()->success_times_; }

  void Settle(Outcome outcome) {
    sample_.Settle(outcome == Outcome::kIgnored ? TimePoint::min() : call_->now(), outcome);
  }

  Bulkhead::State& permit() { return permit_; }

 private:
  static Verdict Refused(const AdaptiveLimiter& limiter, Verdict verdict);

  Bulkhead::State permit_;
  LimitSample sample_;
  Call* call_ = nullptr;  // of a sample
};

}  // namespace internal

// Holds a permit for each call below it and waits for one as Bulkhead does, by the same options,
// with the same refusals; and the limiter learns how long they take. Where it stands inside of
// Retry that is attempts; a Timeout belongs below it, so that what the service does not answer
// counts as dropped.
//
// How a call went is what `classify` says, called as Outcome(const Call&, const R& result) in as
// many threads as make calls, or else what the limiter's own `classify` says of the result's
// status; asked for the calls that are measured. What an inner policy refused, what the caller
// cancelled or cut off early (as CircuitBreak has it), and what threw, is ignored, and also where
// `classify` throws, which passes to the caller.
template <class Classify = internal::ClassifyStatus>
class AdaptiveLimit : public internal::JudgedPolicy<Classify, internal::LimitAdmission> {
 public:
  static constexpr std::string_view kName = "AdaptiveLimit";

  // Both throw std::invalid_argument for options that Validate refuses, and for a null limiter. A
  // template, so that AdaptiveLimit({}) means default options.
  template <std::same_as<AdaptiveLimiter> L>
  explicit AdaptiveLimit(std::shared_ptr<L> limiter, BulkheadOptions options = {},
                         Classify classify = {})
      : internal::JudgedPolicy<Classify, internal::LimitAdmission>(std::move(classify)),
        limiter_(internal::NotNull(std::move(limiter))),
        bulkhead_(std::shared_ptr<Semaphore>(limiter_, &limiter_->semaphore_), options) {}
  // The same with options that change; throws for null settings.
  template <std::same_as<AdaptiveLimiter> L, std::same_as<Settings<BulkheadOptions>> S>
  AdaptiveLimit(std::shared_ptr<L> limiter, std::shared_ptr<S> settings, Classify classify = {})
      : internal::JudgedPolicy<Classify, internal::LimitAdmission>(std::move(classify)),
        limiter_(internal::NotNull(std::move(limiter))),
        bulkhead_(std::shared_ptr<Semaphore>(limiter_, &limiter_->semaphore_),
                  std::move(settings)) {}
  explicit AdaptiveLimit(AdaptiveLimiter::Options limiter, BulkheadOptions options = {},
                         Classify classify = {})
      : AdaptiveLimit(std::make_shared<AdaptiveLimiter>(std::move(limiter)), options,
                      std::move(classify)) {}

  using State = internal::LimitAdmission;

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Before(Call& call, State& state) const {
    return state.Ask(call, *limiter_, bulkhead_);
  }

  // What runs on after the call stopped waiting for it still counts.
  void OnAbandon(Call& call, State& state) const { bulkhead_.OnAbandon(call, state.permit()); }

  PolicyInfo Info(const internal::Changes& changes = {}) const {
    return limiter_->Info(bulkhead_.Info(changes), changes);
  }

  void BindClock(internal::ClockBinder& binder) const { limiter_->BindClock(binder, kName); }

 private:
  std::shared_ptr<AdaptiveLimiter> limiter_;
  Bulkhead bulkhead_;
};

template <std::same_as<AdaptiveLimiter> L>
AdaptiveLimit(std::shared_ptr<L>, BulkheadOptions = {}) -> AdaptiveLimit<>;
template <std::same_as<AdaptiveLimiter> L, class Classify>
AdaptiveLimit(std::shared_ptr<L>, BulkheadOptions, Classify) -> AdaptiveLimit<Classify>;
template <std::same_as<AdaptiveLimiter> L, std::same_as<Settings<BulkheadOptions>> S>
AdaptiveLimit(std::shared_ptr<L>, std::shared_ptr<S>) -> AdaptiveLimit<>;
template <std::same_as<AdaptiveLimiter> L, std::same_as<Settings<BulkheadOptions>> S,
          class Classify>
AdaptiveLimit(std::shared_ptr<L>, std::shared_ptr<S>, Classify) -> AdaptiveLimit<Classify>;
AdaptiveLimit(AdaptiveLimiter::Options, BulkheadOptions = {}) -> AdaptiveLimit<>;
template <class Classify>
AdaptiveLimit(AdaptiveLimiter::Options, BulkheadOptions, Classify) -> AdaptiveLimit<Classify>;

}  // namespace holdfast

#endif  // HOLDFAST_CONCURRENCY_ADAPTIVE_LIMIT_H_
