// How Prometheus spells labels and helps, and counts histograms; for our text and for the bridge to
// prometheus-cpp.
#ifndef HOLDFAST_METRICS_INTERNAL_PROMETHEUS_FORM_H_
#define HOLDFAST_METRICS_INTERNAL_PROMETHEUS_FORM_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/call/collector.h"

namespace holdfast::internal {

// What OpenTelemetry's translator makes of an attribute's key: holdfast_reason of holdfast.reason.
std::string PrometheusLabel(std::string_view key);

// A help on one line, in which a backslash stands for itself.
std::string PrometheusHelp(std::string_view help);

struct CumulativeBucket {
  double upper_bound;   // seconds
  std::uint64_t count;  // of all that is no greater
};

// One for each power of two seconds from 2^-20, about 1 us, to 2^7, about 2 min, and at last
// infinity, which has all.
std::vector<CumulativeBucket> CumulativeBuckets(const HistogramCounts& histogram);

}  // namespace holdfast::internal

#endif  // HOLDFAST_METRICS_INTERNAL_PROMETHEUS_FORM_H_
