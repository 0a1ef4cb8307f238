// FakeClock is a clock that a test turns by hand, so that an hour passes in no time.
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

// Thread-safe. A wait on it moves the time to its end and is over at once; after
// set_auto_advance(false) it lasts until somebody else Advances the time so far, or wakes it. A
// wait without an end (TimePoint::max()), a timer and a wait for another thread
// (WaitUntilWokenByPeer) always last that long.
class FakeClock : public TimerClock {
 public:
  explicit FakeClock(TimePoint start = {}) : now_(start) {}

  TimePoint Now() const override;
  void WaitUntil(TimePoint until, Parker& parker) override;
  void WaitUntilWokenByPeer(TimePoint until, Parker& parker) override;
  void SetTimer(Timer& timer, TimePoint at) override;
  void CancelTimer(Timer& timer) override;

  // Moves the time forward, and back for a negative `step`, ends the waits whose time has come and
  // rings their timers.
  void Advance(TimeSpan step);

  // Moves the time to the first end of a wait or the first timer that it has not reached; false if
  // there is none.
  bool AdvanceToNext();

  // Turned on, it moves the time to the end of every wait that has one.
  void set_auto_advance(bool auto_advance);

  // Blocks until `n` threads or more wait on this clock: so that a test advances the time only
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
