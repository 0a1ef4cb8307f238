// Names as Prometheus spells them.
#ifndef HOLDFAST_SRC_METRICS_PROMETHEUS_NAME_H_
#define HOLDFAST_SRC_METRICS_PROMETHEUS_NAME_H_

#include <string>
#include <string_view>

#include "holdfast/call/collector.h"
#include "holdfast/metrics/internal/prometheus_form.h"  // IWYU pragma: export

namespace holdfast::internal {

// What OpenTelemetry's translator makes of a metric's name, unit and type ("OTLP to Prometheus" in
// opentelemetry-collector-contrib, pkg/translator/prometheus). Empty if the name has no letter and
// no digit.
//
//   holdfast.breaker.calls, counter {call}       holdfast_breaker_calls_total
//   holdfast.timeout.limit, gauge s              holdfast_timeout_limit_seconds
//   holdfast.rate_limit.rate, gauge {token}/s    holdfast_rate_limit_rate_per_second
//   holdfast.breaker.failure_ratio, gauge 1      holdfast_breaker_failure_ratio
std::string PrometheusName(std::string_view name, MetricType type, std::string_view unit);

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_PROMETHEUS_NAME_H_
