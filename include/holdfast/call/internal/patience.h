// How long a call waits for a policy.
#ifndef HOLDFAST_CALL_INTERNAL_PATIENCE_H_
#define HOLDFAST_CALL_INTERNAL_PATIENCE_H_

#include <absl/status/status.h>

#include <algorithm>

#include "holdfast/base/internal/refusals.h"
#include "holdfast/base/time.h"

namespace holdfast::internal {

// Until the policy's max_wait is over, or what the call waits for is of no use to it any more:
// TimePoint::max() for never.
struct Patience {
  TimePoint give_up_at;
  TimePoint too_late_at;

  TimePoint until() const { return std::min(give_up_at, too_late_at); }
  bool EndedBy(TimePoint now) const { return until() != TimePoint::max() && now >= until(); }
  // Whether it is the call that has no time left, and not the policy that would wait no longer.
  bool late() const { return too_late_at <= give_up_at && too_late_at != TimePoint::max(); }
  // `ready_at`: when the call could have gone, TimePoint::max() for never.
  const absl::Status& Refusal(const Refusals& refusals, TimePoint ready_at = {}) const {
    return late() && ready_at != TimePoint::max() ? refusals.deadline : refusals.exhausted;
  }
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_CALL_INTERNAL_PATIENCE_H_
