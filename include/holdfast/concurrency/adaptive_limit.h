// AdaptiveLimit is a bulkhead that finds its own limit (adaptive concurrency): it puts an
// AdaptiveLimiter around what is below it.
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
#include "holdfast/call/collector.h"
#include "holdfast/call/internal/judged_policy.h"
#include "holdfast/call/policy.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/verdict.h"
#include "holdfast/concurrency/adaptive_limiter.h"
#include "holdfast/concurrency/bulkhead.h"

namespace holdfast {

namespace internal {

// A call's permit, and its sample if the limiter measures the call.
class LimitAdmission {
 public:
  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Ask(Call& call, AdaptiveLimiter& limiter,
                                           const Bulkhead& bulkhead) {
    Verdict verdict = bulkhead.Before(call, permit_);
    if (ABSL_PREDICT_FALSE(verdict.kind() != Verdict::Kind::kProceed)) return verdict;
    if (limiter.picker_.Picks()) {
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
  Bulkhead::State permit_;
  LimitSample sample_;
  Call* call_ = nullptr;  // set with the sample
};

}  // namespace internal

// Holds one permit of the limiter for each call below it. Calls beyond the limit wait or are
// rejected as in a Bulkhead, with the same options, defaults, priorities and status codes
// (bulkhead.h); the latest useful start is reckoned with twice the mean latency, where the Timeouts
// below give an attempt more than that. Inside of Retry it counts attempts. Put a Timeout inside of
// it, so that calls that the service does not answer count as dropped.
//
// The limiter learns from the outcome of the calls that it measures. The outcome is what `classify`
// returns for them, or, where none is given, what the limiter's own Options::classify says of the
// result's status. `classify` is called as Outcome(const Call&, const R& result), in as many
// threads as make calls. Ignored without asking it:
//   - results of calls that a policy below rejected;
//   - calls that the caller cancelled, or cut off by a deadline before they had the time that an
//     attempt gets (as for CircuitBreak);
//   - calls whose executor threw.
// If `classify` throws, the exception passes to the caller and the call is ignored.
template <class Classify = internal::ClassifyStatus>
class AdaptiveLimit : public internal::JudgedPolicy<Classify, internal::LimitAdmission> {
 public:
  static constexpr std::string_view kName = "AdaptiveLimit";

  // All three throw std::invalid_argument for options that Validate refuses, and for a null limiter
  // or null settings. The first shares a limiter. A template, so that AdaptiveLimit({}) means
  // default options.
  template <std::same_as<AdaptiveLimiter> L>
  explicit AdaptiveLimit(std::shared_ptr<L> limiter, BulkheadOptions options = {},
                         Classify classify = {})
      : internal::JudgedPolicy<Classify, internal::LimitAdmission>(std::move(classify)),
        limiter_(internal::NotNull(std::move(limiter), "AdaptiveLimit: the AdaptiveLimiter")),
        bulkhead_(std::shared_ptr<Semaphore>(limiter_, &limiter_->semaphore_), options) {}
  // With options of the queue that can change while calls run (settings.h).
  template <std::same_as<AdaptiveLimiter> L, std::same_as<Settings<BulkheadOptions>> S>
  AdaptiveLimit(std::shared_ptr<L> limiter, std::shared_ptr<S> settings, Classify classify = {})
      : internal::JudgedPolicy<Classify, internal::LimitAdmission>(std::move(classify)),
        limiter_(internal::NotNull(std::move(limiter), "AdaptiveLimit: the AdaptiveLimiter")),
        bulkhead_(std::shared_ptr<Semaphore>(limiter_, &limiter_->semaphore_),
                  std::move(settings)) {}
  // With a limiter of its own.
  explicit AdaptiveLimit(AdaptiveLimiter::Options limiter, BulkheadOptions options = {},
                         Classify classify = {})
      : AdaptiveLimit(std::make_shared<AdaptiveLimiter>(std::move(limiter)), options,
                      std::move(classify)) {}

  using State = internal::LimitAdmission;

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Before(Call& call, State& state) const {
    return state.Ask(call, *limiter_, bulkhead_);
  }

  // Hands the permit to the abandoned attempt, which still runs.
  void OnAbandon(Call& call, State& state) const { bulkhead_.OnAbandon(call, state.permit()); }

  PolicyInfo Info(const internal::Changes& changes = {}) const {
    return limiter_->Info(bulkhead_.Info(changes), changes);
  }

  // The limiter alone: it tells of its semaphore too.
  void Objects(CollectedObjects& objects) const { objects.Add(limiter_, kName); }

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

// Stack(limiter) means Stack(AdaptiveLimit(limiter)).
template <>
struct PolicyOf<AdaptiveLimiter> {
  using type = AdaptiveLimit<>;
};

}  // namespace holdfast

#endif  // HOLDFAST_CONCURRENCY_ADAPTIVE_LIMIT_H_
