// How long something took, in exponential buckets that threads fill without waiting for each other.
#ifndef HOLDFAST_CALL_INTERNAL_DURATION_HISTOGRAM_H_
#define HOLDFAST_CALL_INTERNAL_DURATION_HISTOGRAM_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "holdfast/base/internal/int128.h"
#include "holdfast/base/internal/striped_counters.h"
#include "holdfast/base/time.h"
#include "holdfast/call/collector.h"

namespace holdfast::internal {

// The buckets of HistogramCounts from 2^-20 s, about 1 us, to 2^7 s, 128 s. The first bucket has
// all that is shorter as well, the last all that is longer, and each lies outside of that range: so
// the counts up to a power of two in it, both ends included, are exact.
struct DurationBuckets {
  static constexpr int kFirst = 4 * -20 - 1;  // as HistogramCounts numbers them
  static constexpr int kLast = 4 * 7;
  static constexpr std::size_t kCount = kLast - kFirst + 1;

  // Which bucket has `time`, from 0. What is less than zero counts as zero.
  static constexpr std::size_t BucketOf(Duration time) {
    const auto ns = static_cast<std::uint64_t>(std::max<Duration::rep>(time.count(), 0));
    const std::size_t from = kTables.below[BitsOf(ns)];
    const std::uint64_t* const bounds = &kTables.bounds[from];
    // Each a comparison and an addition, without a branch.
    return from + (bounds[0] < ns ? 1 : 0) + (bounds[1] < ns ? 1 : 0) + (bounds[2] < ns ? 1 : 0) +
           (bounds[3] < ns ? 1 : 0);
  }

 private:
  // std::bit_width returns an int or its argument's type, by the age of the library.
  static constexpr std::size_t BitsOf(std::uint64_t value) {
    return static_cast<std::size_t>(64 - std::countl_zero(value));
  }

  struct Tables {
    // The longest time in each bucket but the last, in whole nanoseconds; then more than any time.
    std::array<std::uint64_t, kCount + 3> bounds{};
    // How many bounds are shorter than all times that have as many bits as the index. Of those that
    // have as many bits themselves there are 4 at most.
    std::array<std::size_t, 65> below{};
  };

  // 2^(quarters / 4) s, rounded down to nanoseconds.
  static constexpr std::uint64_t Bound(int quarters) {
    // 2^0, 2^(1/4), 2^(2/4) and 2^(3/4), times 2^63, rounded down.
    constexpr std::array<std::uint64_t, 4> kRoots = {0x8000000000000000, 0x9837f0518db8a96f,
                                                     0xb504f333f9de6484, 0xd744fccad69d6af4};
    const auto power = static_cast<int>(FloorDiv(quarters, 4));
    const Uint128 scaled = Uint128{1'000'000'000} * kRoots[static_cast<std::size_t>(quarters & 3)];
    return static_cast<std::uint64_t>(scaled >> (63 - power));
  }

  static constexpr Tables MakeTables() {
    Tables tables;
    tables.bounds.fill(std::numeric_limits<std::uint64_t>::max());
    for (int i = kFirst; i < kLast; ++i) {
      tables.bounds[static_cast<std::size_t>(i - kFirst)] = Bound(i + 1);
    }
    for (const std::uint64_t bound : tables.bounds) {
      for (std::size_t bits = BitsOf(bound) + 1; bits < tables.below.size(); ++bits) {
        ++tables.below[bits];
      }
    }
    return tables;
  }

  static const Tables kTables;
};

inline constexpr DurationBuckets::Tables DurationBuckets::kTables = MakeTables();

// Thread-safe and lock-free; the counters are StripedCounters, in which each is a value by itself.
// So what Counts returns may lack in its sum what its buckets have, or the other way around, of
// calls of Record that are under way.
class DurationHistogram {
 public:
  void Record(Duration time) {
    counters_.Add(DurationBuckets::BucketOf(time));
    counters_.Add(kSum, static_cast<std::uint64_t>(std::max<Duration::rep>(time.count(), 0)));
  }

  HistogramCounts Counts() const { return Counts(this, nullptr); }
  // Of both together; either may be null.
  static HistogramCounts Counts(const DurationHistogram* one, const DurationHistogram* other);

  std::uint64_t Count() const;  // of times

 private:
  static constexpr std::size_t kSum = DurationBuckets::kCount;  // nanoseconds

  StripedCounters counters_{DurationBuckets::kCount + 1};
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_CALL_INTERNAL_DURATION_HISTOGRAM_H_
