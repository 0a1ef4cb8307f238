// A Semaphore limits concurrency: it hands out up to `limit` permits and takes them back.
//
//   holdfast::Semaphore connections({.limit = 100});
//   absl::StatusOr<holdfast::Permit> permit = connections.Acquire();  // waits for its turn
//   if (permit.ok()) Connect();  // the permit is returned when it is destroyed
//
// Most callers want Bulkhead (bulkhead.h) in a stack, which also bounds the wait and the queue.
#ifndef HOLDFAST_CONCURRENCY_SEMAPHORE_H_
#define HOLDFAST_CONCURRENCY_SEMAPHORE_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/refusals.h"
#include "holdfast/base/priority.h"
#include "holdfast/base/time.h"
#include "holdfast/base/waker.h"
#include "holdfast/call/collector.h"
#include "holdfast/concurrency/internal/permit_refusals.h"
#include "holdfast/concurrency/internal/reserved_permits.h"

namespace holdfast {

class Semaphore;

namespace internal {
// As a deleter, it returns the permits.
struct PermitDeleter {
  void operator()(Semaphore* semaphore) const noexcept;

  std::int64_t n = 0;
};

struct PermitMetrics;
}  // namespace internal

// Proof of admission; move-only. Its permits are returned once: by Release, or when it is
// destroyed. The semaphore must outlive it. Used by one thread at a time.
class [[nodiscard]] Permit {
 public:
  Permit() = default;  // holds no permit

  void Release() { semaphore_.reset(); }

 private:
  friend class Bulkhead;
  friend class Semaphore;
  Permit(Semaphore* semaphore, std::int64_t n) { Fill(semaphore, n); }
  // Of an empty one.
  void Fill(Semaphore* semaphore, std::int64_t n) {
    semaphore_.get_deleter().n = n;
    semaphore_.reset(semaphore);
  }

  std::unique_ptr<Semaphore, internal::PermitDeleter> semaphore_;
};

// Waiters are served in FIFO order: a request never overtakes a waiter, however few permits it asks
// for. The exceptions are calls of a Bulkhead, which may have a higher priority or ask for LIFO.
//
// Thread-safe. Neither acquiring nor releasing takes a lock while nobody waits.
class Semaphore {
 public:
  struct Options {
    std::int64_t limit = 0;  // permits, 1 to kMaxLimit; required
    std::string name = {};   // for messages
    // The clock of Acquire; null: SteadyClock(), or that of the stack. Must outlive the semaphore.
    Clock* clock = nullptr;
  };
  static constexpr std::int64_t kMaxLimit = (std::int64_t{1} << 31) - 1;

  // What a Waiter waits for, and its position in the queue.
  struct Place {
    std::int64_t n = 1;  // permits, 1 to limit()
    Priority priority = Priority::kNormal;
    bool newest_first = false;  // LIFO: ahead of the waiters of the same priority, not behind them
    std::int64_t max_queue = std::numeric_limits<std::int64_t>::max();  // waiters, >= 1
    TimePoint now = {};
  };
  class Waiter;

  // Throws std::invalid_argument with the text of Validate.
  explicit Semaphore(Options options);
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  // `n` permits if they are free and nobody waits; nullopt otherwise, and for n < 1.
  [[nodiscard]] std::optional<Permit> TryAcquire(std::int64_t n = 1) {
    if (!TryTake(n)) {
      CountRefused(n);
      return std::nullopt;
    }
    return Permit(this, n);
  }

  // Blocks the thread until it has `n` permits. Without a deadline or a stop token in `options` it
  // waits as long as it takes; each waiter is a blocked thread, so the queue is never longer than
  // the program has threads. Errors, with no permit held:
  //   kInvalidArgument    n < 1 or n > limit(), at once; also if SetLimit makes it so meanwhile
  //   kCancelled          the stop token was requested
  //   kDeadlineExceeded   the deadline has passed
  [[nodiscard]] absl::StatusOr<Permit> Acquire(std::int64_t n = 1, const WaitOptions& options = {});

  // Changes the limit. Permits in use are not revoked: a lower limit takes effect as soon as enough
  // of them have been returned. A higher one serves the waiters that now fit. Throws
  // std::invalid_argument for a limit that Validate refuses.
  void SetLimit(std::int64_t limit);

  // Replaces all options while calls run; the limit changes as by SetLimit. The name and the clock
  // cannot change: left out they stay, and another one is refused. kInvalidArgument, with nothing
  // changed, for that and for what Validate refuses.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // The present options: to change one of them, Update with a changed copy.
  Options options() const { return {.limit = limit(), .name = name_, .clock = clock_.given()}; }
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options);

