// AdaptiveTimeout is a Timeout with a learned limit: a quantile of the latency of recent successes,
// times a multiplier.
//
//   auto fetch = holdfast::Stack(holdfast::Timeout(10s),  // the whole call
//                                holdfast::Retry({}),
//                                holdfast::AdaptiveTimeout({.quantile = 0.99}, {.max = 2s}))
//                    .Around(transport);
#ifndef HOLDFAST_TIMEOUT_ADAPTIVE_TIMEOUT_H_
#define HOLDFAST_TIMEOUT_ADAPTIVE_TIMEOUT_H_

#include <absl/base/attributes.h>
#include <absl/base/optimization.h>
#include <absl/status/status.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/base/result.h"
#include "holdfast/base/settings.h"
#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/call/collector.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/verdict.h"
#include "holdfast/timeout/latency_quantile.h"

namespace holdfast {

struct AdaptiveTimeoutOptions {
  double multiplier = 2.0;                       // limit = multiplier * quantile; >= 1, finite
  TimeSpan min = std::chrono::milliseconds(10);  // smallest limit; > 0
  TimeSpan max = std::chrono::seconds(10);       // largest limit, and the one before there are
                                                 // enough samples; >= min
};

absl::Status Validate(const AdaptiveTimeoutOptions& options);

namespace internal {

// The state that copies of an AdaptiveTimeout share. Thread-safe: `backoff_` is one word that
// changes by compare-and-swap only, and nothing else depends on it, so relaxed order suffices.
class LearnedLimit {
 public:
  // One call while it is below the policy.
  struct Attempt {
    TimePoint began = {};
    Duration limit = {};
    TimePoint outer = {};  // the call's deadline before this policy
    std::uint64_t backoff = 0;

    TimePoint deadline() const { return SaturatingAdd(began, limit); }
  };

  LearnedLimit(std::shared_ptr<LatencyQuantile> latencies, Live<AdaptiveTimeoutOptions> options)
      : latencies_(NotNull(std::move(latencies), "AdaptiveTimeout: the LatencyQuantile")),
        options_(std::move(options)) {}

  void Begin(Call& call, Attempt& attempt) const {
    attempt.began = call.now();
    attempt.outer = call.deadline();
    attempt.backoff = backoff_.load(std::memory_order_relaxed);
    const auto options = options_.Read();
    attempt.limit = std::max(Learned(latencies_->Read(attempt.began), *options),
                             Raised(attempt.backoff, *options));
  }
  void Succeeded(TimePoint now, const Attempt& attempt) {
    latencies_->RecordAt(now, SaturatingSub(now, attempt.began));
    if (ABSL_PREDICT_FALSE(attempt.backoff >= kOneDebt)) Settle(now, attempt);
  }
  void Failed(Call& call, const Attempt& attempt, absl::StatusCode code);

  Duration LimitAt(TimePoint now) const {
    const auto options = options_.Read();
    return std::max(Learned(latencies_->Read(now), *options),
                    Raised(backoff_.load(std::memory_order_relaxed), *options));
  }

  // Tells holdfast.timeout.limit: LimitAt the present, without ending a half of the latencies.
  void Collect(Collector& collector) const;
  const std::string& name() const { return latencies_->name(); }
  const std::shared_ptr<LatencyQuantile>& latencies() const { return latencies_; }

  PolicyInfo Info(const Changes& changes) const;

  void BindClock(ClockBinder& binder, std::string_view policy) const {
    latencies_->BindClock(binder, policy);
  }

 private:
  // The parts of `backoff_`. Lower 56 bits: the raised limit in nanoseconds; 0: not raised, all
  // ones: raised to `max`. Upper 8 bits: the debt, which is how many attempts must still fit the
  // learned limit before the raised one ends.
  static constexpr std::uint64_t kOneDebt = std::uint64_t{1} << 56;
  static constexpr std::uint64_t kRaised = kOneDebt - 1;
  static constexpr std::uint64_t kFitsPerMisfit = 5;
  static constexpr std::uint64_t kMaxDebt = 100;

  static Duration Learned(Duration latency, const AdaptiveTimeoutOptions& options) {
    if (latency == LatencyQuantile::kNoValue) return options.max;
    const double limit = static_cast<double>(latency.count()) * options.multiplier;
    if (limit >= static_cast<double>(options.max.count())) return options.max;
    return std::max<Duration>(Duration(static_cast<Duration::rep>(limit)), options.min);
  }
  static Duration Raised(std::uint64_t backoff, const AdaptiveTimeoutOptions& options) {
    const std::uint64_t raised = backoff & kRaised;
    if (ABSL_PREDICT_FALSE(raised == kRaised)) return options.max;
    return std::min<Duration>(Duration(static_cast<Duration::rep>(raised)), options.max);
  }
  static std::uint64_t WithMisfit(std::uint64_t backoff);
  void Settle(TimePoint now, const Attempt& attempt);

