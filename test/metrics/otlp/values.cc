// Writes, as JSON, what Metrics::OtlpJson makes of values at the edges of what there is, and those
// values in another form, for check.mjs.
#include <cinttypes>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/call/internal/duration_histogram.h"
#include "holdfast/metrics/metrics.h"

namespace {

using holdfast::Collector;
using holdfast::Metric;
using holdfast::MetricType;
using nlohmann::json;

constexpr Metric kCount = {
    .name = "a.count", .type = MetricType::kCounter, .unit = "{call}", .help = "Calls"};
constexpr Metric kGauge = {.name = "a.gauge", .type = MetricType::kGauge, .unit = "s", .help = ""};
constexpr Metric kLevel = {
    .name = "a.level", .type = MetricType::kUpDownCounter, .unit = "", .help = "L\"ev\\el\n"};
constexpr Metric kTime = {
    .name = "a.time", .type = MetricType::kHistogram, .unit = "s", .help = "Times"};
constexpr Metric kPort = {
    .name = "a.port", .type = MetricType::kCounter, .unit = "", .help = "By port"};
constexpr Metric kMany = {
    .name = "a.many", .type = MetricType::kHistogram, .unit = "s", .help = "Many times"};

constexpr std::uint64_t kCounts[] = {0,
                                     1,
                                     (std::uint64_t{1} << 53) - 1,
                                     (std::uint64_t{1} << 53) + 1,
                                     std::uint64_t{std::numeric_limits<std::int64_t>::max()},
                                     std::numeric_limits<std::uint64_t>::max()};
const double kNumbers[] = {0,
                           -0.1,
                           1.0 / 3,
                           5e-324,
                           1e300,
                           std::numeric_limits<double>::max(),
                           std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity(),
                           std::nan("")};
constexpr std::string_view kTexts[] = {"7",          "true",        "q\"uo\\te",
                                       "two\nlines", "caf\xC3\xA9", "\xF0\x9F\x90\x8C"};

// Around each edge of a bucket. To the nanosecond where it is, check.mjs finds out.
std::vector<std::int64_t> Times() {
  std::vector<std::int64_t> times = {0, 1, std::numeric_limits<std::int64_t>::max()};
  for (int quarters = -82; quarters <= 30; ++quarters) {
    const auto edge = static_cast<std::int64_t>(std::exp2(quarters / 4.0) * 1e9);
    for (std::int64_t off = -2; off <= 2; ++off) times.push_back(edge + off);
  }
  return times;
}

std::string Text(double number) {
  char text[64];
  (void)std::snprintf(text, sizeof text, "%.17g", number);
  return text;
}

// Tells the values, and what they are.
class Values {
 public:
  void Collect(Collector& collector) const {
    for (const std::uint64_t count : kCounts) {
      collector.Count(kCount, count, {{"k", std::to_string(count)}});
    }
    for (const double number : kNumbers) {
      collector.Gauge(kGauge, number, {{"k", Text(number)}});
      collector.Gauge(kLevel, number, {{"k", Text(number)}});
    }
    for (const std::string_view text : kTexts) collector.Gauge(kGauge, 1, {{"k", text}});
    collector.Count(kPort, 1, {{"k", ""}, {"server.port", "443"}});
    collector.Count(kPort, 2, {{"k", "a"}, {"server.port", "many"}});
    collector.Count(kPort, 3, {{"k", "b"}, {"server.port", "9223372036854775808"}});
    for (const std::int64_t time : Times()) {
      holdfast::internal::DurationHistogram histogram;
      histogram.Record(holdfast::Duration(time));
      collector.Histogram(kTime, histogram.Counts(), {{"k", std::to_string(time)}});
    }
    collector.Histogram(kMany, {.offset = -3, .counts = {0, 1ULL << 60, 0, 7, 0}, .sum = 0.1});
  }
  std::string_view name() const { return "values"; }
};

json Expected() {
  json all = json::array();
  for (const std::uint64_t count : kCounts) {
    const std::uint64_t most = std::uint64_t{std::numeric_limits<std::int64_t>::max()};
    all.push_back({{"metric", "a.count"},
                   {"k", std::to_string(count)},
                   {"int", std::to_string(std::min(count, most))}});
  }
  for (const double number : kNumbers) {
    for (const char* metric : {"a.gauge", "a.level"}) {
      all.push_back({{"metric", metric}, {"k", Text(number)}, {"double", Text(number)}});
    }
  }
  for (const std::string_view text : kTexts) {
    all.push_back({{"metric", "a.gauge"}, {"k", text}, {"double", "1"}});
  }
  for (const std::int64_t time : Times()) {
    all.push_back({{"metric", "a.time"}, {"k", std::to_string(time)}});
  }
  return all;
}

}  // namespace

int main() {
  using std::chrono::nanoseconds;
  holdfast::Metrics metrics({.service_name = "sh\"op", .now = [] {
                               return std::chrono::system_clock::time_point(
                                   std::chrono::duration_cast<std::chrono::system_clock::duration>(
                                       nanoseconds(1'700'000'000'123'456'789)));
                             }});
  const auto values = std::make_shared<Values>();
  if (!metrics.Add(values).ok()) return 1;
  std::cout << json({{"otlp", metrics.OtlpJson()}, {"expected", Expected()}}) << "\n";
  return std::cout.good() ? 0 : 1;
}
