// How many permits a call leaves for those that matter more, where nobody may wait for one.
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

// Each call that finds no room makes those that matter less leave a sixteenth of the limit more,
// for a while: half of it is forgotten every second. So while nobody of more importance is refused
// all may use everything, and where somebody is, room is made as fast as it is needed. (Telephony
// calls permits that are kept for better calls trunk reservation; there the number is fixed.)
//
// Thread-safe. Whoever has no reason to look takes no lock: Matters is false until a call that
// matters more has missed, and Counts until there was one that matters less. Both read hints, set
// and read relaxed: what they announce is read under the mutex, and a hint that comes late makes a
// decision as if its call had come first.
class ReservedPermits {
 public:
  // That a call of this priority is there.
  void Saw(Priority priority) {
    const unsigned bit = 1U << static_cast<unsigned>(priority);
    if ((seen_.load(std::memory_order_relaxed) & bit) == 0) {
      seen_.fetch_or(bit, std::memory_order_relaxed);
    }
  }

  // Whether it has to leave any.
  bool Matters(Priority priority) const {
    return (missed_.load(std::memory_order_relaxed) >> (static_cast<unsigned>(priority) + 1)) != 0;
  }
  std::int64_t For(Priority priority, TimePoint now);

  // Whether there are any that would leave more for it.
  bool Counts(Priority priority) const {
    const unsigned lower = (1U << static_cast<unsigned>(priority)) - 1;
    return (seen_.load(std::memory_order_relaxed) & lower) != 0;
  }
  // That it found no room under this limit.
  void Missed(Priority priority, TimePoint now, std::int64_t limit);

 private:
  struct Kept {
    double permits = 0;
    TimePoint since = {};

    double At(TimePoint now) const;
  };

  std::atomic<unsigned> seen_ = 0;    // a bit for each priority
  std::atomic<unsigned> missed_ = 0;  // likewise: `kept_` is not zero
  std::mutex mutex_;
  std::array<Kept, kPriorities> kept_;  // from the calls that matter less than these
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_CONCURRENCY_INTERNAL_RESERVED_PERMITS_H_
