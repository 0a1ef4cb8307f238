#include "holdfast/testing/fake_clock.h"

#include <algorithm>

namespace holdfast::testing {

TimePoint FakeClock::Now() const {
  const std::lock_guard lock(mutex_);
  return now_;
}

void FakeClock::WaitUntil(TimePoint until, Parker& parker) {
  std::unique_lock lock(mutex_);
  if (now_ >= until || parker.TryConsume()) return;
  if (auto_advance_ && until != TimePoint::max()) {
    now_ = until;
    return;
  }
  sleepers_.push_back({until, &parker});
  sleepers_changed_.notify_all();
  lock.unlock();
  parker.ParkUntil(TimePoint::max());
  lock.lock();
  std::erase_if(sleepers_, [&](const Sleeper& sleeper) { return sleeper.parker == &parker; });
}

void FakeClock::Advance(Duration step) {
  const std::lock_guard lock(mutex_);
  now_ = SaturatingAdd(now_, step);
  for (const Sleeper& sleeper : sleepers_) {
    if (sleeper.until <= now_) sleeper.parker->Wake();
  }
}

void FakeClock::set_auto_advance(bool auto_advance) {
  const std::lock_guard lock(mutex_);
  auto_advance_ = auto_advance;
}

void FakeClock::AwaitWaiters(int n) const {
  std::unique_lock lock(mutex_);
  sleepers_changed_.wait(lock, [&] { return static_cast<int>(sleepers_.size()) >= n; });
}

}  // namespace holdfast::testing
