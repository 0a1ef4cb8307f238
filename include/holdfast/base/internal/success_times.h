// How long recent successes took.
#ifndef HOLDFAST_BASE_INTERNAL_SUCCESS_TIMES_H_
#define HOLDFAST_BASE_INTERNAL_SUCCESS_TIMES_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "holdfast/base/time.h"

namespace holdfast::internal {

// The last twenty that were timed: one in eight until there are so many, and then one in 32, as
// that needs a reading of the clock. Thread-safe. Relaxed: each slot by itself is a time that some
// success took, and which of them are there together does not matter.
class SuccessTimes {
 public:
  // Whether to time the success of a call that began then: as good as at random, and yet the same
  // ones in each run of a simulation, without anything that threads would share.
  bool Wants(TimePoint began) const {
    const auto time = static_cast<std::uint64_t>(began.time_since_epoch().count());
    return (time * 0x9e37'79b9'7f4a'7c15) >> shift_.load(std::memory_order_relaxed) == 0;
  }
  void Record(Duration took);

  // What the slowest tenth of them took at least; Duration::max() where there is none.
  Duration SlowTenth() const;

 private:
  static constexpr std::size_t kKept = 20;
  static constexpr int kOneIn8 = 61;
  static constexpr int kOneIn32 = 59;

  std::atomic<int> shift_{kOneIn8};
  std::atomic<std::size_t> count_{0};
  std::array<std::atomic<Duration::rep>, kKept> times_{};
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_SUCCESS_TIMES_H_
