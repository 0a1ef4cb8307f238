// AdaptiveTimeout is a Timeout that learns its limit: what most successes took of late, with some
// a multiplier.
//
//   auto fetch = holdfast::Stack(holdfast::Timeout(10s),  // in all
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
#include <string_view>
#include <utility>

#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/base/result.h"
#include "holdfast/base/settings.h"
#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/verdict.h"
#include "holdfast/timeout/latency_quantile.h"

namespace holdfast {

struct AdaptiveTimeoutOptions {
  double multiplier = 2.0;                       // the limit is so many quantiles; >= 1, finite
  TimeSpan min = std::chrono::milliseconds(10);  // no limit is less; > 0
  TimeSpan max = std::chrono::seconds(10);       // or more; also until it has learnt; >= min
};

absl::Status Validate(const AdaptiveTimeoutOptions& options);

namespace internal {

// What the copies of an AdaptiveTimeout share. Thread-safe: the word `backoff_` is all there is to
// agree on, and it changes only by compare-and-swap, so relaxed does.
class LearntLimit {
 public:
  // Of one call, while it is below the policy.
  struct Attempt {
    TimePoint began = {};
    Duration limit = {};
    TimePoint outer = {};  // the deadline that the call came with
    std::uint64_t backoff = 0;

    TimePoint deadline() const { return SaturatingAdd(began, limit); }
  };

  LearntLimit(std::shared_ptr<LatencyQuantile> latencies, Live<AdaptiveTimeoutOptions> options)
      : latencies_(NotNull(std::move(latencies))), options_(std::move(options)) {}

  void Begin(Call& call, Attempt& attempt) const {
    attempt.began = call.now();
    attempt.outer = call.deadline();
    attempt.backoff = backoff_.load(std::memory_order_relaxed);
    const auto options = options_.Read();
    attempt.limit = std::max(Learnt(attempt.began, *options), Raised(attempt.backoff, *options));
  }
  void Succeeded(TimePoint now, const Attempt& attempt) {
    latencies_->RecordAt(now, SaturatingSub(now, attempt.began));
    if (ABSL_PREDICT_FALSE(attempt.backoff >= kOneDebt)) Settle(now, attempt);
  }
  void Failed(Call& call, const Attempt& attempt, absl::StatusCode code);

  Duration LimitAt(TimePoint now) const {
    const auto options = options_.Read();
    return std::max(Learnt(now, *options),
                    Raised(backoff_.load(std::memory_order_relaxed), *options));
  }

  PolicyInfo Info(const Changes& changes) const;

  void BindClock(ClockBinder& binder, std::string_view policy) const {
    latencies_->BindClock(binder, policy);
  }

 private:
  // The parts of `backoff_`: in the upper bits, how many attempts have to fit the learnt limit
  // before the raised one is over; in the lower, what it was raised to, in nanoseconds (0: it was
  // not; all ones: to `max`).
  static constexpr std::uint64_t kOneDebt = std::uint64_t{1} << 56;
  static constexpr std::uint64_t kRaised = kOneDebt - 1;
  static constexpr std::uint64_t kFitsPerMisfit = 5;
  static constexpr std::uint64_t kMaxDebt = 100;

  Duration Learnt(TimePoint now, const AdaptiveTimeoutOptions& options) const {
    const Duration latency = latencies_->Read(now);
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

// Cooperative, as Timeout is. Where it stands inside of Retry it learns what an attempt takes, and
// outside what a whole call does; the nearer to the executor, the less it learns of waits that are
// not the service's. A call far slower than most is cut off, also while the service is well: that
// is what it is for, and a Retry around it sends the call again.
//
// It learns from successes, since a failure may be quick, and one that was cut off says only that
// the limit was too short. So a service that becomes slower than the limit would teach it nothing
// more, and never succeed again. TCP's retransmission timer has the same trap, and the way out is
// TCP's (RFC 6298, sections 3 and 5):
//   - An attempt that runs out of time raises the limit to twice its own, up to `max`, if it began
//     under the limit that holds: of a hundred that run out together, the first raises it, and the
//     others say nothing about the new one.
//   - The raised limit holds until the learnt one is longer, or fits again: until five attempts
//     have ended within the learnt limit for each one that did not, a hundred at most. One is not
//     enough, as it is for TCP: a service may answer some calls as fast as ever (from a cache) and
//     be slow for the rest, which then would be cut off for ever. Slow successes are learnt from,
//     but until they are enough to move the quantile the next attempt needs the raised limit too.
//   - So where fewer than one attempt in six is lost, or stuck, the limit keeps falling back to the
//     learnt one: that is as many as Retry sends again on its default budget.
//
// Refusals by a policy below and cancelled calls teach it nothing. An executor that throws after
// the deadline has run out of time.
class AdaptiveTimeout {
 public:
  static constexpr std::string_view kName = "AdaptiveTimeout";

  // Both throw std::invalid_argument for options that Validate refuses, and for null latencies. It
  // records in `latencies` itself; what others record there counts as well. A template, so that
  // AdaptiveTimeout({}) means default options.
  template <std::same_as<LatencyQuantile> L>
  explicit AdaptiveTimeout(std::shared_ptr<L> latencies, AdaptiveTimeoutOptions options = {})
      : limit_(std::make_shared<internal::LearntLimit>(
            std::move(latencies), internal::Live<AdaptiveTimeoutOptions>(options))) {}
  explicit AdaptiveTimeout(LatencyQuantile::Options latencies, AdaptiveTimeoutOptions options = {})
      : AdaptiveTimeout(std::make_shared<LatencyQuantile>(std::move(latencies)), options) {}
  // The same with options that change; throws for null settings.
  template <std::same_as<LatencyQuantile> L, std::same_as<Settings<AdaptiveTimeoutOptions>> S>
  AdaptiveTimeout(std::shared_ptr<L> latencies, std::shared_ptr<S> settings)
      : limit_(std::make_shared<internal::LearntLimit>(
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
    internal::LearntLimit* limit_ = nullptr;
    internal::LearntLimit::Attempt attempt_;
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

  // What a call that came now would get.
  [[nodiscard]] Duration LimitAt(TimePoint now) const { return limit_->LimitAt(now); }

  PolicyInfo Info(const internal::Changes& changes = {}) const { return limit_->Info(changes); }

  void BindClock(internal::ClockBinder& binder) const { limit_->BindClock(binder, kName); }

 private:
  std::shared_ptr<internal::LearntLimit> limit_;
};

}  // namespace holdfast

#endif  // HOLDFAST_TIMEOUT_ADAPTIVE_TIMEOUT_H_
