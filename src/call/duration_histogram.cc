#include "holdfast/call/internal/duration_histogram.h"

namespace holdfast::internal {

HistogramCounts DurationHistogram::Counts(const DurationHistogram* one,
                                          const DurationHistogram* other) {
  const auto sum = [&](std::size_t which) {
    return (one == nullptr ? 0 : one->counters_.Sum(which)) +
           (other == nullptr ? 0 : other->counters_.Sum(which));
  };
  HistogramCounts result{.offset = DurationBuckets::kFirst,
                         .sum = static_cast<double>(sum(kSum)) / 1e9};
  result.counts.reserve(DurationBuckets::kCount);
  for (std::size_t i = 0; i < DurationBuckets::kCount; ++i) result.counts.push_back(sum(i));
  return result;
}

std::uint64_t DurationHistogram::Count() const {
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < DurationBuckets::kCount; ++i) count += counters_.Sum(i);
  return count;
}

}  // namespace holdfast::internal
