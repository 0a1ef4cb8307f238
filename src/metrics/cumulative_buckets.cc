#include <cmath>
#include <cstddef>
#include <limits>

#include "holdfast/metrics/internal/prometheus_form.h"

namespace holdfast::internal {
namespace {

// Powers of two seconds: 2^-20 is about 1 us, 2^7 about 2 min.
constexpr int kFirstPower = -20;
constexpr int kLastPower = 7;

}  // namespace

std::vector<CumulativeBucket> CumulativeBuckets(const HistogramCounts& histogram) {
  std::vector<CumulativeBucket> buckets;
  buckets.reserve(kLastPower - kFirstPower + 2);
  std::uint64_t count = 0;
  std::size_t next = 0;
  for (int power = kFirstPower; power <= kLastPower; ++power) {
    // All buckets that end at 2^power or before it: 4 double the bound.
    while (next < histogram.counts.size() &&
           histogram.offset + static_cast<int>(next) + 1 <= 4 * power) {
      count += histogram.counts[next++];
    }
    buckets.push_back({.upper_bound = std::ldexp(1, power), .count = count});
  }
  while (next < histogram.counts.size()) count += histogram.counts[next++];
  buckets.push_back({.upper_bound = std::numeric_limits<double>::infinity(), .count = count});
  return buckets;
}

}  // namespace holdfast::internal
