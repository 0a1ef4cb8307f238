#include "holdfast/call/call.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <utility>

#include "holdfast/base/internal/random.h"
#include "holdfast/base/rejection.h"

namespace holdfast {

std::string_view ToString(EndReason reason) {
  constexpr std::array<std::string_view, 10> kNames = {
      "success", "not retryable", "attempts",  "elapsed",        "deadline",
      "budget",  "rejected",      "cancelled", "not repeatable", "retry-after too far",
  };
  return kNames[static_cast<size_t>(reason)];
}

absl::BitGenRef Call::random() { return internal::ThreadRandom(); }

struct Call::Left {
  int number;                                       // of the attempt
  std::weak_ptr<driver::AbandonedAttempt> attempt;  // the call does not keep what it keeps
  Left* next;
};

TimeBelow Call::time_below() {
  const TimePoint at = now();
  const TimeBelow executor =
      time_in_executor_ == nullptr ? TimeBelow() : time_in_executor_(executor_, at);
  return time_in_machine_(machine_, depth_, at, executor);
}

TimePoint Call::latest_start(Duration attempt) {
  if (deadline_ == TimePoint::max()) return TimePoint::max();
  attempt = std::min(attempt, time_below().attempt);
  if (attempt == Duration::max()) return deadline_;
  const Duration left = std::max(SaturatingSub(deadline_, now()), Duration::zero());
  return deadline_ - std::min(attempt, left / 2);
}

void Call::Abandon(const std::shared_ptr<driver::AbandonedAttempt>& attempt) {
  if (options_.outer != nullptr) options_.outer->Abandon(attempt);
  left_ = new Left{attempts_, attempt, left_};
  holds_ |= kLeft;
}

void Call::HoldUntilAbandonedEnd(int attempt, const std::shared_ptr<void>& admission) {
  for (const Left* left = left_; left != nullptr && left->number > attempt; left = left->next) {
    if (const auto still = left->attempt.lock()) still->Keep(admission);
  }
}

void Call::ForgetLeft() {
  while (left_ != nullptr) delete std::exchange(left_, left_->next);
}

void Call::LetGo() {
  ForgetLeft();
  LeaveActive();
  if ((holds_ & kTrace) != 0) DropTrace();
  if ((holds_ & kOwnReport) != 0) delete report_;
}

void Call::Answered(const absl::Status& result) {
  rejected_ = RejectionOf(result).has_value();
  retry_at_ = TimePoint::min();
  retry_spread_ = Duration::zero();
  ended_by_ = rejected_ ? EndReason::kRejected : kNotSaid;
}

}  // namespace holdfast
