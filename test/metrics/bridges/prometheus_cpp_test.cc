#include "holdfast/metrics/prometheus_cpp.h"

#include <prometheus/text_serializer.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/call/internal/duration_histogram.h"
#include "holdfast/holdfast.h"
#include "holdfast/metrics/metrics.h"
#include "holdfast/testing/fake_clock.h"
#include "test/metrics/exposition.h"
#include "test/metrics/objects.h"
#include "test/support/catch.h"

namespace holdfast::prometheus_cpp_test {
namespace {

using namespace std::chrono_literals;
using test::Exposition;
using test::Tells;

// Series by what is before their value, with "le" as a number, since the two spell numbers in ways
// of their own.
using Series = std::map<std::pair<std::string, double>, double>;

Series SeriesOf(const Exposition& text) {
  Series all;
  for (const auto& [series, value] : text.values()) {
    std::string name = series;
    double le = 0;
    if (const auto at = name.find("le=\""); at != std::string::npos) {
      le = std::strtod(name.c_str() + at + 4, nullptr);
      name.erase(at, name.find('"', at + 4) - at + 1);
      if (name[at - 1] == ',') name.erase(at - 1, 1);
    }
    const bool is_new =
        all.emplace(std::pair(name, le), std::strtod(value.c_str(), nullptr)).second;
    CHECK(is_new);
  }
  return all;
}

std::string Scraped(const std::shared_ptr<const Metrics>& metrics) {
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, PrometheusCollectable(metrics).Collect());
  return text.str();
}

void CheckTheSame(const std::shared_ptr<const Metrics>& metrics) {
  const Exposition ours(metrics->Text());
  const Exposition theirs(Scraped(metrics));
  CHECK(theirs.types() == ours.types());
  CHECK(theirs.helps() == ours.helps());
  CHECK(theirs.labels() == ours.labels());
  const Series expected = SeriesOf(ours);
  const Series found = SeriesOf(theirs);
  REQUIRE(found.size() == expected.size());
  for (const auto& [series, value] : expected) {
    INFO(series.first << " le " << series.second);
    REQUIRE(found.contains(series));
    const double other = found.at(series);
    CHECK((other == value || (std::isnan(other) && std::isnan(value))));
  }
}

TEST_CASE("prometheus-cpp tells the series of Text") {
  const auto metrics = std::make_shared<Metrics>();
  const auto teller = Tells([](Collector& c) {
    const double infinity = std::numeric_limits<double>::infinity();
    c.Count(test::kGearCalls, 123456789, {{"error.type", ""}});
    c.Count(test::kGearCalls, 0, {{"error.type", "timeout"}});
    c.Gauge(test::kCogLimit, -0.1, {{"k", "a"}});
    c.Gauge(test::kCogLimit, infinity, {{"k", "b"}});
    c.Gauge(test::kCogLimit, -infinity, {{"k", "c"}});
    c.Gauge(test::kCogLimit, std::nan(""), {{"k", "d"}});
    c.Gauge({.name = "level", .type = MetricType::kUpDownCounter, .unit = "", .help = "Level"}, 7);
    internal::DurationHistogram times;
    for (int power = 0; power < 40; ++power) times.Record(Duration(std::int64_t{1} << power));
    c.Histogram({.name = "time", .type = MetricType::kHistogram, .unit = "s", .help = "Time"},
                times.Counts(), {{"k", "a"}});
    c.Histogram({.name = "time", .type = MetricType::kHistogram, .unit = "s", .help = "Time"}, {},
                {{"k", "b"}});
  });
  const auto named = std::make_shared<test::Cog>("q\"uo\\te");
  REQUIRE(metrics->Add(teller).ok());
  REQUIRE(metrics->Add(named).ok());
  CheckTheSame(metrics);
}

TEST_CASE("prometheus-cpp tells what a stack counts") {
  testing::FakeClock clock;
  const Stack stack(Retry({.max_attempts = 3}), CircuitBreak({.name = "orders"}), Timeout(1s));
  const auto metrics = std::make_shared<Metrics>();
  REQUIRE(metrics->Add("shop", stack).ok());
  const auto fetch = stack.Around(
      [&clock] {
        clock.Advance(3ms);
        return absl::UnavailableError("down");
      },
      &clock);
  for (int i = 0; i < 5; ++i) fetch().IgnoreError();
  CheckTheSame(metrics);
  CHECK(Exposition(Scraped(metrics)).values().size() > 50);
}

TEST_CASE("an end of a line in a name or a help does not end a line of the text") {
  const auto metrics = std::make_shared<Metrics>();
  const auto named = std::make_shared<test::Gear>("two\nlines");
  const auto teller = Tells([](Collector& c) {
    c.Gauge({.name = "a", .type = MetricType::kGauge, .unit = "", .help = "two\nlines \\d"}, 1);
  });
  REQUIRE(metrics->Add(named).ok());
  REQUIRE(metrics->Add(teller).ok());
  const Exposition text(Scraped(metrics));
  CHECK(text.at(R"(gear_calls_total{holdfast_name="two\\nlines"})") == "1");
  CHECK(text.helps().at("a") == R"(two\nlines \\d)");
}

TEST_CASE("no registry is refused") {
  CHECK_THROWS_AS(PrometheusCollectable(nullptr), std::invalid_argument);
}

}  // namespace
}  // namespace holdfast::prometheus_cpp_test
