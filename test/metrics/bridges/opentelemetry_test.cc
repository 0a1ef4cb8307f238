#include "holdfast/metrics/opentelemetry.h"

#include <chrono>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "holdfast/metrics/metrics.h"
#include "test/metrics/bridges/fake_meter.h"
#include "test/metrics/objects.h"
#include "test/support/catch.h"

namespace holdfast::opentelemetry_test {
namespace {

using test::Cog;
using test::FakeMeter;
using test::Observations;
using test::Tells;

struct Scene {
  std::shared_ptr<Metrics> metrics = std::make_shared<Metrics>();
  std::shared_ptr<FakeMeter> meter = std::make_shared<FakeMeter>();
  std::shared_ptr<test::Callbacks> callbacks = meter->callbacks();

  opentelemetry::nostd::shared_ptr<opentelemetry::metrics::Meter> Meter() const {
    return opentelemetry::nostd::shared_ptr<opentelemetry::metrics::Meter>(
        std::shared_ptr<opentelemetry::metrics::Meter>(meter));
  }
};

constexpr Metric kLevel = {
    .name = "level", .type = MetricType::kUpDownCounter, .unit = "{unit}", .help = "The level"};
constexpr Metric kTime = {
    .name = "time", .type = MetricType::kHistogram, .unit = "s", .help = "The time"};

TEST_CASE("each metric is an instrument of its type, but a histogram is none") {
  const Scene scene;
  const auto cog = std::make_shared<Cog>("orders");
  const auto teller = Tells([](Collector& c) {
    c.Gauge(kLevel, -2);
    c.Histogram(kTime, {.offset = 0, .counts = {1}, .sum = 1});
  });
  REQUIRE(scene.metrics->Add(cog).ok());
  REQUIRE(scene.metrics->Add(teller).ok());
  const OpenTelemetryInstruments instruments(scene.metrics, scene.Meter());
  CHECK(scene.meter->made() ==
        std::map<std::string, std::string>{
            {"cog.calls", "counter|{call}|Calls of the cog"},
            {"cog.limit", "gauge|s|The time of a turn"},
            {"holdfast.metrics.overflow",
             "counter|{series}|The most series that were left out at a time"},
            {"level", "updowncounter|{unit}|The level"}});
  cog->good = 3;
  cog->limit = 0.5;
  auto observed = scene.callbacks->Collect();
  CHECK(observed["cog.calls"] ==
        Observations{{"holdfast.name=orders,holdfast.outcome=success", 3},
                     {"holdfast.name=orders,holdfast.outcome=failure", 0}});
  CHECK(observed["cog.limit"] == Observations{{"holdfast.name=orders", 0.5}});
  CHECK(observed["level"] == Observations{{"holdfast.name=teller", -2}});
  CHECK(observed["holdfast.metrics.overflow"] == Observations{{"", 0}});
}

TEST_CASE("attributes without a value are left out, and those that are integers are integers") {
  const Scene scene;
  const auto teller = Tells([](Collector& c) {
    c.Count(test::kGearCalls, std::numeric_limits<std::uint64_t>::max(),
            {{"server.port", "443"}, {"error.type", ""}, {"holdfast.reason", "7"}});
    c.Count(test::kGearCalls, 2,
            {{"server.port", "many"}, {"error.type", "timeout"}, {"holdfast.reason", "8"}});
  });
  REQUIRE(scene.metrics->Add(teller).ok());
  const OpenTelemetryInstruments instruments(scene.metrics, scene.Meter());
  CHECK(scene.callbacks->Collect()["gear.calls"] ==
        Observations{
            {"holdfast.name=teller,server.port=443i,holdfast.reason=7", 0x1p63},
            {"holdfast.name=teller,server.port=many,error.type=timeout,holdfast.reason=8", 2}});
}

// How often it was looked at.
class Counted {
 public:
  void Collect(Collector& collector) const {
    collector.Count(test::kGearCalls, ++looks_);
    collector.Gauge(test::kCogLimit, static_cast<double>(looks_));
  }
  std::string_view name() const { return "counted"; }

 private:
  mutable std::uint64_t looks_ = 0;
};

TEST_CASE("the instruments of one collection have one snapshot, and the next one has another") {
  const Scene scene;
  const auto counted = std::make_shared<Counted>();
  REQUIRE(scene.metrics->Add(counted).ok());
  const OpenTelemetryInstruments instruments(scene.metrics, scene.Meter());
  double before = 0;
  for (int collection = 0; collection < 3; ++collection) {
    auto observed = scene.callbacks->Collect();
    const double looks = observed["gear.calls"].at("holdfast.name=counted");
    CHECK(observed["cog.limit"].at("holdfast.name=counted") == looks);
    if (collection > 0) CHECK(looks == before + 1);
    before = looks;
  }
}

TEST_CASE("what comes later is observed from the next Update on, and what goes is not any more") {
  const Scene scene;
  OpenTelemetryInstruments instruments(scene.metrics, scene.Meter());
  auto cog = std::make_shared<Cog>("orders");
  REQUIRE(scene.metrics->Add(cog).ok());
  CHECK_FALSE(scene.callbacks->Collect().contains("cog.calls"));
  instruments.Update();
  instruments.Update();
  CHECK(scene.callbacks->size() == 3);
  CHECK(scene.callbacks->Collect()["cog.calls"].size() == 2);
  const auto other = std::make_shared<Cog>("more");
  REQUIRE(scene.metrics->Add(other).ok());
  CHECK(scene.callbacks->Collect()["cog.calls"].size() == 4);
  cog.reset();
  CHECK(scene.callbacks->Collect()["cog.calls"].size() == 2);
}

TEST_CASE("instruments end with the bridge") {
  const Scene scene;
  {
    const OpenTelemetryInstruments instruments(scene.metrics, scene.Meter());
    CHECK(scene.callbacks->size() == 1);
  }
  CHECK(scene.callbacks->size() == 0);
}

TEST_CASE("what is null is refused") {
  const Scene scene;
  CHECK_THROWS_AS(OpenTelemetryInstruments(nullptr, scene.Meter()), std::invalid_argument);
  CHECK_THROWS_AS(OpenTelemetryInstruments(scene.metrics, {}), std::invalid_argument);
}

TEST_CASE("collections go on while objects come and Update is called") {
  const Scene scene;
  OpenTelemetryInstruments instruments(scene.metrics, scene.Meter());
  std::vector<std::shared_ptr<Cog>> cogs;
  std::jthread collector([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) (void)scene.callbacks->Collect();
  });
  for (int i = 0; i < 50; ++i) {
    cogs.push_back(std::make_shared<Cog>(std::to_string(i)));
    REQUIRE(scene.metrics->Add(cogs.back()).ok());
    instruments.Update();
  }
  collector.request_stop();
  collector.join();
  CHECK(scene.callbacks->Collect()["cog.calls"].size() == 100);
}

}  // namespace
}  // namespace holdfast::opentelemetry_test
