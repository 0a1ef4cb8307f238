// A Semaphore bounds how many things happen at once: it hands out up to `limit` permits and takes
// them back.
//
//   holdfast::Semaphore connections({.limit = 100});
//   absl::StatusOr<holdfast::Permit> permit = connections.Acquire();  // waits its turn
//   if (permit.ok()) Connect();  // the permit goes back when it is destroyed
//
// Most callers want Bulkhead (bulkhead.h) in a stack.
#ifndef HOLDFAST_CONCURRENCY_SEMAPHORE_H_
#define HOLDFAST_CONCURRENCY_SEMAPHORE_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/refusals.h"
#include "holdfast/base/priority.h"
#include "holdfast/base/time.h"
#include "holdfast/base/waker.h"
#include "holdfast/concurrency/internal/reserved_permits.h"

namespace holdfast {

class Semaphore;

// Proof of admission; move-only. What it holds goes back once: by Release, or when it is destroyed.
// Its semaphore must outlive it.
class [[nodiscard]] Permit {
 public:
  Permit() = default;  // holds nothing
  Permit(Permit&& other) noexcept
      : semaphore_(std::exchange(other.semaphore_, nullptr)), n_(other.n_) {}
  Permit& operator=(Permit&& other) noexcept {
    if (this != &other) {
      Release();
      semaphore_ = std::exchange(other.semaphore_, nullptr);
      n_ = other.n_;
    }
    return *this;
  }
  ~Permit() { Release(); }

  void Release();

 private:
  friend class Bulkhead;
  friend class Semaphore;
  Permit(Semaphore* semaphore, std::int64_t n) : semaphore_(semaphore), n_(n) {}

  Semaphore* semaphore_ = nullptr;
  std::int64_t n_ = 0;
};

// First come, first served: nobody passes a waiter, however little they ask for, but for calls of a
// Bulkhead that matter more or want to be served newest first. Thread-safe; it takes no lock while
// nobody waits.
class Semaphore {
 public:
  struct Options {
    std::int64_t limit = 0;  // permits, 1 to kMaxLimit
    std::string name = {};   // for messages
    Clock* clock = nullptr;  // of Acquire; must outlive the semaphore
  };
  static constexpr std::int64_t kMaxLimit = (std::int64_t{1} << 31) - 1;

  // Where to queue, and for what.
  struct Place {
    std::int64_t n = 1;  // permits, 1 to limit()
    Priority priority = Priority::kNormal;
    bool newest_first = false;  // before those of its priority that are there, not behind them
    std::int64_t max_queue = std::numeric_limits<std::int64_t>::max();
    TimePoint now = {};
  };
  class Waiter;

  // Throws std::invalid_argument with the text of Validate.
  explicit Semaphore(Options options);
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  // `n` permits if they are free and nobody waits; nullopt otherwise, and for n < 1.
  std::optional<Permit> TryAcquire(std::int64_t n = 1) {
    if (!TryTake(n)) return std::nullopt;
    return Permit(this, n);
  }

  // Blocks until it has `n` permits. Errors, with nothing held:
  //   kInvalidArgument    n < 1 or n > limit(), at once; also where SetLimit makes it so meanwhile
  //   kCancelled          stopped
  //   kDeadlineExceeded   the deadline has passed
  absl::StatusOr<Permit> Acquire(std::int64_t n = 1, const WaitOptions& options = {});

  // Permits that are out stay out: a smaller limit holds as soon as enough came back. Waiters that
  // now fit are served. Throws std::invalid_argument for what Options would refuse.
  void SetLimit(std::int64_t limit);

  // Replaces the options, all of them, while calls run: the limit, as SetLimit does. Name and clock
  // stay: left out they are as before, and others are refused. kInvalidArgument, with nothing
  // changed, for what Validate refuses.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // Those of now: to change one, change a copy of them.
  Options options() const { return {.limit = limit(), .name = name_, .clock = clock_.given()}; }
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options);

  std::int64_t limit() const { return Limit(word_.load(std::memory_order_acquire)); }
  std::int64_t in_use() const { return InUse(word_.load(std::memory_order_acquire)); }
  std::int64_t queued() const;  // waiters, not permits

  const std::string& name() const { return name_; }

  // For stacks: see internal/object_clock.h.
  void BindClock(internal::ClockBinder& binder, std::string_view policy) {
    binder.Bind(policy, name_, clock_);
  }
  const internal::Refusals& refusals() const { return refusals_; }

 private:
  friend class AdaptiveLimiter;
  friend class Bulkhead;
  friend class Permit;

