#include "holdfast/blocking_driver.h"

namespace holdfast::internal {

Waker& BlockingCall::waker() { return parker(); }

Parker& BlockingCall::parker() { return parker_ ? *parker_ : parker_.emplace(); }

void BlockingCall::Wait(TimePoint until) {
  if (until <= now()) return;
  const std::stop_callback wake(stop(), [this] { parker().Wake(); });
  (clock() == nullptr ? SteadyClock() : clock())->WaitUntil(until, parker());
}

}  // namespace holdfast::internal
