// A refusal that threads on different processors can copy without waiting for each other.
#ifndef HOLDFAST_BASE_INTERNAL_STRIPED_STATUS_H_
#define HOLDFAST_BASE_INTERNAL_STRIPED_STATUS_H_

#include <absl/status/status.h>

#include <vector>

#include "holdfast/base/internal/thread_number.h"

namespace holdfast::internal {

// Copies of a status share a count of themselves, and with it a line of cache; so there are a few
// that are made separately. Immutable.
class StripedStatus {
 public:
  template <class Make>
  explicit StripedStatus(Make make) {
    while (statuses_.size() < StripeCount()) statuses_.push_back(make());
  }

  // This thread's.
  const absl::Status& operator*() const {
    return statuses_[ThreadNumber() & (statuses_.size() - 1)];
  }

 private:
  std::vector<absl::Status> statuses_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_STRIPED_STATUS_H_
