// refused: Fallback inside of Throttle: its answers would count as the backend's, and nothing would
// ever be refused; put Fallback outside of Throttle
#include "holdfast/fallback.h"
#include "holdfast/stack.h"
#include "holdfast/throttle.h"
#include "holdfast/timeout.h"

auto Make() {
  const holdfast::Timeout timeout(std::chrono::seconds(1));
  const holdfast::Fallback fallback([](const absl::Status&) { return absl::OkStatus(); });
  const holdfast::Throttle throttle(holdfast::Throttler::Options{});
#ifdef WRONG_ORDER
  return holdfast::Stack(throttle, timeout, fallback);
#else
  return holdfast::Stack(fallback, timeout, throttle);
#endif
}
