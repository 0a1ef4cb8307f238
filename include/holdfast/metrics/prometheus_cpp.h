// PrometheusCollectable gives a registry of metrics to prometheus-cpp, for a program that already
// has that library's Exposer. All of it is in this header, which needs prometheus-cpp's headers and
// which holdfast/metrics.h does not include.
//
//   const auto metrics = std::make_shared<holdfast::Metrics>();
//   const auto holdfast_metrics = std::make_shared<holdfast::PrometheusCollectable>(metrics);
//   exposer.RegisterCollectable(holdfast_metrics);  // which keeps a weak_ptr
#ifndef HOLDFAST_METRICS_PROMETHEUS_CPP_H_
#define HOLDFAST_METRICS_PROMETHEUS_CPP_H_

#include <absl/strings/str_replace.h>
#include <prometheus/client_metric.h>
#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/metric_type.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "holdfast/base/internal/string_view.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/metrics/internal/prometheus_form.h"
#include "holdfast/metrics/metrics.h"

namespace holdfast {

namespace internal {

// TextSerializer escapes no end of a line in a label, so that one would end a line of the text.
inline std::string OnOneLine(std::string_view label) {
  return absl::StrReplaceAll(ToAbsl(label), {{"\n", "\\n"}});
}

inline prometheus::MetricType PrometheusType(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return prometheus::MetricType::Counter;
    case MetricType::kHistogram:
      return prometheus::MetricType::Histogram;
    case MetricType::kUpDownCounter:
    case MetricType::kGauge:
      break;
  }
  return prometheus::MetricType::Gauge;
}

inline void SetPrometheusHistogram(const HistogramCounts& counts,
                                   prometheus::ClientMetric::Histogram& histogram) {
  for (const CumulativeBucket& bucket : CumulativeBuckets(counts)) {
    histogram.sample_count = bucket.count;
    if (std::isinf(bucket.upper_bound)) continue;  // the serializer adds it
    histogram.bucket.push_back(
        {.cumulative_count = bucket.count, .upper_bound = bucket.upper_bound});
  }
  histogram.sample_sum = counts.sum;
}

inline prometheus::ClientMetric PrometheusSeries(const MetricFamily& family,
                                                 const MetricSeries& series) {
  prometheus::ClientMetric metric;
  metric.label.reserve(family.keys.size());
  for (std::size_t i = 0; i < family.keys.size(); ++i) {
    metric.label.push_back({PrometheusLabel(family.keys[i]), OnOneLine(series.values[i])});
  }
  if (const auto* count = std::get_if<std::uint64_t>(&series.value)) {
    metric.counter.value = static_cast<double>(*count);
  } else if (const auto* value = std::get_if<double>(&series.value)) {
    metric.gauge.value = *value;
  } else {
    SetPrometheusHistogram(std::get<HistogramCounts>(series.value), metric.histogram);
  }
  return metric;
}

}  // namespace internal

// Tells the series of Metrics::Text, with the same names, labels, types and buckets. What differs
// is how that library has them: a count is a double, exact up to 2^53; and an end of a line in a
// name is a backslash and an n, of which a scrape sees both characters.
//
// Thread-safe, as the registry is. A collection costs a Snapshot.
class PrometheusCollectable final : public prometheus::Collectable {
 public:
  // Throws std::invalid_argument for a null registry.
  explicit PrometheusCollectable(std::shared_ptr<const Metrics> metrics)
      : metrics_(internal::NotNull(std::move(metrics),
                                   "PrometheusCollectable: the registry of metrics")) {}

  std::vector<prometheus::MetricFamily> Collect() const override {
    const MetricsSnapshot snapshot = metrics_->Snapshot();
    std::vector<prometheus::MetricFamily> families;
    families.reserve(snapshot.families().size());
    for (const MetricFamily& family : snapshot.families()) {
      prometheus::MetricFamily told;
      told.name = family.prometheus_name;
      told.help = internal::PrometheusHelp(family.help);  // which the serializer writes as it is
      told.type = internal::PrometheusType(family.type);
      told.metric.reserve(family.series.size());
      for (const MetricSeries& series : family.series) {
        told.metric.push_back(internal::PrometheusSeries(family, series));
      }
      families.push_back(std::move(told));
    }
    return families;
  }

 private:
  std::shared_ptr<const Metrics> metrics_;
};

}  // namespace holdfast

#endif  // HOLDFAST_METRICS_PROMETHEUS_CPP_H_
