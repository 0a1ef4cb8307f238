// FakeClock is a clock whose time a test sets, so that an hour passes at once.
//
//   holdfast::testing::FakeClock clock;
//   auto fetch = holdfast::Stack(holdfast::Retry({})).Around(executor, &clock);
//   fetch();                        // the waits of its retries are over at once
//   clock.Advance(1h);
#ifndef HOLDFAST_TESTING_FAKE_CLOCK_H_
#define HOLDFAST_TESTING_FAKE_CLOCK_H_

#include <condition_variable>
#include <mutex>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/base/timer.h"
#include "holdfast/base/waker.h"

namespace holdfast::testing {

// Thread-safe. By default a wait moves the time to its end and returns at once. After
// set_auto_advance(false) a wait lasts until another thread advances the time to its end, or wakes
// it. A wait without an end (TimePoint::max()), a timer and a wait for another thread
// (WaitUntilWokenByPeer) never move the time.
class FakeClock : public TimerClock {
 public:
  explicit FakeClock(TimePoint start = {}) : now_(start) {}

  TimePoint Now() const override;
  void WaitUntil(TimePoint until, Parker& parker) override;
  void WaitUntilWokenByPeer(TimePoint until, Parker& parker) override;
  void SetTimer(Timer& timer, TimePoint at) override;
  void CancelTimer(Timer& timer) override;

  // Adds `step` to the time, which may be negative, ends the waits whose end is reached, and fires
  // the timers that are due.
  void Advance(TimeSpan step);

  // Advances the time to the next end of a wait or the next timer; false if there is none.
  bool AdvanceToNext();

  // Whether a wait with an end moves the time; default: true. Setting true also ends the current
  // waits that have an end.
  void set_auto_advance(bool auto_advance);

  // Blocks until at least `n` threads wait on this clock, so that a test advances the time only
  // after they do.
  void AwaitWaiters(int n) const;

 private:
  struct Sleeper {
    TimePoint until;
    Parker* parker;
  };

  void WaitUntil(TimePoint until, Parker& parker, bool auto_advance);
  void SetNowLocked(TimePoint now);

  mutable std::mutex mutex_;
  mutable std::condition_variable sleepers_changed_;
  TimePoint now_;
  bool auto_advance_ = true;
  std::vector<Sleeper> sleepers_;
  internal::TimerQueue timers_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTING_FAKE_CLOCK_H_
