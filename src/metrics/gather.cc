#include "src/metrics/gather.h"

#include <algorithm>
#include <utility>

#include "src/metrics/prometheus_name.h"

namespace holdfast::internal {
namespace {

constexpr std::string_view kOverflow = "holdfast.metrics.overflow";

bool OfType(const MetricValue& value, MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return std::holds_alternative<std::uint64_t>(value);
    case MetricType::kUpDownCounter:
    case MetricType::kGauge:
      return std::holds_alternative<double>(value);
    case MetricType::kHistogram:
      return std::holds_alternative<HistogramCounts>(value);
  }
  return false;
}

// Prometheus spells several keys the same, and has "le" for itself.
bool LabelsDiffer(const std::vector<std::string>& keys) {
  std::set<std::string> labels = {"le"};
  for (const std::string& key : keys) {
    if (key.empty() || !labels.insert(PrometheusLabel(key)).second) return false;
  }
  return true;
}

bool SameMetric(const MetricFamily& family, const ToldSeries& told) {
  return family.name == told.name && family.type == told.type && family.unit == told.unit &&
         family.keys == told.keys;
}

}  // namespace

Gathering::Gathering(std::size_t max_series, std::chrono::system_clock::time_point since)
    : room_(max_series) {
  ToldSeries overflow = {.name = std::string(kOverflow),
                         .type = MetricType::kCounter,
                         .unit = "{series}",
                         .help = "The most series that were left out at a time",
                         .keys = {},
                         .values = {},
                         .value = std::uint64_t{0}};
  TakeOne(overflow, since);
}

void Gathering::Take(std::vector<ToldSeries> told, std::chrono::system_clock::time_point since) {
  if (told.size() > room_) {
    left_out_ += told.size();
    return;
  }
  for (ToldSeries& series : told) {
    if (!TakeOne(series, since)) ++left_out_;
  }
}

MetricsSnapshot Gathering::Snapshot(std::chrono::system_clock::time_point time,
                                    std::uint64_t overflow) && {
  std::vector<MetricFamily> families;
  families.reserve(families_.size());
  for (auto& [name, family] : families_) {
    if (family.family.name == kOverflow) family.family.series.front().value = overflow;
    families.push_back(std::move(family.family));
  }
  return MetricsSnapshot(time, std::move(families));
}

bool Gathering::HasMetric(std::string_view name) const {
  return std::any_of(families_.begin(), families_.end(),
                     [name](const auto& entry) { return entry.second.family.name == name; });
}

bool Gathering::TakeOne(ToldSeries& told, std::chrono::system_clock::time_point since) {
  std::string name = PrometheusName(told.name, told.type, told.unit);
  if (name.empty() || !OfType(told.value, told.type)) return false;
  auto at = families_.find(name);
  if (at == families_.end()) {
    if (!LabelsDiffer(told.keys) || HasMetric(told.name)) return false;
    at = families_.emplace(name, Family{}).first;
    at->second.family = {.name = std::move(told.name),
                         .prometheus_name = std::move(name),
                         .type = told.type,
                         .unit = std::move(told.unit),
                         .help = std::move(told.help),
                         .keys = std::move(told.keys),
                         .series = {}};
  } else if (!SameMetric(at->second.family, told)) {
    return false;
  }
  if (!at->second.values.insert(told.values).second) return false;
  at->second.family.series.push_back(
      {.values = std::move(told.values), .value = std::move(told.value), .since = since});
  --room_;
  return true;
}

}  // namespace holdfast::internal
