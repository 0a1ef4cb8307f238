#include "holdfast/concurrency/adaptive_limit.h"

#include <utility>

namespace holdfast::internal {

// In AdaptiveLimit's own name, not in that of the bulkhead in it.
Verdict LimitAdmission::Refused(const AdaptiveLimiter& limiter, Verdict verdict) {
  if (verdict.kind() != Verdict::Kind::kReject) return verdict;
  const TimePoint retry_at = verdict.time();
  absl::Status status = std::move(verdict).TakeStatus();
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:
      return Verdict::Reject(limiter.refusals_.exhausted, retry_at);
    case absl::StatusCode::kDeadlineExceeded:
      return Verdict::Reject(limiter.refusals_.deadline, retry_at);
    default:
      return Verdict::Reject(std::move(status), retry_at);
  }
}

}  // namespace holdfast::internal
