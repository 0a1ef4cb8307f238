#include "src/metrics_http/snapshot_json.h"

#include <chrono>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>
#include <vector>

#include "holdfast/metrics_http/metrics_server.h"
#include "test/metrics/objects.h"
#include "test/metrics_http/raw_client.h"
#include "test/metrics_http/scene.h"
#include "test/support/catch.h"

namespace holdfast::snapshot_json_test {
namespace {

using Json = nlohmann::json;
using test::Scene;

Json Ask(const Scene& scene) {
  test::RawClient client(scene.port());
  return Json::parse(client.Get("/snapshot.json").body);
}

void CheckValue(const Json& json, const MetricValue& value) {
  if (const auto* const count = std::get_if<std::uint64_t>(&value)) {
    CHECK(json == *count);
  } else if (const auto* const gauge = std::get_if<double>(&value)) {
    CHECK(json == *gauge);
  } else {
    const auto& histogram = std::get<HistogramCounts>(value);
    CHECK(json["sum"] == histogram.sum);
    std::vector<std::uint64_t> counts(histogram.counts.size());
    const auto shift = static_cast<std::size_t>(json["offset"].get<int>() - histogram.offset);
    for (std::size_t i = 0; i < json["counts"].size(); ++i) counts[shift + i] = json["counts"][i];
    CHECK(counts == histogram.counts);
  }
}

TEST_CASE("/snapshot.json has the families and series of Snapshot()") {
  const Scene scene({.history = Duration::zero()});
  scene.Calls(4, 3);
  const Json json = Ask(scene);
  const MetricsSnapshot snapshot = scene.metrics.Snapshot();
  REQUIRE(json["metrics"].size() == snapshot.families().size());
  for (std::size_t i = 0; i < snapshot.families().size(); ++i) {
    const MetricFamily& family = snapshot.families()[i];
    const Json& metric = json["metrics"][i];
    CHECK(metric["name"] == family.name);
    CHECK(metric["prometheus"] == family.prometheus_name);
    CHECK(metric["unit"] == family.unit);
    CHECK(metric["keys"] == family.keys);
    REQUIRE(metric["series"].size() == family.series.size());
    for (std::size_t s = 0; s < family.series.size(); ++s) {
      CHECK(metric["series"][s]["values"] == family.series[s].values);
      CheckValue(metric["series"][s]["value"], family.series[s].value);
    }
  }
  CHECK(json["service"] == "shop");
  CHECK(json["time"] == 3'600'000);
  CHECK(json["refresh"] == 1);
  CHECK_FALSE(json.contains("history"));
}

TEST_CASE("/snapshot.json has stacks in order, with settings and what became of calls") {
  const Scene scene;
  scene.Calls(4, 3);
  const Json json = Ask(scene);
  REQUIRE(json["stacks"].size() == 1);
  const Json& stack = json["stacks"][0];
  CHECK(stack["name"] == "q\"uo\\te</script><b>\n\xEF\xBF\xBD");
  REQUIRE(stack["policies"].size() == 4);
  CHECK(stack["policies"][0]["policy"] == "Timeout");
  CHECK(stack["policies"][0]["settings"] == "10s");
  CHECK(stack["policies"][2]["policy"] == "CircuitBreak");
  CHECK(stack["policies"][2]["objects"][0]["name"] == stack["name"]);
  // Three calls fail by five attempts, after which the breaker is open.
  CHECK(stack["total"]["calls"]["success"] == 4);
  CHECK(stack["total"]["attempts"]["failure"] == 5);
  CHECK(stack["total"]["policies"][1]["again"] == 3);
  CHECK(stack["total"]["policies"][2]["refused"]["circuit_open"] == 1);
  CHECK(stack["recent"]["seconds"] == 0);
}

TEST_CASE("/snapshot.json has the events, the newest first") {
  const Scene scene;
  scene.Calls(0, 3);
  const Json events = Ask(scene)["events"];
  CHECK(events["total"] == scene.events->total());
  REQUIRE(events["kept"].size() == scene.events->Events().size());
  CHECK(events["kept"][0]["kind"] == ToString(scene.events->Events()[0].kind));
  CHECK(events["keeps_keys"] == false);
  CHECK(events["worst_keys"].empty());
  bool opened = false;
  for (const Json& event : events["kept"]) {
    opened = opened || (event["kind"] == "breaker_changed" && event["state"] == "open");
    CHECK_FALSE(event.contains("message"));
  }
  CHECK(opened);
}

TEST_CASE("numbers that are not finite are texts") {
  Metrics metrics;
  const auto teller = test::Tells([](Collector& collector) {
    collector.Gauge(test::kCogLimit, std::numeric_limits<double>::infinity());
  });
  REQUIRE(metrics.Add(teller).ok());
  const MetricsSnapshot snapshot = metrics.Snapshot();
  const std::string json = internal::SnapshotJson({.snapshot = snapshot,
                                                   .stacks = {},
                                                   .flows = {},
                                                   .history = nullptr,
                                                   .events = nullptr,
                                                   .service_name = "\xFF",
                                                   .refresh = std::chrono::seconds(2)});
  const Json parsed = Json::parse(json);
  CHECK(parsed["metrics"][0]["series"][0]["value"] == "Infinity");
  CHECK(parsed["service"] == "\xEF\xBF\xBD");
  CHECK(json.find('\n') == std::string::npos);
}

}  // namespace
}  // namespace holdfast::snapshot_json_test
