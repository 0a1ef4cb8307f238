// What changes a TokenBucket while calls run: its options, charges and refunds.
#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "holdfast/base/internal/validate.h"
#include "holdfast/rate/token_bucket.h"
#include "src/rate/bucket_limits.h"
#include "src/rate/token_axis.h"
#include "src/rate/token_hold.h"

namespace holdfast {
namespace {

using internal::ThrowIfNegative;
using internal::TokenHold;

constexpr double kMaxRate = 1e18;

internal::BucketLimits LimitsOf(const std::string& name, double rate, std::int64_t burst) {
  return {.type = "TokenBucket", .name = name, .rate = rate, .burst = burst, .max_rate = kMaxRate};
}

}  // namespace

double Every(TimeSpan interval) {
  if (interval <= Duration::zero()) return kInfiniteRate;
  return 1 / std::chrono::duration<double>(interval).count();
}

absl::Status Validate(const TokenBucket::Options& options) {
  return internal::CheckOptions(LimitsOf(options.name, options.rate, options.burst));
}

void TokenBucket::ChargeAt(TimePoint now, std::int64_t n) {
  ThrowIfNegative(n);
  TokenHold(*this, now).Charge(n);
  charges_.Charge(n);
}

void TokenBucket::RefundAt(TimePoint now, std::int64_t n) {
  ThrowIfNegative(n);
  TokenHold(*this, now).Refund(n);
  charges_.Refund(n);
}

void TokenBucket::SetRateAt(TimePoint now, double rate) {
  internal::ThrowIfInvalid(internal::CheckRange(LimitsOf(name_, rate, 0)));
  TokenHold hold(*this, now);
  hold.Settle(rate, burst(), TokenCarryOver::kAsIs);
}

void TokenBucket::SetBurstAt(TimePoint now, std::int64_t burst) {
  TokenHold hold(*this, now);
  internal::ThrowIfInvalid(internal::CheckChange(LimitsOf(name_, rate(), burst)));
  hold.Settle(rate(), internal::BurstOf(rate(), burst), TokenCarryOver::kAsIs);
}

void TokenBucket::SetLimitsAt(TimePoint now, double rate, std::int64_t burst,
                              TokenCarryOver carry_over) {
  internal::ThrowIfInvalid(internal::CheckChange(LimitsOf(name_, rate, burst)));
  TokenHold hold(*this, now);
  hold.Settle(rate, internal::BurstOf(rate, burst), carry_over);
}

TokenBucket::Options TokenBucket::options() const {
  const std::lock_guard lock(mutex_);  // the two belong together
  return {.rate = rate(), .burst = burst(), .name = name_, .clock = clock_.given()};
}

absl::StatusOr<internal::Commit> TokenBucket::PrepareUpdate(Options options) {
  if (absl::Status status =
          internal::KeepNameAndValidate("TokenBucket", name_, clock_.given(), options);
      !status.ok()) {
    return status;
  }
  return [this, rate = options.rate, burst = internal::BurstOf(options.rate, options.burst)] {
    TokenHold hold(*this, Now());
    if (rate != this->rate() || burst != this->burst()) {
      hold.Settle(rate, burst, TokenCarryOver::kAsIs);
    }
  };
}

}  // namespace holdfast
