// A Timer wakes a Waker at a given time, for drivers that do not block a thread. For driver
// authors.
//
//   holdfast::Timer timer(parker);
//   fake_clock.SetTimer(timer, deadline);   // testing::FakeClock is a TimerClock
//   fake_clock.CancelTimer(timer);          // it does not fire after this
#ifndef HOLDFAST_BASE_TIMER_H_
#define HOLDFAST_BASE_TIMER_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/base/waker.h"

namespace holdfast {

namespace internal {
class TimerQueue;
}

// Must be cancelled, or have fired, before it is destroyed, and is used with one clock only. The
// waker is woken under the clock's lock.
class Timer {
 public:
  explicit Timer(Waker& waker) : waker_(waker) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

 private:
  friend class internal::TimerQueue;
  static constexpr std::size_t kNotSet = static_cast<std::size_t>(-1);

  Waker& waker_;
  std::size_t place_ = kNotSet;  // in its queue
};

// A clock that can fire timers. Thread-safe.
class TimerClock : public Clock {
 public:
  // Fires `timer` once, when Now() >= at. This replaces the time to which it was set before.
  virtual void SetTimer(Timer& timer, TimePoint at) = 0;

  // On return, `timer` is not set, and no other thread is firing it.
  virtual void CancelTimer(Timer& timer) = 0;
};

namespace internal {

// The timers of one clock, under its lock; those of one time ring in the order they were set. Each
// operation takes O(log n).
class TimerQueue {
 public:
  // Both say whether it was set before.
  bool Set(Timer& timer, TimePoint at);
  bool Cancel(Timer& timer);

  bool empty() const { return heap_.empty(); }
  TimePoint next() const { return heap_.empty() ? TimePoint::max() : heap_.front().at; }

  // Rings what is due.
  void Fire(TimePoint now) {
    while (!heap_.empty() && heap_.front().at <= now) RingFirst();
  }
  // Removes the first, which is there, and rings it; whose waker it was.
  Waker& RingFirst();
  Waker& RemoveFirst();

 private:
  struct Entry {
    TimePoint at;
    std::uint64_t number;
    Timer* timer;
  };

  static bool Before(const Entry& a, const Entry& b) {
    return a.at != b.at ? a.at < b.at : a.number < b.number;
  }
  void Put(std::size_t place, const Entry& entry);
  void Settle(std::size_t place, const Entry& entry);

  std::vector<Entry> heap_;  // binary, the first to ring at the front
  std::uint64_t number_ = 0;
};

}  // namespace internal
}  // namespace holdfast

#endif  // HOLDFAST_BASE_TIMER_H_
