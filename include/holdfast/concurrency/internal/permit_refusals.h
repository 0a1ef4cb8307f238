// What a Semaphore counts of the calls that it gives no permit.
#ifndef HOLDFAST_CONCURRENCY_INTERNAL_PERMIT_REFUSALS_H_
#define HOLDFAST_CONCURRENCY_INTERNAL_PERMIT_REFUSALS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "holdfast/base/internal/striped_counters.h"
#include "holdfast/base/priority.h"
#include "holdfast/call/collector.h"

namespace holdfast::internal {

// Why a call got no permit.
enum class PermitRefusal {
  kFull,             // none was free for it, and it was not to wait
  kQueueFull,        // none was free, and the queue had no room for it
  kGaveWay,          // it left the full queue to make room for another call
  kMaxWait,          // the bulkhead's max_wait was over
  kDeadline,         // it had no time left
  kCancelled,        // it was stopped, or dropped, before it had its permits
  kExceedsCapacity,  // it asked for less than one permit, or for more than the limit
};

// Refusals by reason and priority. Thread-safe and lock-free. kFull may come as often as a
// processor can ask, so it is counted in stripes; for the others the caller takes the semaphore's
// mutex anyway, or made a mistake. All orders are relaxed: each counter is a value by itself.
class PermitRefusals {
 public:
  void Count(PermitRefusal why, Priority priority) {
    const auto p = static_cast<std::size_t>(priority);
    if (why == PermitRefusal::kFull) {
      full_.Add(p);
    } else {
      others_[static_cast<std::size_t>(why) - 1][p].fetch_add(1, std::memory_order_relaxed);
    }
  }

  // A series for each reason and priority.
  void Collect(const Metric& metric, Collector& collector) const;

 private:
  static constexpr std::size_t kReasons =
      static_cast<std::size_t>(PermitRefusal::kExceedsCapacity) + 1;

  std::uint64_t Sum(PermitRefusal why, Priority priority) const;

  StripedCounters full_{kPriorities};
  std::array<std::array<std::atomic<std::uint64_t>, kPriorities>, kReasons - 1> others_{};
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_CONCURRENCY_INTERNAL_PERMIT_REFUSALS_H_
