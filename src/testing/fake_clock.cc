#include "holdfast/testing/fake_clock.h"

#include <algorithm>

namespace holdfast::testing {

TimePoint FakeClock::Now() const {
  const std::lock_guard lock(mutex_);
  return now_;
}

void FakeClock::WaitUntil(TimePoint until, Parker& parker) { WaitUntil(until, parker, true); }

void FakeClock::WaitUntilWokenByPeer(TimePoint until, Parker& parker) {
  WaitUntil(until, parker, false);
}

void FakeClock::WaitUntil(TimePoint until, Parker& parker, bool auto_advance) {
  {
    const std::lock_guard lock(mutex_);
    if (now_ >= until || parker.TryConsume()) return;
    if (auto_advance && auto_advance_ && until != TimePoint::max()) return SetNowLocked(until);
    sleepers_.push_back({until, &parker});
    sleepers_changed_.notify_all();
  }
  parker.ParkUntil(TimePoint::max());
  // Still there if somebody else woke it.
  const std::lock_guard lock(mutex_);
  std::erase_if(sleepers_, [&](const Sleeper& sleeper) { return sleeper.parker == &parker; });
}

// Sleepers whose time has come are sleepers no more, though their threads have yet to run.
void FakeClock::SetNowLocked(TimePoint now) {
  now_ = now;
  std::erase_if(sleepers_, [now](const Sleeper& sleeper) {
    if (sleeper.until > now) return false;
    sleeper.parker->Wake();
    return true;
  });
  timers_.Fire(now);
}

void FakeClock::SetTimer(Timer& timer, TimePoint at) {
  const std::lock_guard lock(mutex_);
  timers_.Set(timer, at);
  timers_.Fire(now_);
}

void FakeClock::CancelTimer(Timer& timer) {
  const std::lock_guard lock(mutex_);
  timers_.Cancel(timer);
}

bool FakeClock::AdvanceToNext() {
  const std::lock_guard lock(mutex_);
  TimePoint next = timers_.next();
  for (const Sleeper& sleeper : sleepers_) next = std::min(next, sleeper.until);
  if (next == TimePoint::max()) return false;
  SetNowLocked(next);
  return true;
}

void FakeClock::Advance(TimeSpan step) {
  const std::lock_guard lock(mutex_);
  SetNowLocked(SaturatingAdd(now_, step));
}

void FakeClock::set_auto_advance(bool auto_advance) {
  const std::lock_guard lock(mutex_);
  auto_advance_ = auto_advance;
  if (!auto_advance) return;
  TimePoint last = now_;
  for (const Sleeper& sleeper : sleepers_) {
    if (sleeper.until != TimePoint::max()) last = std::max(last, sleeper.until);
  }
  SetNowLocked(last);
}

void FakeClock::AwaitWaiters(int n) const {
  std::unique_lock lock(mutex_);
  // One that was woken waits no more, though its thread has yet to run.
  const auto waits = [](const Sleeper& sleeper) { return !sleeper.parker->woken(); };
  sleepers_changed_.wait(lock, [&] { return std::ranges::count_if(sleepers_, waits) >= n; });
}

}  // namespace holdfast::testing
