// Trunk reservation: how many free permits a call of low priority must leave to calls of higher
// priority, in a bulkhead in which no call may wait.
//
// Model. A bulkhead with a queue serves the highest priority first. Without a queue there is no
// order to apply: whichever call comes when a permit is free takes it, and a flood of unimportant
// calls takes almost all. Telephone networks solve the same problem by trunk reservation: calls of
// a lower class are refused while fewer than r lines are free. There r is a constant, which wastes
// lines when no call of the higher class comes. Here r follows the refusals:
//
//   - a call of priority p that finds no permit adds max(1, limit / 16) to the reservation of p, at
//     most up to the limit;
//   - a reservation halves every second, and less than half a permit is forgotten;
//   - a call of priority q is refused while fewer permits are free than the largest reservation of
//     any priority above q, rounded up to whole permits.
//
// So while no call of higher priority is refused, every priority may use every permit; and when
// some are, permits are set aside as fast as they are needed.
//
// Invariants, with mutex_ held:
//   - reserved_[p].permits is between 0 and the limit of the last refusal, and reserved_[p].since
//     is the time at which it had that value;
//   - reserved_[p].permits > 0 implies that bit p of refused_ is set. The bit may be set for
//     longer: the next ReservedAgainst that finds the reservation forgotten clears it.
//
// Thread-safe, and why the memory orders suffice. `seen_` and `refused_` are hints that spare calls
// the mutex: MustReserve is false until a call of higher priority has been refused, and
// HasLowerPriority is false until a call of lower priority has come. Both are accessed relaxed: no
// data is published through them, since what they announce is read under the mutex. A hint that
// arrives late makes one decision as if its call had come a moment earlier, which is an order of
// the two calls that was possible anyway.
#ifndef HOLDFAST_CONCURRENCY_INTERNAL_RESERVED_PERMITS_H_
#define HOLDFAST_CONCURRENCY_INTERNAL_RESERVED_PERMITS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>

#include "holdfast/base/priority.h"
#include "holdfast/base/time.h"

namespace holdfast::internal {

class ReservedPermits {
 public:
  // Records that a call of this priority came.
  void NoteSeen(Priority priority) {
    const unsigned bit = 1U << static_cast<unsigned>(priority);
    if ((seen_.load(std::memory_order_relaxed) & bit) == 0) {
      seen_.fetch_or(bit, std::memory_order_relaxed);
    }
  }

  // True if permits may be reserved against a call of this priority: ask ReservedAgainst.
  bool MustReserve(Priority priority) const {
    return (refused_.load(std::memory_order_relaxed) >> (static_cast<unsigned>(priority) + 1)) != 0;
  }
  // The number of free permits that a call of this priority must leave.
  std::int64_t ReservedAgainst(Priority priority, TimePoint now);

  // True if calls of lower priority have come, so that a reservation for this one has an effect.
  bool HasLowerPriority(Priority priority) const {
    const unsigned lower = (1U << static_cast<unsigned>(priority)) - 1;
    return (seen_.load(std::memory_order_relaxed) & lower) != 0;
  }
  // Records that a call of this priority found no permit under this limit.
  void NoteRefused(Priority priority, TimePoint now, std::int64_t limit);

 private:
  struct Reservation {
    double permits = 0;
    TimePoint since = {};

    double At(TimePoint now) const;
  };

  std::atomic<unsigned> seen_ = 0;     // one bit for each priority
  std::atomic<unsigned> refused_ = 0;  // likewise
  std::mutex mutex_;
  std::array<Reservation, kPriorities> reserved_;  // for calls of each priority
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_CONCURRENCY_INTERNAL_RESERVED_PERMITS_H_
