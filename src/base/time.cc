#include "holdfast/base/time.h"

#include "holdfast/base/waker.h"

namespace holdfast {
namespace {

class SteadyClockImpl final : public Clock {
 public:
  TimePoint Now() const override { return internal::ReadClock(nullptr); }
  void WaitUntil(TimePoint until, Parker& parker) override { parker.ParkUntil(until); }
};

}  // namespace

Clock* SteadyClock() {
  static SteadyClockImpl clock;
  return &clock;
}

namespace internal {

bool SleepUntil(Clock* clock, TimePoint until, const std::stop_token& stop) {
  if (clock == nullptr) clock = SteadyClock();
  Parker parker;
  const std::stop_callback wake(stop, [&parker] { parker.Wake(); });
  while (!stop.stop_requested()) {
    if (clock->Now() >= until) return true;
    clock->WaitUntil(until, parker);
  }
  return false;
}

}  // namespace internal
}  // namespace holdfast
