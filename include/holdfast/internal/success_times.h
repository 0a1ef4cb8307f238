// How long recent successes took.
#ifndef HOLDFAST_INTERNAL_SUCCESS_TIMES_H_
#define HOLDFAST_INTERNAL_SUCCESS_TIMES_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "holdfast/time.h"

namespace holdfast::internal {

// The last twenty that were timed: one in eight of each thread's, as that needs a reading of the
// clock. Thread-safe. Relaxed: each slot by itself is a time that some
// success took, and which of them are there together does not matter.
class SuccessTimes {
 public:
  // Whether the caller should time a success that is at hand.
  static bool Wants() {
    thread_local std::uint32_t successes = 0;
    return ++successes % kOneIn == 0;
  }
  void Record(Duration took);

  // What the slowest tenth of them took at least; Duration::max() where there is none.
  Duration SlowTenth() const;

 private:
  static constexpr std::uint32_t kOneIn = 8;
  static constexpr std::size_t kKept = 20;

  std::atomic<std::size_t> count_{0};
  std::array<std::atomic<Duration::rep>, kKept> times_{};
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_INTERNAL_SUCCESS_TIMES_H_
