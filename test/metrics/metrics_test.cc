#include "holdfast/metrics/metrics.h"

#include <absl/status/status.h>

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/metrics/metrics_snapshot.h"
#include "test/metrics/exposition.h"
#include "test/metrics/objects.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::metrics_test {
namespace {

using test::Cog;
using test::ContainsSubstring;
using test::Gear;
using test::Pile;
using test::Tells;

std::uint64_t Overflow(const Metrics& metrics) {
  return metrics.Snapshot().Count("holdfast.metrics.overflow").value();
}

// The names that the series of a metric have, in their order.
std::vector<std::string> Names(const Metrics& metrics, std::string_view metric) {
  std::vector<std::string> names;
  const MetricsSnapshot snapshot = metrics.Snapshot();
  const MetricFamily* family = snapshot.Family(metric);
  if (family == nullptr) return names;
  for (const MetricSeries& series : family->series) names.push_back(series.values.at(0));
  return names;
}

using Strings = std::vector<std::string>;

TEST_CASE("an object has its own name") {
  Metrics metrics;
  const auto cog = std::make_shared<Cog>("orders");
  cog->good = 3;
  cog->limit = 0.5;
  REQUIRE(metrics.Add(cog).ok());
  const MetricsSnapshot snapshot = metrics.Snapshot();
  CHECK(snapshot.Count("cog.calls",
                       {{"holdfast.name", "orders"}, {"holdfast.outcome", "success"}}) == 3);
  CHECK(snapshot.Count("cog.calls",
                       {{"holdfast.outcome", "failure"}, {"holdfast.name", "orders"}}) == 0);
  CHECK(snapshot.Gauge("cog.limit", {{"holdfast.name", "orders"}}) == 0.5);
  CHECK(snapshot.Count("holdfast.metrics.overflow") == 0);
}

TEST_CASE("a snapshot has no value for what is not there or of another type") {
  Metrics metrics;
  const auto cog = std::make_shared<Cog>("orders");
  REQUIRE(metrics.Add(cog).ok());
  const MetricsSnapshot snapshot = metrics.Snapshot();
  CHECK(snapshot.Count("cog.calls", {{"holdfast.name", "orders"}}) == std::nullopt);
  CHECK(snapshot.Count("cog.calls") == std::nullopt);
  CHECK(snapshot.Count("none") == std::nullopt);
  CHECK(snapshot.Count("cog.limit", {{"holdfast.name", "orders"}}) == std::nullopt);
  CHECK(snapshot.Histogram("cog.limit", {{"holdfast.name", "orders"}}) == std::nullopt);
  CHECK(snapshot.Gauge("cog.limit", {{"holdfast.name", "orders"}, {"a", "b"}}) == std::nullopt);
  CHECK(snapshot.Family("none") == nullptr);
}

TEST_CASE("an attribute that does not apply may be left out of a question") {
  Metrics metrics;
  const auto teller =
      Tells([](Collector& c) { c.Count(test::kGearCalls, 4, {{"error.type", ""}}); });
  REQUIRE(metrics.Add(teller).ok());
  CHECK(metrics.Snapshot().Count("gear.calls", {{"holdfast.name", "teller"}}) == 4);
}

TEST_CASE("a stack brings its objects, and names those that have no name") {
  Metrics metrics;
  const auto named = std::make_shared<Cog>("orders");
  const auto unnamed = std::make_shared<Cog>();
  const Pile pile = Pile().WithMeter().With(named, "Turn").With(unnamed, "Spin");
  REQUIRE(metrics.Add("shop", pile).ok());
  CHECK(Names(metrics, "cog.limit") == Strings{"orders", "shop/Spin"});
  CHECK(metrics.Snapshot().Count("pile.calls", {{"holdfast.stack", "shop"}}) == 7);
}

TEST_CASE("equal names are numbered where the metrics are the same") {
  Metrics metrics;
  const auto first = std::make_shared<Cog>("orders");
  const auto second = std::make_shared<Cog>("orders");
  const auto third = std::make_shared<Cog>("orders");
  const auto other = std::make_shared<Gear>("orders");
  const auto taken = std::make_shared<Cog>("orders#2");
  for (const auto& cog : {taken, first, second, third}) REQUIRE(metrics.Add(cog).ok());
  REQUIRE(metrics.Add(other).ok());
  CHECK(Names(metrics, "cog.limit") == Strings{"orders#2", "orders", "orders#3", "orders#4"});
  CHECK(Names(metrics, "gear.calls") == Strings{"orders"});
  CHECK(test::Exposition(metrics.Text()).at(R"(cog_limit_seconds{holdfast_name="orders#3"})") ==
        "1");
}

// Has nothing to tell until it has turned.
class Late {
 public:
  void Collect(Collector& collector) const {
    if (turned) collector.Gauge(test::kCogLimit, 1);
  }
  std::string_view name() const { return "late"; }

  bool turned = false;
};

TEST_CASE("equal names are numbered even if there is nothing to tell yet") {
  Metrics metrics;
  const auto a = std::make_shared<Late>();
  const auto b = std::make_shared<Late>();
  REQUIRE(metrics.Add(a).ok());
  REQUIRE(metrics.Add(b).ok());
  b->turned = true;
  a->turned = true;
  CHECK(Names(metrics, "cog.limit") == Strings{"late", "late#2"});
}

TEST_CASE("two objects without a name in one place of a stack are numbered") {
  Metrics metrics;
  const auto a = std::make_shared<Cog>();
  const auto b = std::make_shared<Cog>();
  REQUIRE(metrics.Add("shop", Pile().With(a, "Turn").With(b, "Turn")).ok());
  CHECK(Names(metrics, "cog.limit") == Strings{"shop/Turn", "shop/Turn#2"});
}

TEST_CASE("what two stacks share is told once") {
  Metrics metrics;
  const auto shared = std::make_shared<Cog>();
  const Pile a = Pile().WithMeter().With(shared, "Turn").With(shared, "Turn");
  const Pile b = Pile().WithMeter().With(shared, "Turn");
  REQUIRE(metrics.Add("a", a).ok());
  REQUIRE(metrics.Add("b", b).ok());
  REQUIRE(metrics.Add("c", shared).ok());
  CHECK(Names(metrics, "cog.limit") == Strings{"a/Turn"});
  CHECK(Names(metrics, "pile.calls") == Strings{"a", "b"});
}

TEST_CASE("a name that an object is given goes before its own") {
  Metrics metrics;
  const auto cog = std::make_shared<const Cog>("own");
  REQUIRE(metrics.Add("given", cog).ok());
  CHECK(Names(metrics, "cog.limit") == Strings{"given"});
}

TEST_CASE("names that are empty or taken, and what is null, are refused") {
  Metrics metrics;
  const Pile pile = Pile().WithMeter();
  const Pile other = Pile().WithMeter();
  CHECK(metrics.Add("", pile).code() == absl::StatusCode::kInvalidArgument);
  REQUIRE(metrics.Add("shop", pile).ok());
  CHECK_THAT(std::string(metrics.Add("shop", other).message()),
             ContainsSubstring("there is a stack of the name \"shop\" already"));
  CHECK_THAT(std::string(metrics.Add("again", pile).message()),
             ContainsSubstring("is there already, as \"shop\""));
  CHECK(metrics.Add(std::make_shared<Cog>()).code() == absl::StatusCode::kInvalidArgument);
  CHECK(metrics.Add("", std::make_shared<Cog>("a")).code() == absl::StatusCode::kInvalidArgument);
  CHECK(metrics.Add(std::shared_ptr<Cog>()).code() == absl::StatusCode::kInvalidArgument);
  CHECK(metrics.Add("a", std::shared_ptr<Cog>()).code() == absl::StatusCode::kInvalidArgument);
  CHECK(Names(metrics, "pile.calls") == Strings{"shop"});
}

TEST_CASE("a stack that is refused adds none of its objects") {
  Metrics metrics;
  const Pile pile = Pile().WithMeter();
  const auto cog = std::make_shared<Cog>("orders");
  REQUIRE(metrics.Add("shop", pile).ok());
  CHECK_FALSE(metrics.Add("shop", Pile().With(cog, "Turn")).ok());
  CHECK(Names(metrics, "cog.limit").empty());
}

TEST_CASE("what is destroyed has no series, and its name is free") {
  Metrics metrics;
  auto cog = std::make_shared<Cog>("orders");
  const auto kept = std::make_shared<Cog>("orders");
  REQUIRE(metrics.Add(cog).ok());
  REQUIRE(metrics.Add(kept).ok());
  CHECK(cog.use_count() == 1);
  cog.reset();
  CHECK(Names(metrics, "cog.limit") == Strings{"orders#2"});
  cog = std::make_shared<Cog>("orders");
  REQUIRE(metrics.Add(cog).ok());
  CHECK(Names(metrics, "cog.limit") == Strings{"orders#2", "orders"});
}

TEST_CASE("the name of a stack is taken while its counters are there") {
  Metrics metrics;
  const auto shared = std::make_shared<Cog>("orders");
  {
    const Pile pile = Pile().WithMeter().With(shared, "Turn");
    REQUIRE(metrics.Add("shop", pile).ok());
    CHECK_FALSE(metrics.Add("shop", Pile().WithMeter()).ok());
  }
  const Pile next = Pile().WithMeter().With(shared, "Turn");
  CHECK(metrics.Add("shop", next).ok());
  CHECK(Names(metrics, "cog.limit") == Strings{"orders"});
}

TEST_CASE("a stack that counts nothing is there while its objects are") {
  Metrics metrics;
  auto cog = std::make_shared<Cog>("orders");
  REQUIRE(metrics.Add("shop", Pile().With(cog, "Turn")).ok());
  CHECK_FALSE(metrics.Add("shop", Pile().WithMeter()).ok());
  cog.reset();
  CHECK(metrics.Add("shop", Pile().WithMeter()).ok());
}

TEST_CASE("a stack may have objects that are gone") {
  Metrics metrics;
  CollectedObjects objects;
  objects.Add(std::make_shared<Cog>("gone"), "Turn");
  struct Fixed {
    CollectedObjects objects;
    CollectedObjects Objects() const { return objects; }
  };
  REQUIRE(metrics.Add("shop", Fixed{objects}).ok());
  CHECK(Names(metrics, "cog.limit").empty());
}

TEST_CASE("names that are not UTF-8 become so, and stay different") {
  Metrics metrics;
  const auto a = std::make_shared<Cog>("caf\xE9");
  const auto b = std::make_shared<Cog>("caf\xFF");
  const auto c = std::make_shared<Cog>("caf\xC3\xA9 \xF0\x9F\x90\x8C");
  for (const auto& cog : {a, b, c}) REQUIRE(metrics.Add(cog).ok());
  CHECK(Names(metrics, "cog.limit") ==
        Strings{"caf\xEF\xBF\xBD", "caf\xEF\xBF\xBD#2", "caf\xC3\xA9 \xF0\x9F\x90\x8C"});
  const Pile pile = Pile().WithMeter();
  REQUIRE(metrics.Add("s\xC0\x80", pile).ok());
  CHECK(Names(metrics, "pile.calls") == Strings{"s\xEF\xBF\xBD\xEF\xBF\xBD"});
}

TEST_CASE("each longest part that begins a character becomes one U+FFFD") {
  const std::string fffd = "\xEF\xBF\xBD";
  const std::pair<std::string, std::string> cases[] = {
      {"\x80", fffd},
      {"\xE2\x82", fffd},  // cut off
      {"\xE2\x82"
       "A",
       fffd + "A"},
      {"\xF0\x9F\x90", fffd},
      {"\xED\xA0\x80", fffd + fffd + fffd},  // a surrogate
      {"\xE0\x80\x80", fffd + fffd + fffd},  // longer than need be
      {"\xF0\x80\x80\x80", fffd + fffd + fffd + fffd},
      {"\xF4\x90\x80\x80", fffd + fffd + fffd + fffd},  // above U+10FFFF
      {"\xF5", fffd},
      {"\xF4\x8F\xBF\xBF\xED\x9F\xBF\xEE\x80\x80", "\xF4\x8F\xBF\xBF\xED\x9F\xBF\xEE\x80\x80"},
  };
  for (const auto& [name, told] : cases) {
    Metrics metrics;
    const auto gear = std::make_shared<Gear>(name);
    REQUIRE(metrics.Add(gear).ok());
    CHECK(Names(metrics, "gear.calls") == Strings{told});
  }
}

TEST_CASE("series with other keys, units or types than their metric's first are left out") {
  Metrics metrics;
  const auto odd = Tells([](Collector& c) {
    Metric metric = test::kGearCalls;
    c.Count(metric, 1, {{"a", "x"}});
    c.Count(metric, 2, {{"a", "y"}});
    c.Count(metric, 3, {{"b", "x"}});              // other keys
    c.Count(metric, 4);                            // fewer
    c.Count(metric, 5, {{"a", "x"}, {"b", "x"}});  // more
    c.Count(metric, 6, {{"a", "x"}});              // twice
    metric.unit = "{turn}";
    c.Count(metric, 7, {{"a", "z"}});
    metric.type = MetricType::kUpDownCounter;
    c.Gauge(metric, 8, {{"a", "z"}});  // with a name of its own in Prometheus, but not elsewhere
  });
  REQUIRE(metrics.Add(odd).ok());
  const test::Exposition text(metrics.Text());
  CHECK(text.at(R"(gear_calls_total{holdfast_name="teller",a="x"})") == "1");
  CHECK(text.at(R"(gear_calls_total{holdfast_name="teller",a="y"})") == "2");
  CHECK(text.at("holdfast_metrics_overflow_total") == "6");
  CHECK(text.values().size() == 3);
}

TEST_CASE("what no backend would take is left out") {
  Metrics metrics;
  const auto odd = Tells([](Collector& c) {
    const auto type = MetricType::kCounter;
    c.Count({.name = "", .type = type, .unit = "", .help = ""}, 1);
    c.Count({.name = "...", .type = type, .unit = "", .help = ""}, 1);
    c.Gauge(test::kGearCalls, 1);                                // a counter
    c.Count(test::kGearCalls, 1, {{"a.b", "x"}, {"a_b", "y"}});  // one label in Prometheus
    c.Count(test::kGearCalls, 1, {{"holdfast.name", "y"}});
    c.Count(test::kGearCalls, 1, {{"le", "y"}});
    c.Count(test::kGearCalls, 1, {{"", "y"}});
    c.Count({.name = "a.b", .type = type, .unit = "", .help = ""}, 1);
    c.Count({.name = "a_b", .type = type, .unit = "", .help = ""}, 2);  // another's name
  });
  REQUIRE(metrics.Add(odd).ok());
  const test::Exposition text(metrics.Text());
  CHECK(text.at(R"(a_b_total{holdfast_name="teller"})") == "1");
  CHECK(text.at("holdfast_metrics_overflow_total") == "8");
  CHECK(text.values().size() == 2);
}

TEST_CASE("series are limited, by whole objects, and those left out are counted") {
  Metrics metrics({.max_series = 1 + 2 * 3 + 1});
  std::vector<std::shared_ptr<Cog>> cogs;
  for (const char* name : {"a", "b", "c", "d"}) {
    cogs.push_back(std::make_shared<Cog>(name));
    REQUIRE(metrics.Add(cogs.back()).ok());
  }
  const auto small = std::make_shared<Gear>("small");
  REQUIRE(metrics.Add(small).ok());
  CHECK(Names(metrics, "cog.limit") == Strings{"a", "b"});
  CHECK(Names(metrics, "gear.calls") == Strings{"small"});
  const test::Exposition text(metrics.Text());
  CHECK(text.values().size() == 8);
  CHECK(text.at("holdfast_metrics_overflow_total") == "6");

  // To look again counts nothing again, and the counter does not shrink.
  CHECK(Overflow(metrics) == 6);
  cogs.erase(cogs.begin());
  CHECK(Names(metrics, "cog.limit") == Strings{"b", "c"});
  CHECK(Overflow(metrics) == 6);
  for (int i = 0; i < 2; ++i) {
    cogs.push_back(std::make_shared<Cog>("more"));
    REQUIRE(metrics.Add(cogs.back()).ok());
  }
  CHECK(Overflow(metrics) == 9);
}

TEST_CASE("the least limit has room for the counter of what is left out") {
  Metrics metrics({.max_series = 1});
  const auto cog = std::make_shared<Cog>("a");
  REQUIRE(metrics.Add(cog).ok());
  CHECK(metrics.Snapshot().families().size() == 1);
  CHECK(Overflow(metrics) == 3);
}

TEST_CASE("options that make no sense are refused") {
  CHECK(Validate(MetricsOptions{}).ok());
  CHECK_THROWS_AS(Metrics({.max_series = 0}), std::invalid_argument);
  CHECK_THROWS_AS(Metrics({.service_name = ""}), std::invalid_argument);
  CHECK_THROWS_AS(Metrics({.now = nullptr}), std::invalid_argument);
}

TEST_CASE("a registry can be moved") {
  const auto cog = std::make_shared<Cog>("a");
  Metrics first;
  REQUIRE(first.Add(cog).ok());
  Metrics second = std::move(first);
  CHECK(Names(second, "cog.limit") == Strings{"a"});
  first = Metrics();
  CHECK(Names(first, "cog.limit").empty());
}

// Adds another to the registry when it is destroyed, and while it is looked at.
class Meddler {
 public:
  explicit Meddler(Metrics& metrics) : metrics_(metrics) {}
  Meddler(const Meddler&) = delete;
  Meddler& operator=(const Meddler&) = delete;
  ~Meddler() { (void)metrics_.Add(std::make_shared<Cog>("last")); }

  void Collect(Collector&) const { (void)metrics_.Add(std::make_shared<Cog>("x")); }
  std::string_view name() const { return "meddler"; }

 private:
  Metrics& metrics_;
};

TEST_CASE("an object may use the registry while it is looked at and when it is destroyed") {
  Metrics metrics;
  auto meddler = std::make_shared<Meddler>(metrics);
  REQUIRE(metrics.Add(meddler).ok());
  CHECK(metrics.Snapshot().families().size() == 1);
  meddler.reset();
  CHECK(metrics.Snapshot().families().size() == 1);
}

TEST_CASE("threads add, destroy and look at the same time") {
  Metrics metrics({.max_series = 50});
  test::InThreads(4, [&metrics](int thread) {
    for (int i = 0; i < 50; ++i) {
      const auto cog = std::make_shared<Cog>("cog");
      const Pile pile = Pile().WithMeter().With(cog, "Turn");
      (void)metrics.Add("pile" + std::to_string(thread), pile);
      const test::Exposition text(metrics.Text());  // throws if two series were equal
      (void)text;
    }
  });
  CHECK(metrics.Snapshot().families().size() == 1);
}

}  // namespace
}  // namespace holdfast::metrics_test