  // For how long a call will hold a permit, where somebody knows; else Duration::max().
  Duration expected_hold() const {
    return Duration(expected_hold_.load(std::memory_order_relaxed));
  }

  // One word holds the limit (31 bits), what is in use (32) and whether anybody waits (1), so that
  // taking is one compare-and-swap against all three and real concurrency never passes the limit.
  // Who finds somebody waiting goes through the mutex. A waiter sets kWaiting, under the mutex,
  // before it looks whether it can be served at once, and every change of the word is a
  // read-modify-write: so a permit that comes back is seen either by that look, or by whoever gives
  // it back, who sees kWaiting and serves. No wake-up is lost.
  static constexpr std::uint64_t kWaiting = 1;
  static constexpr std::uint64_t kOne = 2;
  static constexpr int kLimitShift = 33;

  static std::int64_t Limit(std::uint64_t word) {
    return static_cast<std::int64_t>(word >> kLimitShift);
  }
  static std::int64_t InUse(std::uint64_t word) {
    return static_cast<std::int64_t>((word >> 1) & 0xffff'ffff);
  }
  static bool Fits(std::uint64_t word, std::int64_t n) { return n <= Limit(word) - InUse(word); }

  bool TryTake(std::int64_t n) {
    if (n < 1) return false;
    std::uint64_t word = word_.load(std::memory_order_relaxed);
    while ((word & kWaiting) == 0 && Fits(word, n)) {
      if (word_.compare_exchange_weak(word, word + kOne * static_cast<std::uint64_t>(n),
                                      std::memory_order_acquire, std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }

  void GiveBack(std::int64_t n) {
    const std::uint64_t before =
        word_.fetch_sub(kOne * static_cast<std::uint64_t>(n), std::memory_order_acq_rel);
    if ((before & kWaiting) != 0) ServeWaiters();
  }

  void ChangeLimit(std::int64_t limit);
  void ServeWaiters();
  void ServeWaitersLocked();
  Waiter* NextLocked() const;
  bool MakeRoomLocked(const Place& place);

  // Waiters of one priority, in the order in which they are served.
  struct Line {
    Waiter* first = nullptr;
    Waiter* last = nullptr;
  };

  std::atomic<std::uint64_t> word_;
  std::atomic<Duration::rep> expected_hold_{Duration::max().count()};  // a hint, so relaxed
  mutable std::mutex mutex_;
  std::array<Line, kPriorities> lines_;  // kWaiting is set while anybody is in one
  std::int64_t queued_ = 0;
  TimePoint waiting_since_ = {};  // there was always somebody
  internal::ReservedPermits reserved_;

  const std::string name_;
  internal::ObjectClock clock_;
  const internal::Refusals refusals_;
};

absl::Status Validate(const Semaphore::Options& options);

inline void Permit::Release() {
  if (Semaphore* semaphore = std::exchange(semaphore_, nullptr)) semaphore->GiveBack(n_);
}

// A place in a semaphore's queue, for a driver that waits in its own way: enter it, wait for the
// waker, ask Take(). Destroyed, it leaves the queue and gives back what it was given meanwhile.
// Used by one thread at a time; its semaphore must outlive it.
class Semaphore::Waiter {
 public:
  Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() {
    if (semaphore_ != nullptr) Leave();
  }

  // Queues; `waker` is rung when Take would no longer be empty. Where place.max_queue waiters are
  // there already the last of those that matter least gives way, if it matters less or if the new
  // one is to be served before it; otherwise this is false.
  bool TryEnter(Semaphore& semaphore, Waker& waker, const Place& place);
  bool entered() const { return semaphore_ != nullptr; }

  // For how long there had always been somebody waiting when it entered.
  Duration queue_age() const { return queue_age_; }

  // The permits, once it is their turn, or why there will be none (SetLimit made it impossible, or
  // it had to give way); nullopt while it waits. Whatever it returns ends the waiting.
  std::optional<absl::StatusOr<Permit>> Take();

 private:
  friend class Semaphore;
  enum class Fate { kWaiting, kServed, kExceedsCapacity, kGaveWay };

  void Leave();
  void EndLocked(Fate fate);
  void LinkLocked();
  void UnlinkLocked();

  Semaphore* semaphore_ = nullptr;
  Waker* waker_ = nullptr;
  Place place_;
  Duration queue_age_{0};
  // Guarded by the semaphore's mutex.
  Waiter* previous_ = nullptr;
  Waiter* next_ = nullptr;
  Fate fate_ = Fate::kWaiting;
};

}  // namespace holdfast

#endif  // HOLDFAST_CONCURRENCY_SEMAPHORE_H_
