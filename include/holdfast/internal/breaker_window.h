// What a breaker has counted, and the rolling window in which it counts.
#ifndef HOLDFAST_INTERNAL_BREAKER_WINDOW_H_
#define HOLDFAST_INTERNAL_BREAKER_WINDOW_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "holdfast/time.h"

namespace holdfast {

// Since the breaker's present generation began, or in its window. The runs are of outcomes just
// before now, whatever the window; ignored outcomes neither lengthen nor end one.
struct BreakerCounts {
  std::uint64_t requests = 0;  // admitted; their outcomes come later
  std::uint64_t successes = 0;
  std::uint64_t failures = 0;
  std::uint64_t ignored = 0;
  std::uint64_t consecutive_successes = 0;
  std::uint64_t consecutive_failures = 0;
  std::uint64_t slow = 0;  // successes and failures that took longer than slow_call
};

namespace internal {

// A ring of buckets, each of one period; the newest is filled, the oldest forgotten. The arithmetic
// is gobreaker's: the window spans the present period and size() - 1 whole ones before it. O(1) a
// call, amortised.
class BreakerWindow {
 public:
  // `period` <= 0: one bucket that never ends.
  BreakerWindow(Duration interval, Duration period);

  std::size_t size() const { return buckets_.size(); }
  void Clear(TimePoint now);

  // Forgets, in the window and in `totals`, the buckets that have left it by `now`. An older `now`
  // changes nothing.
  void Roll(TimePoint now, BreakerCounts& totals);

  // The number of periods since Clear: which bucket calls admitted now belong to.
  std::int64_t age() const { return age_; }

  // Adds to `totals` and to the bucket of `age`; false, with nothing added, if that has been
  // forgotten.
  bool Add(std::int64_t age, const BreakerCounts& what, BreakerCounts& totals);

 private:
  Duration period_;
  std::vector<BreakerCounts> buckets_;  // bucket of age a at a % size(); runs unused
  TimePoint start_ = TimePoint::min();  // min: the next Roll sets it
  std::int64_t age_ = 0;
};

}  // namespace internal
}  // namespace holdfast

#endif  // HOLDFAST_INTERNAL_BREAKER_WINDOW_H_
