// Waking a call that waits: a policy object calls a Waker, and a Parker is the Waker of a thread
// that sleeps. For authors of policies and drivers.
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

// Wakes the call that it belongs to, which then asks its policy again. Each driver has its own
// kind. Thread-safe. A policy object that keeps a Waker must drop it before the call ends, under
// the same lock under which the object calls Wake.
class Waker {
 public:
  virtual void Wake() noexcept = 0;

 protected:
  ~Waker() = default;
};

// Lets one thread sleep until it is woken. A wake is kept until ParkUntil or TryConsume takes it,
// so none is lost between a check and the sleep. Any thread may call Wake; one thread parks.
class Parker final : public Waker {
 public:
  void Wake() noexcept override {
    // Notified under the lock: the parked thread may destroy this as soon as it sees the wake.
    std::lock_guard lock(mutex_);
    woken_ = true;
    bell_.notify_one();
  }

  // Sleeps until Wake(), or until steady_clock reads `until`. Returns true if woken.
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

  // Whether a wake has come that nothing has taken yet.
  bool woken() const {
    std::lock_guard lock(mutex_);
    return woken_;
  }

  // Takes a wake without sleeping. Returns true if there was one.
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
