#include "holdfast/metrics/metrics_snapshot.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace holdfast {
namespace {

// Of a key that is not there it is empty, as of one without a value.
std::string_view ValueOf(std::string_view key, Collector::Attributes attributes) {
  const auto* found = std::find_if(attributes.begin(), attributes.end(),
                                   [key](const Attribute& a) { return a.key == key; });
  return found == attributes.end() ? std::string_view() : found->value;
}

bool HasKeysOf(const MetricFamily& family, Collector::Attributes attributes) {
  return std::all_of(attributes.begin(), attributes.end(), [&family](const Attribute& a) {
    return std::find(family.keys.begin(), family.keys.end(), a.key) != family.keys.end();
  });
}

bool HasValuesOf(const MetricSeries& series, const std::vector<std::string>& keys,
                 Collector::Attributes attributes) {
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (series.values[i] != ValueOf(keys[i], attributes)) return false;
  }
  return true;
}

}  // namespace

MetricsSnapshot::MetricsSnapshot(std::chrono::system_clock::time_point time,
                                 std::vector<MetricFamily> families)
    : time_(time), families_(std::move(families)) {}

const MetricFamily* MetricsSnapshot::Family(std::string_view name) const {
  const auto found = std::find_if(families_.begin(), families_.end(),
                                  [name](const MetricFamily& f) { return f.name == name; });
  return found == families_.end() ? nullptr : &*found;
}

const MetricSeries* MetricsSnapshot::Series(std::string_view name,
                                            Collector::Attributes attributes) const {
  const MetricFamily* family = Family(name);
  if (family == nullptr || !HasKeysOf(*family, attributes)) return nullptr;
  const auto found = std::find_if(family->series.begin(), family->series.end(),
                                  [family, attributes](const MetricSeries& series) {
                                    return HasValuesOf(series, family->keys, attributes);
                                  });
  return found == family->series.end() ? nullptr : &*found;
}

}  // namespace holdfast