  const std::shared_ptr<LatencyQuantile> latencies_;
  const Live<AdaptiveTimeoutOptions> options_;
  std::atomic<std::uint64_t> backoff_{0};
};

}  // namespace internal

// Cooperative, as Timeout is. Inside of Retry it learns the time of an attempt, outside that of a
// whole call; close to the executor it learns the fewest waits that are not the service's. It cuts
// off calls that are far slower than most, also while the service is well: put a Retry around it to
// send them again.
//
// It learns from successes only: a failure may be fast, and an attempt that it cut off shows only
// that the limit was too short. By that alone, a service that becomes slower than the limit would
// never succeed again. TCP's retransmission timer has the same problem, and the solution is TCP's
// (RFC 6298, sections 3 and 5):
//   - An attempt that runs out of time raises the limit to twice its own, up to `max`, but only if
//     it began under the limit in force: of a hundred attempts that run out together, the first
//     raises the limit, and the others say nothing about the new one.
//   - The raised limit stays until the learned one is longer, or fits again: until five attempts
//     have ended within the learned limit for each one that did not, with a maximum of a hundred.
//     TCP needs only one, which is too few here: a service may answer some calls fast (from a
//     cache) and the rest slowly, and would have the rest cut off forever. Slow successes are
//     samples, but the next attempt needs the raised limit until they are enough to move the
//     quantile.
//   - So the limit returns to the learned one where fewer than one attempt in six is lost or hangs:
//     as many as Retry repeats on its default budget.
//
// Rejections by a policy below and cancelled calls are no samples. An executor that throws after
// the deadline has run out of time. Thread-safe; copies share what they learn.
class AdaptiveTimeout {
 public:
  static constexpr std::string_view kName = "AdaptiveTimeout";

  // All throw std::invalid_argument with the text of Validate, and for null latencies or settings.
  // It records in `latencies` itself; samples that others record there count as well.
  template <std::same_as<LatencyQuantile> L>
  explicit AdaptiveTimeout(std::shared_ptr<L> latencies, AdaptiveTimeoutOptions options = {})
      : limit_(std::make_shared<internal::LearnedLimit>(
            std::move(latencies), internal::Live<AdaptiveTimeoutOptions>(options))) {}
  explicit AdaptiveTimeout(LatencyQuantile::Options latencies, AdaptiveTimeoutOptions options = {})
      : AdaptiveTimeout(std::make_shared<LatencyQuantile>(std::move(latencies)), options) {}
  // With options that change while calls run.
  template <std::same_as<LatencyQuantile> L, std::same_as<Settings<AdaptiveTimeoutOptions>> S>
  AdaptiveTimeout(std::shared_ptr<L> latencies, std::shared_ptr<S> settings)
      : limit_(std::make_shared<internal::LearnedLimit>(
            std::move(latencies), internal::Live<AdaptiveTimeoutOptions>(std::move(settings)))) {}

  class State {
   public:
    ~State() {
      if (call_ == nullptr) return;
      if (ABSL_PREDICT_FALSE(call_->abandonment() == Abandonment::kThrew)) {
        limit_->Failed(*call_, attempt_, absl::StatusCode::kUnknown);
      }
      call_->set_deadline(attempt_.outer);
    }

   private:
    friend class AdaptiveTimeout;
    Call* call_ = nullptr;
    internal::LearnedLimit* limit_ = nullptr;
    internal::LearnedLimit::Attempt attempt_;
  };

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Before(Call& call, State& state) const {
    state.call_ = &call;
    state.limit_ = limit_.get();
    limit_->Begin(call, state.attempt_);
    call.set_deadline(std::min(call.deadline(), state.attempt_.deadline()));
    return Verdict::Proceed();
  }

  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Next After(Call& call, State& state, R& result) const {
    if (call.rejected()) return Next::Done();
    const absl::Status& status = ResultTraits<R>::StatusOf(result);
    if (ABSL_PREDICT_TRUE(status.ok())) {
      limit_->Succeeded(call.now(), state.attempt_);
    } else {
      limit_->Failed(call, state.attempt_, status.code());
    }
    return Next::Done();
  }

  // The limit of a call that comes at `now`.
  [[nodiscard]] Duration LimitAt(TimePoint now) const { return limit_->LimitAt(now); }

  PolicyInfo Info(const internal::Changes& changes = {}) const { return limit_->Info(changes); }

  void BindClock(internal::ClockBinder& binder) const { limit_->BindClock(binder, kName); }

  void Objects(CollectedObjects& objects) const {
    objects.Add(limit_, kName);
    objects.Add(limit_->latencies(), kName);
  }

 private:
  std::shared_ptr<internal::LearnedLimit> limit_;
};

}  // namespace holdfast

#endif  // HOLDFAST_TIMEOUT_ADAPTIVE_TIMEOUT_H_
