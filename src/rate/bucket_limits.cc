#include "src/rate/bucket_limits.h"

#include <algorithm>
#include <cmath>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/rate/token_bucket.h"

namespace holdfast::internal {

std::int64_t BurstOf(double rate, std::int64_t burst) {
  if (burst != kBurstOfOneSecond) return burst;
  if (rate == kInfiniteRate) return 1;
  return static_cast<std::int64_t>(
      std::ceil(std::min(rate, static_cast<double>(TokenBucket::kMaxBurst))));
}

absl::Status CheckRange(const BucketLimits& limits) {
  OptionsChecker check(limits.type, limits.name);
  check((limits.rate >= 0 && limits.rate <= limits.max_rate) || limits.rate == kInfiniteRate,
        "rate must be in [0, ", limits.max_rate, "] tokens per second or kInfiniteRate, not ",
        limits.rate);
  check((limits.burst >= 0 && limits.burst <= TokenBucket::kMaxBurst) ||
            limits.burst == kBurstOfOneSecond,
        "burst must be in [0, 2^50] tokens, not ", limits.burst);
  return check.status();
}

absl::Status CheckAdmits(const BucketLimits& limits) {
  const bool admits = limits.rate == kInfiniteRate || BurstOf(limits.rate, limits.burst) > 0;
  OptionsChecker check(limits.type, limits.name);
  check(admits || limits.burst != kBurstOfOneSecond,
        "rate is missing: set it to tokens per second, or to kInfiniteRate for no limit");
  check(admits,
        "a burst of 0 never admits a token: set burst to at least 1, or leave it out for the "
        "tokens of one second");
  return check.status();
}

absl::Status CheckOptions(const BucketLimits& limits) {
  const absl::Status range = CheckRange(limits);
  return range.ok() ? CheckAdmits(limits) : range;
}

absl::Status CheckChange(const BucketLimits& limits) {
  return limits.burst == 0 ? CheckRange(limits) : CheckOptions(limits);
}

Refusals TokenRefusals(std::string_view policy, std::string_view name) {
  Refusals refusals(RejectionKind::kRateLimited, policy, name, "token");
  refusals.impossible = Refusal(absl::StatusCode::kInvalidArgument, RejectionKind::kExceedsCapacity,
                                policy, name, "the cost is negative or more than the burst");
  return refusals;
}

}  // namespace holdfast::internal
