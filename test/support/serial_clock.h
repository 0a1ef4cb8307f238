// Blocking calls in many threads, of which one runs at a time, in virtual time: so that what they
// do is the same each time, and in the order in which a driver with one thread would do it.
#ifndef HOLDFAST_TEST_SUPPORT_SERIAL_CLOCK_H_
#define HOLDFAST_TEST_SUPPORT_SERIAL_CLOCK_H_

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/base/thread_pool.h"
#include "holdfast/base/time.h"
#include "holdfast/base/waker.h"

namespace holdfast::testing {

// Each thread stops where it reads the time for the first time and where it waits, until it is its
// turn: whoever could go on first goes first, and of those whose time has come the one that stopped
// first. A branch begins as a part of the step that sent it. Of those that one step of another
// thread made ready, threads of the pool come before callers: a branch is stopped or gets a permit
// before the call goes on that it is of, or that the step is of.
class SerialClock : public Clock {
 public:
  // `pool` is where the calls' branches run.
  explicit SerialClock(ThreadPool& pool) : pool_(pool) {}

  TimePoint Now() const override {
    std::unique_lock lock(mutex_);
    Enter(lock);
    return now_;
  }

  void WaitUntil(TimePoint until, Parker& parker) override {
    std::unique_lock lock(mutex_);
    Enter(lock);
    if (now_ >= until || parker.TryConsume()) return;
    Stop(lock, until, &parker);
    parker.TryConsume();
  }

  // To be called where a task of the pool ends.
  static void Leave() { Me() = {}; }

  // Runs the calls, each from its time on, to their end, and all that they began.
  void Run(const std::vector<std::pair<TimePoint, std::function<void()>>>& calls) {
    std::vector<std::thread> threads;
    for (const auto& timed : calls) {
      threads.emplace_back([this, &timed] {
        {
          std::unique_lock lock(mutex_);
          Me() = {.clock = this, .caller = true};
          Stop(lock, timed.first, nullptr);
        }
        timed.second();
        const std::lock_guard lock(mutex_);
        --callers_;
      });
      {
        const std::lock_guard lock(mutex_);
        ++callers_;
      }
      AwaitStopped();
    }
    do AwaitStopped();
    while (LetOneGo());
    for (std::thread& thread : threads) thread.join();
  }

 private:
  struct Stopped {
    TimePoint until;
    Parker* parker;  // null: it is only about the time
    bool caller;
    std::uint64_t ready = 0;  // the order in which they became so; 0: not yet
    bool go = false;
    std::condition_variable bell = {};
  };

  struct Thread {
    const SerialClock* clock = nullptr;  // that it has stopped at
    bool caller = false;
  };
  static Thread& Me() {
    thread_local Thread me;
    return me;
  }

  // A thread of the pool waits for its turn to begin its task.
  void Enter(std::unique_lock<std::mutex>& lock) const {
    if (Me().clock == this) return;
    Me() = {.clock = this, .caller = false};
    Stop(lock, now_, nullptr, ++begun_);
  }

  void Stop(std::unique_lock<std::mutex>& lock, TimePoint until, Parker* parker,
            std::uint64_t ready = 0) const {
    Stopped self{.until = until, .parker = parker, .caller = Me().caller, .ready = ready};
    stopped_.push_back(&self);
    self.bell.wait(lock, [&self] { return self.go; });
  }

  void AwaitStopped() const {
    for (;; std::this_thread::yield()) {
      const std::lock_guard lock(mutex_);
      const std::int64_t busy = pool_.threads() - pool_.idle() + pool_.queued();
      if (static_cast<std::int64_t>(stopped_.size()) == callers_ + busy) return;
    }
  }

  // False if there is none.
  bool LetOneGo() {
    const std::lock_guard lock(mutex_);
    if (stopped_.empty()) return false;
    MarkReady();
    if (std::ranges::none_of(stopped_, [](const Stopped* thread) { return thread->ready != 0; })) {
      now_ = (*std::ranges::min_element(stopped_, {}, &Stopped::until))->until;
      if (now_ == TimePoint::max()) throw std::logic_error("every thread waits for ever");
      MarkReady();
    }
    // Those that are not ready come last.
    const auto order = [](const Stopped* thread) { return thread->ready - 1; };
    const auto chosen = std::ranges::min_element(stopped_, {}, order);
    Stopped& thread = **chosen;
    stopped_.erase(chosen);
    thread.go = true;
    thread.bell.notify_one();
    return true;
  }

  void MarkReady() {
    const auto mark = [this](const auto& is_ready) {
      for (Stopped* const thread : stopped_) {
        if (thread->ready == 0 && is_ready(*thread)) thread->ready = ++readied_;
      }
    };
    mark([this](const Stopped& thread) { return thread.until <= now_; });
    for (const bool caller : {false, true}) {
      mark([caller](const Stopped& thread) {
        return thread.caller == caller && thread.parker != nullptr && thread.parker->woken();
      });
    }
  }

  ThreadPool& pool_;
  mutable std::mutex mutex_;
  TimePoint now_ = {};
  int callers_ = 0;
  mutable std::uint64_t begun_ = 0;
  std::uint64_t readied_ = std::uint64_t{1} << 32;  // after all that began
  mutable std::vector<Stopped*> stopped_;           // in the order in which they stopped
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TEST_SUPPORT_SERIAL_CLOCK_H_
