#include "holdfast/call/internal/duration_histogram.h"

namespace holdfast::internal {

HistogramCounts DurationHistogram::Counts() const {
  HistogramCounts result{.offset = DurationBuckets::kFirst,
                         .sum = static_cast<double>(counters_.Sum(kSum)) / 1e9};
  result.counts.reserve(DurationBuckets::kCount);
  for (std::size_t i = 0; i < DurationBuckets::kCount; ++i) {
    result.counts.push_back(counters_.Sum(i));
  }
  return result;
}

}  // namespace holdfast::internal
