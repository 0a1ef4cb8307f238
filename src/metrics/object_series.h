// What one object tells in one look at it.
#ifndef HOLDFAST_SRC_METRICS_OBJECT_SERIES_H_
#define HOLDFAST_SRC_METRICS_OBJECT_SERIES_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/call/collector.h"
#include "holdfast/metrics/metrics_snapshot.h"

namespace holdfast::internal {

// All strings are valid UTF-8.
struct ToldSeries {
  std::string name;
  MetricType type;
  std::string unit;
  std::string help;
  std::vector<std::string> keys;
  std::vector<std::string> values;
  MetricValue value;
};

class ObjectSeries final : public Collector {
 public:
  // Each series gets the attribute `name_key` = `name`, as its first.
  ObjectSeries(std::string_view name_key, std::string_view name)
      : name_key_(name_key), name_(name) {}

  std::vector<ToldSeries>& told() { return told_; }

 private:
  void TakeCount(const Metric& metric, std::uint64_t total,
                 std::span<const Attribute> attributes) override {
    Take(metric, total, attributes);
  }
  void TakeGauge(const Metric& metric, double value,
                 std::span<const Attribute> attributes) override {
    Take(metric, value, attributes);
  }
  void TakeHistogram(const Metric& metric, const HistogramCounts& counts,
                     std::span<const Attribute> attributes) override {
    Take(metric, counts, attributes);
  }
  void Take(const Metric& metric, MetricValue value, std::span<const Attribute> attributes);

  std::string_view name_key_;
  std::string_view name_;
  std::vector<ToldSeries> told_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_OBJECT_SERIES_H_
