// Prometheus's text format 0.0.4.
#ifndef HOLDFAST_SRC_METRICS_PROMETHEUS_TEXT_H_
#define HOLDFAST_SRC_METRICS_PROMETHEUS_TEXT_H_

#include <string>

#include "holdfast/metrics/metrics_snapshot.h"

namespace holdfast::internal {

std::string PrometheusText(const MetricsSnapshot& snapshot);

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_PROMETHEUS_TEXT_H_
