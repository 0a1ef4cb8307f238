// The buckets of a log-linear histogram of times, as HdrHistogram's.
#ifndef HOLDFAST_BASE_INTERNAL_LOG_LINEAR_H_
#define HOLDFAST_BASE_INTERNAL_LOG_LINEAR_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "holdfast/base/time.h"

namespace holdfast::internal {

// Values below 2^(kBits + 1) ns have a bucket each. Above that, a bucket holds the values with the
// same highest bit and the same kBits bits after it: it is less than 1/2^kBits of them wide.
// Negative ones count as zero.
template <int kBits>
struct LogLinear {
  static constexpr std::size_t kPerDoubling = std::size_t{1} << kBits;
  static constexpr std::size_t kBuckets = (64 - kBits) * kPerDoubling;

  static constexpr std::size_t BucketOf(Duration time) {
    const auto value = static_cast<std::uint64_t>(std::max<Duration::rep>(time.count(), 0));
    const int shift = std::max(63 - kBits - std::countl_zero(value), 0);
    return static_cast<std::size_t>(shift) * kPerDoubling + (value >> shift);
  }
  // The least time in a bucket, how many there are in it, and the greatest.
  static constexpr Duration Begin(std::size_t bucket) {
    const std::size_t shift = Shift(bucket);
    return Duration(static_cast<Duration::rep>((bucket - shift * kPerDoubling) << shift));
  }
  static constexpr Duration Width(std::size_t bucket) {
    return Duration(Duration::rep{1} << Shift(bucket));
  }
  static constexpr Duration Last(std::size_t bucket) {
    return Begin(bucket) + (Width(bucket) - Duration(1));
  }

 private:
  static constexpr std::size_t Shift(std::size_t bucket) {
    return bucket < 2 * kPerDoubling ? 0 : bucket / kPerDoubling - 1;
  }
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_LOG_LINEAR_H_
