// What policy objects tell a Collector, by the name of the metric and the attributes of the series.
#ifndef HOLDFAST_TEST_SUPPORT_COLLECTED_H_
#define HOLDFAST_TEST_SUPPORT_COLLECTED_H_

#include <cstdint>
#include <map>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/call/collector.h"

namespace holdfast::test {

// Attributes are written as "holdfast.reason=full,holdfast.priority=low". Of a histogram the number
// of its values is kept.
class Collected final : public Collector {
 public:
  using Series = std::pair<std::string, std::string>;  // the metric, and the attributes

  // Throws std::out_of_range if there is none.
  double at(std::string_view name, std::string_view attributes = "") const {
    return values_.at(Series(name, attributes));
  }
  bool has(std::string_view name, std::string_view attributes = "") const {
    return values_.contains(Series(name, attributes));
  }
  // Of all series of the metric.
  double sum(std::string_view name) const {
    double sum = 0;
    for (const auto& [series, value] : values_) sum += series.first == name ? value : 0;
    return sum;
  }
  const std::map<Series, double>& all() const { return values_; }

 private:
  void TakeCount(const Metric& metric, std::uint64_t total,
                 std::span<const Attribute> attributes) override {
    Keep(metric, static_cast<double>(total), attributes);
  }
  void TakeGauge(const Metric& metric, double value,
                 std::span<const Attribute> attributes) override {
    Keep(metric, value, attributes);
  }
  void TakeHistogram(const Metric& metric, const HistogramCounts& counts,
                     std::span<const Attribute> attributes) override {
    const auto count =
        std::accumulate(counts.counts.begin(), counts.counts.end(), std::uint64_t{0});
    Keep(metric, static_cast<double>(count), attributes);
  }

  void Keep(const Metric& metric, double value, std::span<const Attribute> attributes) {
    std::string text;
    for (const Attribute& attribute : attributes) {
      if (!text.empty()) text += ',';
      text.append(attribute.key).append("=").append(attribute.value);
    }
    values_[Series(metric.name, text)] = value;
  }

  std::map<Series, double> values_;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_SUPPORT_COLLECTED_H_
