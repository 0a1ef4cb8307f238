// Waking a call that waits: a Waker is what a policy object rings, a Parker is the bell that a
// thread sleeps beside.
//
//   holdfast::Parker parker;
//   queue.Add(&parker);                                  // somebody will call parker.Wake()
//   holdfast::SteadyClock()->WaitUntil(deadline, parker);
#ifndef HOLDFAST_BASE_WAKER_H_
#define HOLDFAST_BASE_WAKER_H_

#include <condition_variable>
#include <mutex>
#include <utility>

#include "holdfast/base/time.h"

namespace holdfast {

// Makes the call that it belongs to ask its policy again. Each driver has its own. Thread-safe;
// whoever holds one must let go of it, under the lock that it rings it under, before the call ends.
class Waker {
 public:
  virtual void Wake() noexcept = 0;

 protected:
  ~Waker() = default;
};

// One thread's place to sleep. A wake is remembered until a Park consumes it, so none is lost
// between looking and sleeping. Wake may come from any thread, Park from one.
class Parker final : public Waker {
 public:
  void Wake() noexcept override {
    // Notified under the lock: the parked thread may destroy this as soon as it sees the wake.
    std::lock_guard lock(mutex_);
    woken_ = true;
    bell_.notify_one();
  }

  // Sleeps until Wake(), or until steady_clock reads `until`. True if woken.
  bool ParkUntil(TimePoint until) {
    std::unique_lock lock(mutex_);
    const auto woken = [this] { return woken_; };
    if (until == TimePoint::max()) {
      bell_.wait(lock, woken);
    } else {
      bell_.wait_until(lock, until, woken);
    }
    return std::exchange(woken_, false);
  }

  // Whether there is a wake to consume.
  bool woken() const {
    std::lock_guard lock(mutex_);
    return woken_;
  }

  // Consumes a wake without sleeping. True if there was one.
  bool TryConsume() {
    std::lock_guard lock(mutex_);
    return std::exchange(woken_, false);
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable bell_;
  bool woken_ = false;
};

}  // namespace holdfast

#endif  // HOLDFAST_BASE_WAKER_H_
