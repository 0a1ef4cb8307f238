#include "holdfast/rate_limit.h"

#include <algorithm>

namespace holdfast {

absl::Status Validate(const RateLimitOptions& options) {
  if (options.max_wait < Duration::zero()) {
    return absl::InvalidArgumentError("RateLimit: max_wait must be >= 0");
  }
  return absl::OkStatus();
}

Verdict RateLimit::WaitForToken(Call& call, State& state) const {
  if (!state.reservation_) {
    const TimePoint now = call.now();
    const Duration left = SaturatingSub(call.deadline(), now);
    const Reservation reservation = bucket_->ReserveAt(now, 1, std::min(options_.max_wait, left));
    if (!reservation.ok()) {
      const TimePoint retry_at = reservation.too_late_at();
      const internal::Refusals& refusals = bucket_->refusals();
      if (bucket_->burst() < 1) return Verdict::Reject(refusals.impossible, retry_at);
      const bool late = retry_at != TimePoint::max() && left < options_.max_wait;
      return Verdict::Reject(late ? refusals.deadline : refusals.exhausted, retry_at);
    }
    state.call_ = &call;
    state.reservation_ = reservation;
  }
  const TimePoint ready_at = state.reservation_->ready_at();
  if (call.now() < ready_at) return Verdict::Wait(ready_at);
  state.reservation_.reset();  // acted on: nothing to give back
  return Verdict::Proceed();
}

}  // namespace holdfast
