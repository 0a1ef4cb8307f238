#include "holdfast/rate/reservation.h"

#include <algorithm>

namespace holdfast {

Duration Reservation::Delay() const { return ok() ? DelayFrom(from_->Now()) : Duration::max(); }

Duration Reservation::DelayFrom(TimePoint now) const {
  return ok() ? std::max(SaturatingSub(ready_at_, now), Duration::zero()) : Duration::max();
}

void Reservation::Cancel() {
  if (promise_ != nullptr) CancelAt(from_->Now());
}

void Reservation::CancelAt(TimePoint now) {
  if (promise_ != nullptr) from_->Cancel(*promise_, ready_at_, now);
}

}  // namespace holdfast
