#include "src/metrics/otlp_json.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "holdfast/base/internal/utf8.h"
#include "holdfast/metrics/internal/int_attribute.h"
#include "holdfast/version.h"

namespace holdfast::internal {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kCumulative = 2;  // AGGREGATION_TEMPORALITY_CUMULATIVE
constexpr auto kMaxInt = std::uint64_t{std::numeric_limits<std::int64_t>::max()};

Json JsonNumber(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

std::string Nanoseconds(std::chrono::system_clock::time_point time) {
  const auto since_1970 =
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  return absl::StrCat(std::max<decltype(since_1970)>(since_1970, 0));  // OTLP has no earlier one
}

Json AttributeOf(std::string_view key, std::string_view value) {
  if (const auto number = IntAttribute(key, value)) {
    return {{"key", key}, {"value", {{"intValue", absl::StrCat(*number)}}}};
  }
  return {{"key", key}, {"value", {{"stringValue", value}}}};
}

Json Attributes(const std::vector<std::string>& keys, const std::vector<std::string>& values) {
  Json attributes = Json::array();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!values[i].empty()) attributes.push_back(AttributeOf(keys[i], values[i]));
  }
  return attributes;
}

void SetHistogram(const HistogramCounts& histogram, Json& point) {
  std::size_t begin = 0;
  std::size_t end = histogram.counts.size();
  while (begin < end && histogram.counts[begin] == 0) ++begin;
  while (begin < end && histogram.counts[end - 1] == 0) --end;
  std::uint64_t count = 0;
  Json buckets = Json::array();
  for (std::size_t i = begin; i < end; ++i) {
    count += histogram.counts[i];
    buckets.push_back(absl::StrCat(histogram.counts[i]));
  }
  point["count"] = absl::StrCat(count);
  point["sum"] = JsonNumber(histogram.sum);
  point["scale"] = HistogramCounts::kScale;
  point["zeroCount"] = "0";
  point["positive"] = {{"offset", buckets.empty() ? 0 : histogram.offset + static_cast<int>(begin)},
                       {"bucketCounts", std::move(buckets)}};
}

Json Point(const MetricFamily& family, const MetricSeries& series, const std::string& time) {
  Json point = {{"attributes", Attributes(family.keys, series.values)}};
  if (family.type != MetricType::kGauge) point["startTimeUnixNano"] = Nanoseconds(series.since);
  point["timeUnixNano"] = time;
  if (const auto* count = std::get_if<std::uint64_t>(&series.value)) {
    // The field is signed.
    point["asInt"] = absl::StrCat(std::min(*count, kMaxInt));
  } else if (const auto* value = std::get_if<double>(&series.value)) {
    point["asDouble"] = JsonNumber(*value);
  } else {
    SetHistogram(std::get<HistogramCounts>(series.value), point);
  }
  return point;
}

Json MetricOf(const MetricFamily& family, const std::string& time) {
  Json points = Json::array();
  for (const MetricSeries& series : family.series) points.push_back(Point(family, series, time));
  Json data = {{"dataPoints", std::move(points)}};
  if (family.type != MetricType::kGauge) data["aggregationTemporality"] = kCumulative;
  Json metric = {{"name", family.name}, {"description", family.help}, {"unit", family.unit}};
  switch (family.type) {
    case MetricType::kGauge:
      metric["gauge"] = std::move(data);
      break;
    case MetricType::kHistogram:
      metric["exponentialHistogram"] = std::move(data);
      break;
    case MetricType::kCounter:
    case MetricType::kUpDownCounter:
      data["isMonotonic"] = family.type == MetricType::kCounter;
      metric["sum"] = std::move(data);
      break;
  }
  return metric;
}

}  // namespace

std::string OtlpJson(const MetricsSnapshot& snapshot, std::string_view service_name) {
  const std::string time = Nanoseconds(snapshot.time());
  Json metrics = Json::array();
  for (const MetricFamily& family : snapshot.families()) {
    metrics.push_back(MetricOf(family, time));
  }
  Json scope_metrics = {{"scope", {{"name", "holdfast"}, {"version", HOLDFAST_VERSION}}},
                        {"metrics", std::move(metrics)}};
  Json resource = {
      {"attributes", Json::array({AttributeOf("service.name", WellFormedUtf8(service_name))})}};
  Json resource_metrics = {{"resource", std::move(resource)},
                           {"scopeMetrics", Json::array({std::move(scope_metrics)})}};
  const Json request = {{"resourceMetrics", Json::array({std::move(resource_metrics)})}};
  return request.dump();
}

}  // namespace holdfast::internal
