#include "holdfast/timeout/adaptive_timeout.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>

#include "holdfast/base/internal/options_checker.h"
#include "src/base/info_text.h"

namespace holdfast {

absl::Status Validate(const AdaptiveTimeoutOptions& options) {
  internal::OptionsChecker check("AdaptiveTimeout");
  check(options.multiplier >= 1 && std::isfinite(options.multiplier),
        "multiplier must be >= 1 and finite");
  check(options.min > Duration::zero(), "min must be > 0");
  check(options.max >= options.min, "max must be >= min");
  return check.status();
}

namespace internal {

void LearnedLimit::Failed(Call& call, const Attempt& attempt, absl::StatusCode code) {
  if (code == absl::StatusCode::kCancelled || call.stop().stop_requested()) return;
  // An executor may give up a little before the deadline; it counts if that deadline was this
  // policy's.
  const bool gave_up =
      code == absl::StatusCode::kDeadlineExceeded && attempt.deadline() <= attempt.outer;
  if (!gave_up && call.now() < attempt.deadline()) return;
  const std::uint64_t twice =
      std::min(2 * static_cast<std::uint64_t>(attempt.limit.count()), kRaised);
  const Duration max = options_.Read()->max;
  std::uint64_t backoff = backoff_.load(std::memory_order_relaxed);
  std::uint64_t next = 0;
  do {
    next = WithMisfit(backoff);
    const bool holds = (backoff & kRaised) == (attempt.backoff & kRaised);
    if (holds && attempt.limit < max) next = (next & ~kRaised) | twice;
  } while (!backoff_.compare_exchange_weak(backoff, next, std::memory_order_relaxed));
}

// Called after the success was recorded: with few samples the limit may be learned from it alone.
void LearnedLimit::Settle(TimePoint now, const Attempt& attempt) {
  const bool fits =
      SaturatingSub(now, attempt.began) <= Learned(latencies_->Read(now), *options_.Read());
  std::uint64_t backoff = backoff_.load(std::memory_order_relaxed);
  std::uint64_t next = 0;
  do {
    if (backoff < kOneDebt) return;
    next = fits ? backoff - kOneDebt : WithMisfit(backoff);
    if (next < kOneDebt) next = 0;
  } while (!backoff_.compare_exchange_weak(backoff, next, std::memory_order_relaxed));
}

std::uint64_t LearnedLimit::WithMisfit(std::uint64_t backoff) {
  const std::uint64_t debt = std::min(backoff / kOneDebt + kFitsPerMisfit, kMaxDebt);
  return debt * kOneDebt + (backoff & kRaised);
}

PolicyInfo LearnedLimit::Info(const Changes& changes) const {
  const AdaptiveTimeoutOptions options = options_.With(changes);
  const LatencyQuantile::Options* const next = changes.Of(*latencies_);
  const double quantile = next == nullptr ? latencies_->quantile() : next->quantile;
  const std::int64_t samples = next == nullptr ? latencies_->min_samples() : next->min_samples;
  return {.settings = JoinSettings(
              {NameText(latencies_->name()),
               absl::StrCat(options.multiplier, " x ", QuantileText(quantile)),
               absl::StrCat(DurationText(options.min), " to ", DurationText(options.max))}),
          .timeout = options.max,
          .learns_after = samples};
}

}  // namespace internal
}  // namespace holdfast
