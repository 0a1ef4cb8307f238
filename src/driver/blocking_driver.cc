#include "holdfast/driver/blocking_driver.h"

namespace holdfast::internal {

Waker& BlockingCall::waker() { return parker(); }

Parker& BlockingCall::parker() { return parker_ ? *parker_ : parker_.emplace(); }

void BlockingCall::Wait(TimePoint until, void (Clock::*wait)(TimePoint, Parker&)) {
  if (until <= now()) return;
  // Made before the callback can run in another thread.
  Parker& bell = parker();
  const std::stop_callback wake(stop(), [&bell] { bell.Wake(); });
  ((clock() == nullptr ? SteadyClock() : clock())->*wait)(until, bell);
  ForgetNow();
}

void BlockingCall::AwaitEnd() {
  (clock() == nullptr ? SteadyClock() : clock())->WaitUntilWokenByPeer(TimePoint::max(), parker());
  ForgetNow();
}

}  // namespace holdfast::internal
