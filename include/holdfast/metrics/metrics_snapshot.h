// A MetricsSnapshot is what a registry of metrics knew at one time, for a test or an exporter.
//
//   const holdfast::MetricsSnapshot snapshot = metrics.Snapshot();
//   bool failed_twice = snapshot.Count("holdfast.breaker.calls",
//                                      {{"holdfast.name", "orders"},
//                                       {"holdfast.outcome", "failure"}}) == 2;
#ifndef HOLDFAST_METRICS_METRICS_SNAPSHOT_H_
#define HOLDFAST_METRICS_METRICS_SNAPSHOT_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "holdfast/call/collector.h"

namespace holdfast {

// Of a kCounter; of a kUpDownCounter or kGauge; of a kHistogram.
using MetricValue = std::variant<std::uint64_t, double, HistogramCounts>;

struct MetricSeries {
  std::vector<std::string> values = {};  // of the keys, in their order; empty: without
  MetricValue value = {};
  std::chrono::system_clock::time_point since = {};  // when the registry learned of the object
};

// A metric and its series, which all have the same keys, and no two the same values of them. All
// strings are valid UTF-8.
struct MetricFamily {
  std::string name = {};             // "holdfast.breaker.calls"
  std::string prometheus_name = {};  // "holdfast_breaker_calls_total"
  MetricType type = MetricType::kGauge;
  std::string unit = {};
  std::string help = {};
  std::vector<std::string> keys = {};  // of attributes: "holdfast.name"
  std::vector<MetricSeries> series = {};
};

class MetricsSnapshot {
 public:
  // `families` are sorted by prometheus_name.
  MetricsSnapshot(std::chrono::system_clock::time_point time, std::vector<MetricFamily> families);

  std::chrono::system_clock::time_point time() const { return time_; }
  std::span<const MetricFamily> families() const { return families_; }

  // The value of the series of the metric `name` with these attributes and no others, in any order,
  // where those that are empty may be left out; nullopt if there is none, or it is of another type.
  std::optional<std::uint64_t> Count(std::string_view name,
                                     Collector::Attributes attributes = {}) const {
    return Value<std::uint64_t>(name, attributes);
  }
  std::optional<double> Gauge(std::string_view name, Collector::Attributes attributes = {}) const {
    return Value<double>(name, attributes);
  }
  std::optional<HistogramCounts> Histogram(std::string_view name,
                                           Collector::Attributes attributes = {}) const {
    return Value<HistogramCounts>(name, attributes);
  }

  // Null if there is none.
  const MetricFamily* Family(std::string_view name) const;
  const MetricSeries* Series(std::string_view name, Collector::Attributes attributes = {}) const;

 private:
  template <class T>
  std::optional<T> Value(std::string_view name, Collector::Attributes attributes) const {
    const MetricSeries* series = Series(name, attributes);
    const T* value = series == nullptr ? nullptr : std::get_if<T>(&series->value);
    return value == nullptr ? std::nullopt : std::optional<T>(*value);
  }

  std::chrono::system_clock::time_point time_;
  std::vector<MetricFamily> families_;
};

}  // namespace holdfast

#endif  // HOLDFAST_METRICS_METRICS_SNAPSHOT_H_
