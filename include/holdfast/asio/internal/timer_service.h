// Rings the timers of one execution context, and owns the operations that wait there.
#ifndef HOLDFAST_ASIO_INTERNAL_TIMER_SERVICE_H_
#define HOLDFAST_ASIO_INTERNAL_TIMER_SERVICE_H_

#include <atomic>
#include <concepts>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "holdfast/asio/config.h"
#include "holdfast/base/internal/process.h"
#include "holdfast/base/time.h"
#include "holdfast/base/timer.h"

namespace holdfast::internal {

class TimerService;

// What waits: while its timer is set, also for TimePoint::max(), the service holds a reference to
// it, so that it goes away with its context.
class Sleeper : public Waker {
 public:
  virtual void AddReference() noexcept = 0;
  virtual void DropReference() noexcept = 0;

 protected:
  virtual ~Sleeper() = default;

 private:
  friend class TimerService;
  // Has its context wake it, unless that is under way; it still lives, and so does the context.
  virtual void PostWake() noexcept = 0;

  Timer timer_{*this};
};

// One steady_timer serves all timers of a context, because a steady_timer for each call costs a
// system call each. It stays armed for the timer of a call that has ended until its time comes or
// Settle finds that no other is left: a pending steady_timer keeps its context running.
// Thread-safe.
//
// Whoever wakes a sleeper from another thread (with a permit, a stop request, a clock's timer) may
// do so while the context is being destroyed, and with it the sleeper. So all wake-ups pass through
// the lock here, and none is posted once the context has begun to shut down: until then every
// sleeper that can be woken has a reference, here or in a wake-up that is on its way.
// NOLINTBEGIN(bugprone-unchecked-optional-access): Of has made the steady_timer.
class TimerService final : public net::execution_context::service {
 public:
  using key_type = TimerService;
  static inline net::execution_context::id id;

  explicit TimerService(net::execution_context& context)
      : net::execution_context::service(context) {}

  // The service of an executor's context. Throws std::logic_error in a child of fork() whose
  // context was not told of that: it has its timers and its descriptors in common with the parent.
  template <class Executor>
  static TimerService& Of(const Executor& executor) {
    net::execution_context& context = net::query(executor, net::execution::context);
    auto& service = net::use_service<TimerService>(context);
    if (service.generation_ != ProcessGeneration()) {
      throw std::logic_error(
          "holdfast: the execution context is from before a fork(): it needs notify_fork()");
    }
    if (!service.prepared_.load(std::memory_order_acquire)) service.Prepare(executor);
    return service;
  }

  void Set(Sleeper& sleeper, TimePoint at) {
    const std::lock_guard lock(mutex_);
    if (shut_down_) return;
    if (!timers_.Set(sleeper.timer_, at)) sleeper.AddReference();
    if (at < armed_for_) Arm(at);
    Poll();
  }

  void Cancel(Sleeper& sleeper) {
    {
      const std::lock_guard lock(mutex_);
      if (!timers_.Cancel(sleeper.timer_)) return;
      Poll();
    }
    sleeper.DropReference();
  }

  void Wake(Sleeper& sleeper) noexcept {
    const std::lock_guard lock(mutex_);
    if (!shut_down_) sleeper.PostWake();
  }

  // Between calls: lets the context end if nothing waits in it.
  void Settle() {
    if (!armed_for_none_.load(std::memory_order_relaxed)) return;
    const std::lock_guard lock(mutex_);
    if (!armed_for_none_.load(std::memory_order_relaxed) || shut_down_) return;
    armed_for_ = TimePoint::max();
    ++arming_;
    Poll();
    asio_timer_->cancel();
  }

 private:
  // The steady_timer's own executor is what is inside of a strand: a strand may be busy, and timers
  // are of all its context.
  template <class Executor>
  static net::any_io_executor Innermost(const Executor& executor) {
    if constexpr (requires { executor.get_inner_executor(); }) {
      return Innermost(executor.get_inner_executor());
    } else if constexpr (std::same_as<Executor, net::any_io_executor>) {
      if (auto* in = executor.template target<net::strand<net::io_context::executor_type>>()) {
        return in->get_inner_executor();
      }
      if (auto* in = executor.template target<net::strand<net::thread_pool::executor_type>>()) {
        return in->get_inner_executor();
      }
      if (auto* in = executor.template target<net::strand<net::any_io_executor>>()) {
        return Innermost(in->get_inner_executor());
      }
      return executor;
    } else {
      return executor;
    }
  }

  template <class Executor>
  void Prepare(const Executor& executor) {
    const std::lock_guard lock(mutex_);
    if (asio_timer_ || shut_down_) return;
    asio_timer_.emplace(Innermost(executor));
    prepared_.store(true, std::memory_order_release);
  }

  // The rest holds the lock.

  void Arm(TimePoint at) {
    armed_for_ = at;
    asio_timer_->expires_at(at);
    asio_timer_->async_wait([this, arming = ++arming_](const ErrorCode&) { Fire(arming); });
  }

  void Poll() {
    armed_for_none_.store(armed_for_ != TimePoint::max() && timers_.next() == TimePoint::max(),
                          std::memory_order_relaxed);
  }

  void Fire(std::uint64_t arming) {
    std::unique_lock lock(mutex_);
    if (arming != arming_ || shut_down_) return;
    armed_for_ = TimePoint::max();
    const TimePoint now = ReadClock(nullptr);
    while (timers_.next() <= now) {
      auto& sleeper = static_cast<Sleeper&>(timers_.RemoveFirst());
      sleeper.PostWake();
      // What goes away with its last reference may have something to cancel.
      lock.unlock();
      sleeper.DropReference();
      lock.lock();
    }
    if (timers_.next() < armed_for_) Arm(timers_.next());
    Poll();
  }

  // The program does not use the context meanwhile. Locked over the fork, so that the child does
  // not find it locked by a thread that is not there.
  void notify_fork(net::execution_context::fork_event event) override {
    if (event == net::execution_context::fork_prepare) {
      mutex_.lock();
      forking_ = true;
      return;
    }
    generation_ = ProcessGeneration();
    if (std::exchange(forking_, false)) mutex_.unlock();
  }

  void shutdown() override {
    std::vector<Sleeper*> left;
    {
      const std::lock_guard lock(mutex_);
      shut_down_ = true;
      while (!timers_.empty()) left.push_back(static_cast<Sleeper*>(&timers_.RemoveFirst()));
      asio_timer_.reset();
    }
    for (Sleeper* const sleeper : left) sleeper->DropReference();
  }

  std::mutex mutex_;
  TimerQueue timers_;
  std::optional<net::steady_timer> asio_timer_;  // an optional: made when the executor is known
  TimePoint armed_for_ = TimePoint::max();
  std::uint64_t arming_ = 0;  // of the steady_timer; the wait of an older one means nothing
  bool shut_down_ = false;
  bool forking_ = false;                            // between notify_fork before it and after it
  std::uint32_t generation_ = ProcessGeneration();  // of the process that the context belongs to

  std::atomic<bool> prepared_{false};  // there is a steady_timer
  // Whether Settle has something to do. Changed under the lock; who ended the last timer has seen
  // itself say so, and relaxed does.
  std::atomic<bool> armed_for_none_{false};
};
// NOLINTEND(bugprone-unchecked-optional-access)

}  // namespace holdfast::internal

#endif  // HOLDFAST_ASIO_INTERNAL_TIMER_SERVICE_H_
