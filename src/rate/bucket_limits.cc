#include "src/rate/bucket_limits.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>

#include "holdfast/base/internal/string_view.h"
#include "holdfast/rate/token_bucket.h"

namespace holdfast::internal {
namespace {

std::string Titled(std::string_view type, std::string_view name) {
  return absl::StrCat(ToAbsl(type), name.empty() ? "" : " ", ToAbsl(name), ": ");
}

template <class... Parts>
absl::Status Refuse(const BucketLimits& limits, const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(Titled(limits.type, limits.name), parts...));
}

}  // namespace

std::int64_t BurstOf(double rate, std::int64_t burst) {
  if (burst != kBurstOfOneSecond) return burst;
  if (rate == kInfiniteRate) return 1;
  return static_cast<std::int64_t>(
      std::ceil(std::min(rate, static_cast<double>(TokenBucket::kMaxBurst))));
}

absl::Status CheckRange(const BucketLimits& limits) {
  if (!(limits.rate >= 0 && limits.rate <= limits.max_rate) && limits.rate != kInfiniteRate) {
    return Refuse(limits, "rate must be in [0, ", limits.max_rate,
                  "] tokens per second or kInfiniteRate, not ", limits.rate);
  }
  const bool in_range = limits.burst >= 0 && limits.burst <= TokenBucket::kMaxBurst;
  if (!in_range && limits.burst != kBurstOfOneSecond) {
    return Refuse(limits, "burst must be in [0, 2^50] tokens, not ", limits.burst);
  }
  return absl::OkStatus();
}

absl::Status CheckAdmits(const BucketLimits& limits) {
  if (limits.rate == kInfiniteRate || BurstOf(limits.rate, limits.burst) > 0) {
    return absl::OkStatus();
  }
  if (limits.burst == kBurstOfOneSecond) {
    return Refuse(limits,
                  "rate is missing: set it to tokens per second, or to kInfiniteRate for no "
                  "limit");
  }
  return Refuse(limits,
                "a burst of 0 never admits a token: set burst to at least 1, or leave it out for "
                "the tokens of one second");
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
