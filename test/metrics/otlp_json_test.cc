#include "src/metrics/otlp_json.h"

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "holdfast/metrics/metrics.h"
#include "holdfast/version.h"
#include "test/metrics/objects.h"
#include "test/support/catch.h"

namespace holdfast::otlp_json_test {
namespace {

using nlohmann::json;
using test::Tells;
using Time = std::chrono::system_clock::time_point;

Time At(std::int64_t seconds) { return Time(std::chrono::seconds(seconds)); }

const json& ScopeOf(const json& request) {
  return request.at("resourceMetrics").at(0).at("scopeMetrics").at(0);
}

// The metric of a name in a request.
json MetricNamed(const json& request, const std::string& name) {
  for (const json& metric : ScopeOf(request).at("metrics")) {
    if (metric.at("name") == name) return metric;
  }
  return {};
}

TEST_CASE("a request names the service, the scope and its version") {
  const Metrics metrics({.service_name = "sh\"op\xFF"});
  const json request = json::parse(metrics.OtlpJson());
  CHECK(request.at("resourceMetrics").size() == 1);
  const json& resource = request.at("resourceMetrics").at(0).at("resource");
  CHECK(resource == json::parse(R"({"attributes": [
      {"key": "service.name", "value": {"stringValue": "sh\"op\ufffd"}}]})"));
  CHECK(ScopeOf(request).at("scope") ==
        json({{"name", "holdfast"}, {"version", HOLDFAST_VERSION}}));
}

TEST_CASE("counters are cumulative from when their object was added") {
  Time now = At(100);
  Metrics metrics({.now = [&now] { return now; }});
  now = At(200);
  const auto cog = std::make_shared<test::Cog>("q\"uo\\te\n");
  cog->good = std::numeric_limits<std::uint64_t>::max();
  REQUIRE(metrics.Add(cog).ok());
  now = At(300);
  const json request = json::parse(metrics.OtlpJson());
  const json calls = MetricNamed(request, "cog.calls");
  CHECK(calls.at("unit") == "{call}");
  CHECK(calls.at("description") == "Calls of the cog");
  CHECK(calls.at("sum").at("aggregationTemporality") == 2);
  CHECK(calls.at("sum").at("isMonotonic") == true);
  CHECK(calls.at("sum").at("dataPoints").at(0) == json::parse(R"({
      "attributes": [{"key": "holdfast.name", "value": {"stringValue": "q\"uo\\te\n"}},
                     {"key": "holdfast.outcome", "value": {"stringValue": "success"}}],
      "startTimeUnixNano": "200000000000",
      "timeUnixNano": "300000000000",
      "asInt": "9223372036854775807"})"));
  CHECK(calls.at("sum").at("dataPoints").size() == 2);
  CHECK(MetricNamed(request, "cog.limit") == json::parse(R"({
      "name": "cog.limit", "description": "The time of a turn", "unit": "s",
      "gauge": {"dataPoints": [{
          "attributes": [{"key": "holdfast.name", "value": {"stringValue": "q\"uo\\te\n"}}],
          "timeUnixNano": "300000000000",
          "asDouble": 1.0}]}})"));
  CHECK(MetricNamed(request, "holdfast.metrics.overflow") == json::parse(R"({
      "name": "holdfast.metrics.overflow", "unit": "{series}",
      "description": "The most series that were left out at a time",
      "sum": {"dataPoints": [{"attributes": [], "startTimeUnixNano": "100000000000",
                              "timeUnixNano": "300000000000", "asInt": "0"}],
              "aggregationTemporality": 2, "isMonotonic": true}})"));
}

TEST_CASE("a counter that goes up and down is a sum that is not monotonic") {
  Metrics metrics;
  const auto teller = Tells([](Collector& c) {
    c.Gauge({.name = "open", .type = MetricType::kUpDownCounter, .unit = "{call}", .help = ""}, 3);
  });
  REQUIRE(metrics.Add(teller).ok());
  const json open = MetricNamed(json::parse(metrics.OtlpJson()), "open");
  CHECK(open.at("sum").at("isMonotonic") == false);
  CHECK(open.at("sum").at("aggregationTemporality") == 2);
  CHECK(open.at("sum").at("dataPoints").at(0).at("asDouble") == 3);
}

TEST_CASE("numbers that are not finite are strings, and attributes without a value are left out") {
  Metrics metrics;
  const auto teller = Tells([](Collector& c) {
    const Metric metric = {.name = "g", .type = MetricType::kGauge, .unit = "", .help = ""};
    const double infinity = std::numeric_limits<double>::infinity();
    c.Gauge(metric, infinity, {{"k", ""}});
    c.Gauge(metric, -infinity, {{"k", "b"}});
    c.Gauge(metric, std::nan(""), {{"k", "c"}});
  });
  REQUIRE(metrics.Add(teller).ok());
  const json request = json::parse(metrics.OtlpJson());
  const json points = MetricNamed(request, "g").at("gauge").at("dataPoints");
  CHECK(points.at(0).at("asDouble") == "Infinity");
  CHECK(points.at(0).at("attributes").size() == 1);
  CHECK(points.at(1).at("asDouble") == "-Infinity");
  CHECK(points.at(1).at("attributes").size() == 2);
  CHECK(points.at(2).at("asDouble") == "NaN");
}

TEST_CASE("a histogram has its buckets as they are, without the empty ones at its ends") {
  Metrics metrics;
  const auto teller = Tells([](Collector& c) {
    const Metric metric = {.name = "h", .type = MetricType::kHistogram, .unit = "s", .help = ""};
    c.Histogram(metric, {.offset = -81, .counts = {0, 0, 5, 0, 7, 0}, .sum = 0.25}, {{"k", "a"}});
    c.Histogram(metric, {.offset = -81, .counts = {0, 0}}, {{"k", "b"}});
  });
  REQUIRE(metrics.Add(teller).ok());
  const json histogram =
      MetricNamed(json::parse(metrics.OtlpJson()), "h").at("exponentialHistogram");
  CHECK(histogram.at("aggregationTemporality") == 2);
  json point = histogram.at("dataPoints").at(0);
  CHECK(point.at("count") == "12");
  CHECK(point.at("sum") == 0.25);
  CHECK(point.at("scale") == 2);
  CHECK(point.at("zeroCount") == "0");
  CHECK(point.at("positive") == json::parse(R"({"offset": -79, "bucketCounts": ["5", "0", "7"]})"));
  CHECK(point.contains("startTimeUnixNano"));
  point = histogram.at("dataPoints").at(1);
  CHECK(point.at("count") == "0");
  CHECK(point.at("positive") == json::parse(R"({"offset": 0, "bucketCounts": []})"));
}

}  // namespace
}  // namespace holdfast::otlp_json_test
