// An Alarm rings a Waker at a time: how a driver waits that has no thread to put to sleep.
//
//   holdfast::Alarm alarm(parker);
//   fake_clock.SetAlarm(alarm, deadline);   // testing::FakeClock is an AlarmClock
//   fake_clock.CancelAlarm(alarm);          // it does not ring after this
#ifndef HOLDFAST_ALARM_H_
#define HOLDFAST_ALARM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "holdfast/time.h"
#include "holdfast/waker.h"

namespace holdfast {

namespace internal {
class AlarmQueue;
}

// Must be cancelled, or have rung, before it is destroyed; used with one clock. What it rings is
// rung under the clock's lock.
class Alarm {
 public:
  explicit Alarm(Waker& waker) : waker_(waker) {}
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

 private:
  friend class internal::AlarmQueue;
  static constexpr std::size_t kNotSet = static_cast<std::size_t>(-1);

  Waker& waker_;
  std::size_t place_ = kNotSet;  // in its queue
};

// A clock that can ring alarms. Thread-safe.
class AlarmClock : public Clock {
 public:
  // Rings `alarm` once, when Now() >= at, in place of what it was set to before.
  virtual void SetAlarm(Alarm& alarm, TimePoint at) = 0;

  // Makes sure that `alarm` is not set, nor being rung by another thread.
  virtual void CancelAlarm(Alarm& alarm) = 0;
};

namespace internal {

// The alarms of one clock, under its lock; those of one time ring in the order they were set. Each
// operation takes O(log n).
class AlarmQueue {
 public:
  // Both say whether it was set before.
  bool Set(Alarm& alarm, TimePoint at);
  bool Cancel(Alarm& alarm);

  bool empty() const { return heap_.empty(); }
  TimePoint next() const { return heap_.empty() ? TimePoint::max() : heap_.front().at; }

  // Rings what is due.
  void Ring(TimePoint now) {
    while (!heap_.empty() && heap_.front().at <= now) RingFirst();
  }
  // Removes the first, which is there, and rings it; whose waker it was.
  Waker& RingFirst();
  Waker& RemoveFirst();

 private:
  struct Entry {
    TimePoint at;
    std::uint64_t number;
    Alarm* alarm;
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

#endif  // HOLDFAST_ALARM_H_
