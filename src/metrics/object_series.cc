#include "src/metrics/object_series.h"

#include <utility>

#include "holdfast/base/internal/utf8.h"

namespace holdfast::internal {

void ObjectSeries::Take(const Metric& metric, MetricValue value,
                        std::span<const Attribute> attributes) {
  ToldSeries series = {.name = WellFormedUtf8(metric.name),
                       .type = metric.type,
                       .unit = WellFormedUtf8(metric.unit),
                       .help = WellFormedUtf8(metric.help),
                       .keys = {std::string(name_key_)},
                       .values = {std::string(name_)},
                       .value = std::move(value)};
  for (const Attribute& attribute : attributes) {
    series.keys.push_back(WellFormedUtf8(attribute.key));
    series.values.push_back(WellFormedUtf8(attribute.value));
  }
  told_.push_back(std::move(series));
}

}  // namespace holdfast::internal
