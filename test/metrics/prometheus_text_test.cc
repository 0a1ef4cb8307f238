#include "src/metrics/prometheus_text.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/metrics/metrics.h"
#include "src/metrics/prometheus_name.h"
#include "test/metrics/exposition.h"
#include "test/metrics/objects.h"
#include "test/support/catch.h"

namespace holdfast::prometheus_text_test {
namespace {

using internal::PrometheusLabel;
using internal::PrometheusName;
using test::Exposition;
using test::Tells;

constexpr auto kCounter = MetricType::kCounter;
constexpr auto kGauge = MetricType::kGauge;
constexpr auto kHistogram = MetricType::kHistogram;
constexpr auto kUpDown = MetricType::kUpDownCounter;

TEST_CASE("names are those of OpenTelemetry's translator") {
  CHECK(PrometheusName("holdfast.calls", kCounter, "{call}") == "holdfast_calls_total");
  CHECK(PrometheusName("holdfast.call.duration", kHistogram, "s") ==
        "holdfast_call_duration_seconds");
  CHECK(PrometheusName("holdfast.active_calls", kUpDown, "{call}") == "holdfast_active_calls");
  CHECK(PrometheusName("holdfast.breaker.state", kGauge, "") == "holdfast_breaker_state");
  CHECK(PrometheusName("holdfast.breaker.failure_ratio", kGauge, "1") ==
        "holdfast_breaker_failure_ratio");
  CHECK(PrometheusName("holdfast.breaker.open_remaining", kGauge, "s") ==
        "holdfast_breaker_open_remaining_seconds");
  CHECK(PrometheusName("holdfast.rate_limit.rate", kGauge, "{token}/s") ==
        "holdfast_rate_limit_rate_per_second");
  CHECK(PrometheusName("holdfast.cache.size", kGauge, "By") == "holdfast_cache_size_bytes");
  CHECK(PrometheusName("holdfast.keys.limit", kGauge, "{key}") == "holdfast_keys_limit");
  CHECK(PrometheusName("disk.io", kCounter, "By") == "disk_io_bytes_total");
  CHECK(PrometheusName("load", kGauge, "1") == "load_ratio");
  CHECK(PrometheusName("load", kUpDown, "1") == "load");
  CHECK(PrometheusName("wait_seconds", kGauge, "s") == "wait_seconds");
  CHECK(PrometheusName("total.turns", kCounter, "") == "turns_total");
  CHECK(PrometheusName("speed", kGauge, "m/s") == "speed_m_per_second");
  CHECK(PrometheusName("odd", kGauge, "furlong/fortnight") == "odd_furlong_per_fortnight");
  CHECK(PrometheusName("a..b-c  d", kGauge, "") == "a_b_c_d");
  CHECK(PrometheusName("2nd", kGauge, "") == "_2nd");
  CHECK(PrometheusName("caf\xC3\xA9.x", kGauge, "") == "caf_x");
  CHECK(PrometheusName("...", kCounter, "s").empty());
}

TEST_CASE("labels are those of OpenTelemetry's translator") {
  CHECK(PrometheusLabel("holdfast.reason") == "holdfast_reason");
  CHECK(PrometheusLabel("error.type") == "error_type");
  CHECK(PrometheusLabel("2nd") == "key_2nd");
  CHECK(PrometheusLabel("_x") == "key_x");
  CHECK(PrometheusLabel("a-b c") == "a_b_c");
}

TEST_CASE("a text has help, type and series of each metric") {
  Metrics metrics;
  const auto cog = std::make_shared<test::Cog>("orders");
  cog->bad = 2;
  cog->limit = 0.25;
  REQUIRE(metrics.Add(cog).ok());
  CHECK(metrics.Text() ==
        "# HELP cog_calls_total Calls of the cog\n"
        "# TYPE cog_calls_total counter\n"
        "cog_calls_total{holdfast_name=\"orders\",holdfast_outcome=\"success\"} 0\n"
        "cog_calls_total{holdfast_name=\"orders\",holdfast_outcome=\"failure\"} 2\n"
        "# HELP cog_limit_seconds The time of a turn\n"
        "# TYPE cog_limit_seconds gauge\n"
        "cog_limit_seconds{holdfast_name=\"orders\"} 0.25\n"
        "# HELP holdfast_metrics_overflow_total The most series that were left out at a time\n"
        "# TYPE holdfast_metrics_overflow_total counter\n"
        "holdfast_metrics_overflow_total 0\n");
}

TEST_CASE("names and help are escaped") {
  Metrics metrics;
  const auto gear = std::make_shared<test::Gear>("q\"uo\\te\nx");
  const auto teller = Tells([](Collector& c) {
    c.Gauge({.name = "a", .type = kGauge, .unit = "", .help = "back\\slash \"q\"\nnext"}, 1);
  });
  REQUIRE(metrics.Add(gear).ok());
  REQUIRE(metrics.Add(teller).ok());
  const Exposition text(metrics.Text());
  CHECK(text.at(R"(gear_calls_total{holdfast_name="q\"uo\\te\nx"})") == "1");
  CHECK(text.helps().at("a") == R"(back\\slash "q"\nnext)");
}

TEST_CASE("an attribute that does not apply is an empty label, so that labels are even") {
  Metrics metrics;
  const auto teller = Tells([](Collector& c) {
    c.Count(test::kGearCalls, 1, {{"error.type", ""}});
    c.Count(test::kGearCalls, 2, {{"error.type", "timeout"}});
  });
  REQUIRE(metrics.Add(teller).ok());
  const Exposition text(metrics.Text());
  CHECK(text.at(R"(gear_calls_total{holdfast_name="teller",error_type=""})") == "1");
}

TEST_CASE("numbers are read as they were written") {
  const auto text_of = [](double value) {
    MetricFamily family{.name = "a", .prometheus_name = "a", .series = {{.value = value}}};
    return Exposition(internal::PrometheusText(MetricsSnapshot({}, {family}))).at("a");
  };
  CHECK(text_of(0) == "0");
  CHECK(text_of(1) == "1");
  CHECK(text_of(0.1) == "0.1");
  CHECK(text_of(-2.5) == "-2.5");
  CHECK(text_of(1e300) == "1e+300");
  CHECK(text_of(std::numeric_limits<double>::infinity()) == "+Inf");
  CHECK(text_of(-std::numeric_limits<double>::infinity()) == "-Inf");
  CHECK(text_of(std::nan("")) == "NaN");
  for (const double value : {1.0 / 3, 0.1 + 0.2, 5e-324, 123456789.123456789}) {
    CHECK(std::stold(text_of(value)) == test::Approx(value).epsilon(1e-17));
  }
}

// One call in each of the buckets from `offset`.
std::string HistogramText(int offset, std::vector<std::uint64_t> counts, double sum) {
  MetricFamily family{.name = "h",
                      .prometheus_name = "h",
                      .type = kHistogram,
                      .keys = {"k"},
                      .series = {{.values = {"v"},
                                  .value = HistogramCounts{
                                      .offset = offset, .counts = std::move(counts), .sum = sum}}}};
  return internal::PrometheusText(MetricsSnapshot({}, {family}));
}

TEST_CASE("a histogram has a bucket for each power of two, and four of its own in each") {
  const Exposition text(HistogramText(-4, {1, 2, 3, 4, 10, 20, 30, 40, 100}, 12.5));
  CHECK(text.at(R"(h_bucket{k="v",le="9.5367431640625e-07"})") == "0");
  CHECK(text.at(R"(h_bucket{k="v",le="0.5"})") == "0");
  CHECK(text.at(R"(h_bucket{k="v",le="1"})") == "10");
  CHECK(text.at(R"(h_bucket{k="v",le="2"})") == "110");
  CHECK(text.at(R"(h_bucket{k="v",le="4"})") == "210");
  CHECK(text.at(R"(h_bucket{k="v",le="128"})") == "210");
  CHECK(text.at(R"(h_bucket{k="v",le="+Inf"})") == "210");
  CHECK(text.at(R"(h_sum{k="v"})") == "12.5");
  CHECK(text.at(R"(h_count{k="v"})") == "210");
  CHECK(text.values().size() == 28 + 3);
}

TEST_CASE("what a histogram has at its ends is in the right bucket of a text") {
  const Exposition low(HistogramText(-81, {1, 10}, 0));
  CHECK(low.at(R"(h_bucket{k="v",le="9.5367431640625e-07"})") == "1");
  CHECK(low.at(R"(h_bucket{k="v",le="1.9073486328125e-06"})") == "11");
  const Exposition high(HistogramText(27, {1, 10}, 0));
  CHECK(high.at(R"(h_bucket{k="v",le="64"})") == "0");
  CHECK(high.at(R"(h_bucket{k="v",le="128"})") == "1");
  CHECK(high.at(R"(h_bucket{k="v",le="+Inf"})") == "11");
  const Exposition none(HistogramText(0, {}, 0));
  CHECK(none.at(R"(h_bucket{k="v",le="+Inf"})") == "0");
  CHECK(none.at(R"(h_count{k="v"})") == "0");
}

TEST_CASE("the check of a text finds what is wrong with it") {
  const std::string head = "# HELP a x\n# TYPE a gauge\n";
  CHECK_NOTHROW(Exposition(head + "a{x=\"1\"} 1\na{x=\"2\"} 1\n"));
  CHECK_THROWS(Exposition(head + "a{x=\"1\"} 1\na{x=\"1\"} 2\n"));
  CHECK_THROWS(Exposition(head + "a{x=\"1\"} 1\na{y=\"1\"} 2\n"));
  CHECK_THROWS(Exposition(head + "a{x=\"1\"} 1\na 2\n"));
  CHECK_THROWS(Exposition(head + "b 2\n"));
  CHECK_THROWS(Exposition(head + "a{x=\"1\"1\"} 2\n"));
  CHECK_THROWS(Exposition(head + "a{x=\"\\e\"} 2\n"));
  CHECK_THROWS(Exposition("# HELP b x\n# TYPE b gauge\n" + head));
  CHECK_THROWS(Exposition(head + "a 2"));
}

}  // namespace
}  // namespace holdfast::prometheus_text_test
