#include "src/metrics_http/snapshot_json.h"

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <variant>

namespace holdfast::internal {
namespace {

using Json = nlohmann::json;
using SystemTime = std::chrono::system_clock::time_point;

std::int64_t Milliseconds(SystemTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

double Seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

Json JsonOfNumber(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

std::string_view NameOfType(MetricType type) {
  switch (type) {
    case MetricType::kCounter:
      return "counter";
    case MetricType::kUpDownCounter:
      return "updowncounter";
    case MetricType::kGauge:
      return "gauge";
    case MetricType::kHistogram:
      return "histogram";
  }
  return "";
}

Json JsonOfValue(const MetricValue& value) {
  if (const auto* const count = std::get_if<std::uint64_t>(&value)) return *count;
  if (const auto* const gauge = std::get_if<double>(&value)) return JsonOfNumber(*gauge);
  const auto& histogram = std::get<HistogramCounts>(value);
  // Most of the buckets at both ends are empty.
  std::size_t begin = 0;
  std::size_t end = histogram.counts.size();
  while (begin < end && histogram.counts[begin] == 0) ++begin;
  while (end > begin && histogram.counts[end - 1] == 0) --end;
  Json counts = Json::array();
  for (std::size_t i = begin; i < end; ++i) counts.push_back(histogram.counts[i]);
  return {{"offset", histogram.offset + static_cast<int>(begin)},
          {"counts", std::move(counts)},
          {"sum", JsonOfNumber(histogram.sum)}};
}

Json JsonOfMetrics(const MetricsSnapshot& snapshot) {
  Json metrics = Json::array();
  for (const MetricFamily& family : snapshot.families()) {
    Json all = Json::array();
    for (const MetricSeries& series : family.series) {
      all.push_back({{"values", series.values},
                     {"value", JsonOfValue(series.value)},
                     {"since", Milliseconds(series.since)}});
    }
    metrics.push_back({{"name", family.name},
                       {"prometheus", family.prometheus_name},
                       {"type", NameOfType(family.type)},
                       {"unit", family.unit},
                       {"help", family.help},
                       {"keys", family.keys},
                       {"series", std::move(all)}});
  }
  return metrics;
}

Json JsonOfFlow(const StackFlow& flow) {
  Json policies = Json::array();
  for (const PolicyFlow& policy : flow.policies) {
    policies.push_back(
        {{"refused", policy.refused}, {"answered", policy.answered}, {"again", policy.again}});
  }
  return {{"calls", flow.calls},
          {"attempts", flow.attempts},
          {"no_time", flow.no_time},
          {"cut_off", flow.cut_off},
          {"fell_back", flow.fell_back},
          {"p50", JsonOfNumber(QuantileOf(flow.durations, 0.5))},
          {"p99", JsonOfNumber(QuantileOf(flow.durations, 0.99))},
          {"policies", std::move(policies)}};
}

Json JsonOfLayout(const StackLayout& stack) {
  Json policies = Json::array();
  for (const PolicyLayout& policy : stack.policies) {
    Json objects = Json::array();
    for (const ObjectLayout& object : policy.objects) {
      objects.push_back({{"name", object.name}, {"metrics", object.metrics}});
    }
    policies.push_back({{"policy", policy.policy},
                        {"name", policy.name},
                        {"settings", policy.settings},
                        {"objects", std::move(objects)}});
  }
  return policies;
}

Json JsonOfStacks(const SnapshotSource& source) {
  Json stacks = Json::array();
  for (std::size_t i = 0; i < source.stacks.size(); ++i) {
    const StackLayout& stack = source.stacks[i];
    Json json = {{"name", stack.name},
                 {"policies", JsonOfLayout(stack)},
                 {"total", JsonOfFlow(source.flows[i])}};
    if (source.history != nullptr) {
      const auto recent =
          source.history->RecentOf(stack.name, source.flows[i], source.snapshot.time());
      json["recent"] = JsonOfFlow(recent.flow);
      json["recent"]["seconds"] = recent.seconds;
    }
    stacks.push_back(std::move(json));
  }
  return stacks;
}

// To four digits, which is more than a chart shows; null where it is not known.
Json JsonOfPoint(float value) {
  if (!std::isfinite(value)) return nullptr;
  if (value == 0) return 0;
  const double scale = std::pow(10.0, 3 - std::floor(std::log10(std::fabs(double{value}))));
  return std::round(double{value} * scale) / scale;
}

Json JsonOfHistory(const FlowHistory& history) {
  Json times = Json::array();
  for (const SystemTime time : history.times()) times.push_back(Milliseconds(time));
  Json stacks = Json::object();
  for (const auto& [name, points] : history.stacks()) {
    Json& stack = stacks[name];
    for (const FlowPoint& point : points) {
      stack["calls"].push_back(JsonOfPoint(point.calls));
      stack["lost"].push_back(JsonOfPoint(point.lost));
      stack["attempts"].push_back(JsonOfPoint(point.attempts));
      stack["p50"].push_back(JsonOfPoint(point.p50));
      stack["p99"].push_back(JsonOfPoint(point.p99));
    }
  }
  Json breakers = Json::object();
  for (const auto& [name, states] : history.breakers()) {
    Json& row = breakers[name] = Json::array();
    for (const signed char state : states) row.push_back(int{state});
  }
  return {{"times", std::move(times)},
          {"stacks", std::move(stacks)},
          {"breakers", std::move(breakers)}};
}

Json JsonOfEvent(const RecentEvent& event) {
  Json json = {{"number", event.number},           {"time", Milliseconds(event.time)},
               {"last", Milliseconds(event.last)}, {"count", event.count},
               {"kind", ToString(event.kind)},     {"severity", ToString(event.severity)}};
  const auto add = [&json](const char* key, const std::string& text) {
    if (!text.empty()) json[key] = text;
  };
  add("stack", event.stack);
  add("policy", event.policy);
  add("name", event.name);
  add("key", event.key);
  add("state", event.state);
  add("reason", event.reason);
  add("message", event.message);
  if (event.code != absl::StatusCode::kOk) json["code"] = absl::StatusCodeToString(event.code);
  if (event.attempt > 0) json["attempt"] = event.attempt;
  if (event.took != Duration::zero()) json["took"] = Seconds(event.took);
  if (event.waited != Duration::zero()) json["waited"] = Seconds(event.waited);
  if (event.until) json["until"] = Seconds(*event.until);
  return json;
}

Json JsonOfEvents(const RecentEvents& events) {
  Json kept = Json::array();
  for (const RecentEvent& event : events.Events()) kept.push_back(JsonOfEvent(event));
  Json keys = Json::array();
  for (const WorstKey& worst : events.WorstKeys()) {
    keys.push_back({{"stack", worst.stack},
                    {"policy", worst.policy},
                    {"name", worst.name},
                    {"key", worst.key},
                    {"refused", worst.refused},
                    {"too_many", worst.too_many},
                    {"last", Milliseconds(worst.last)}});
  }
  return {{"total", events.total()},
          {"kept", std::move(kept)},
          {"keeps_keys", events.keeps_keys()},
          {"worst_keys", std::move(keys)}};
}

}  // namespace

std::string SnapshotJson(const SnapshotSource& source) {
  Json json = {{"service", source.service_name},
               {"time", Milliseconds(source.snapshot.time())},
               {"refresh", Seconds(source.refresh)},
               {"stacks", JsonOfStacks(source)},
               {"metrics", JsonOfMetrics(source.snapshot)}};
  if (source.history != nullptr) json["history"] = JsonOfHistory(*source.history);
  if (source.events != nullptr) json["events"] = JsonOfEvents(*source.events);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace holdfast::internal