  std::int64_t limit() const { return Limit(word_.load(std::memory_order_acquire)); }
  std::int64_t in_use() const { return InUse(word_.load(std::memory_order_acquire)); }
  std::int64_t queued() const;  // the number of waiters, not of permits that they wait for

  const std::string& name() const { return name_; }

  // For a registry of metrics (collector.h): those of docs/concurrency.md, as holdfast.bulkhead.*.
  void Collect(Collector& collector) const;

  // For stacks: see internal/object_clock.h.
  void BindClock(internal::ClockBinder& binder, std::string_view policy) {
    binder.Bind(policy, name_, clock_);
  }
  const internal::Refusals& refusals() const { return refusals_; }

 private:
  friend class AdaptiveLimiter;
  friend class Bulkhead;
  friend struct internal::PermitDeleter;

  // For the refusals of a policy of another name.
  Semaphore(Options options, std::string_view policy);

  // For how long a call will hold a permit, as an AdaptiveLimiter knows it; else Duration::max().
  Duration expected_hold() const {
    return Duration(expected_hold_.load(std::memory_order_relaxed));
  }

  // The word: bit 0 kWaiting, bits 1 to 32 the permits in use, bits 33 to 63 the limit. The
  // protocol is explained in semaphore.cc.
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

  // Of a call that was to wait for nothing, and did not get `n` permits.
  void CountRefused(std::int64_t n) {
    const bool impossible = n < 1 || n > limit();
    refused_.Count(
        impossible ? internal::PermitRefusal::kExceedsCapacity : internal::PermitRefusal::kFull,
        Priority::kNormal);
  }
  void CollectAs(const internal::PermitMetrics& metrics, Collector& collector) const;
  void ChangeLimit(std::int64_t limit);
  void ServeWaiters();
  void ServeWaitersLocked();
  Waiter* NextLocked() const;
  bool MakeRoomLocked(const Place& place);

  // Waiters of one priority, in the order in which they will be served.
  struct Line {
    Waiter* first = nullptr;
    Waiter* last = nullptr;
  };

  std::atomic<std::uint64_t> word_;
  std::atomic<Duration::rep> expected_hold_{Duration::max().count()};  // a hint, so relaxed
  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::array<Line, kPriorities> lines_;  // while one is not empty, kWaiting is set
  std::int64_t queued_ = 0;              // waiters in all lines
  TimePoint waiting_since_ = {};         // the queue has not been empty since
  internal::ReservedPermits reserved_;

  const std::string name_;
  internal::ObjectClock clock_;
  const internal::Refusals refusals_;
  internal::PermitRefusals refused_;
};

absl::Status Validate(const Semaphore::Options& options);

inline void internal::PermitDeleter::operator()(Semaphore* semaphore) const noexcept {
  semaphore->GiveBack(n);
}

// A position in a semaphore's queue, for a driver that waits in its own way: TryEnter, wait for the
// waker, ask Take. Destroyed, it leaves the queue and returns the permits that it was given
// meanwhile; the semaphore counts that as a refusal, "cancelled". Used by one thread at a time; the
// semaphore must outlive it.
class Semaphore::Waiter {
 public:
  Waiter() = default;
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() {
    if (semaphore_ != nullptr) Leave(internal::PermitRefusal::kCancelled);
  }

  // Enters the queue; `waker` is woken when Take would no longer return nullopt. If the queue
  // already holds place.max_queue waiters, the last waiter of the lowest priority is refused to
  // make room, provided that its priority is lower or that the new waiter is to be served before
  // it; otherwise this returns false.
  [[nodiscard]] bool TryEnter(Semaphore& semaphore, Waker& waker, const Place& place);
  bool entered() const { return semaphore_ != nullptr; }

  // For how long the queue had not been empty when this waiter entered.
  Duration queue_age() const { return queue_age_; }

  // The permits, once it is this waiter's turn; an error if it will never be (kInvalidArgument:
  // SetLimit made that impossible; kResourceExhausted: it had to make room); nullopt while it
  // waits. A value ends the waiting.
  [[nodiscard]] std::optional<absl::StatusOr<Permit>> Take();

 private:
  friend class Bulkhead;
  friend class Semaphore;
  enum class Fate { kWaiting, kServed, kExceedsCapacity, kGaveWay };

  // Before it has taken permits: counts the refusal, unless its fate has been counted as one.
  void Leave(internal::PermitRefusal why);
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
