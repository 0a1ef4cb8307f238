// OTLP over HTTP, in JSON.
#ifndef HOLDFAST_SRC_METRICS_OTLP_JSON_H_
#define HOLDFAST_SRC_METRICS_OTLP_JSON_H_

#include <string>
#include <string_view>

#include "holdfast/metrics/metrics_snapshot.h"

namespace holdfast::internal {

// An ExportMetricsServiceRequest in proto3's JSON mapping: integers of 64 bits are strings, and so
// are numbers that are not finite. An attribute without a value is left out; one that is an int in
// OpenTelemetry's conventions is one here. A count above 2^63 - 1, which OTLP does not have, is
// that.
std::string OtlpJson(const MetricsSnapshot& snapshot, std::string_view service_name);

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_OTLP_JSON_H_
