// Which limits a bucket may have, and what it says when it refuses tokens.
#ifndef HOLDFAST_SRC_RATE_BUCKET_LIMITS_H_
#define HOLDFAST_SRC_RATE_BUCKET_LIMITS_H_

#include <absl/status/status.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "holdfast/base/internal/refusals.h"

namespace holdfast::internal {

// A rate and a burst as options give them, and whose they are.
struct BucketLimits {
  std::string_view type;  // "TokenBucket", for messages
  const std::string& name;
  double rate;
  std::int64_t burst;
  double max_rate;
};

// The burst in tokens, for a valid rate: that of one second where it was left out.
std::int64_t BurstOf(double rate, std::int64_t burst);

// kInvalidArgument for what is out of range.
absl::Status CheckRange(const BucketLimits& limits);
// kInvalidArgument for limits that can never admit a token.
absl::Status CheckAdmits(const BucketLimits& limits);
// As options: both of the above.
absl::Status CheckOptions(const BucketLimits& limits);
// As a change at run time: a burst of 0 that was asked for stops the bucket, and is allowed.
absl::Status CheckChange(const BucketLimits& limits);

// What a policy named `policy` says when a bucket named `name` has no tokens.
Refusals TokenRefusals(std::string_view policy, std::string_view name);

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_RATE_BUCKET_LIMITS_H_
