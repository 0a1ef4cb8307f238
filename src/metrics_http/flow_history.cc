#include "src/metrics_http/flow_history.h"

#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>
#include <variant>

namespace holdfast::internal {
namespace {

constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();
constexpr FlowPoint kNoPoint = {kUnknown, kUnknown, kUnknown, kUnknown, kUnknown};

FlowPoint PointOf(const StackFlow& step, double seconds) {
  const auto calls = static_cast<double>(SumOf(step.calls));
  const auto success = step.calls.find("success");
  const double good = success == step.calls.end() ? 0 : static_cast<double>(success->second);
  return {.calls = static_cast<float>(calls / seconds),
          .lost = static_cast<float>((calls - good) / seconds),
          .attempts = static_cast<float>(static_cast<double>(SumOf(step.attempts)) / seconds),
          .p50 = static_cast<float>(QuantileOf(step.durations, 0.5)),
          .p99 = static_cast<float>(QuantileOf(step.durations, 0.99))};
}

double SecondsBetween(FlowHistory::Time from, FlowHistory::Time to) {
  return std::chrono::duration<double>(to - from).count();
}

// One value more for each name; those without one any more go.
template <class T>
void Append(std::map<std::string, std::deque<T>>& rows, const std::map<std::string, T>& values,
            std::size_t length, const T& none) {
  std::erase_if(rows, [&values](const auto& row) { return !values.contains(row.first); });
  for (const auto& [name, value] : values) {
    std::deque<T>& row = rows.try_emplace(name, length - 1, none).first->second;
    row.push_back(value);
    while (row.size() > length) row.pop_front();
  }
}

signed char NumberOf(std::string_view state) {
  if (state == "closed") return 0;
  return state == "half_open" ? 1 : 2;
}

}  // namespace

void FlowHistory::Add(const MetricsSnapshot& snapshot, std::span<const StackLayout> stacks,
                      std::span<const StackFlow> flows) {
  const Time time = snapshot.time();
  if (!times_.empty() && time < times_.back()) {
    // The clock was set back.
    times_.clear();
    points_.clear();
    breakers_.clear();
    past_.clear();
  }
  if (!times_.empty() && time - times_.back() < step_) return;
  times_.push_back(time);
  while (times_.size() > steps_) times_.pop_front();

  Past present = {.time = time, .flows = {}};
  std::map<std::string, FlowPoint> points;
  for (std::size_t i = 0; i < stacks.size(); ++i) {
    const std::string& name = stacks[i].name;
    FlowPoint point = kNoPoint;
    if (!past_.empty()) {
      const auto before = past_.back().flows.find(name);
      if (before != past_.back().flows.end()) {
        point =
            PointOf(FlowSince(flows[i], before->second), SecondsBetween(past_.back().time, time));
      }
    }
    points.emplace(name, point);
    present.flows.emplace(name, flows[i]);
  }
  Append(points_, points, times_.size(), kNoPoint);
  AddBreakers(snapshot);
  past_.push_back(std::move(present));
  while (past_.size() > 2 && time - past_[1].time >= kRecent) past_.pop_front();
}

void FlowHistory::AddBreakers(const MetricsSnapshot& snapshot) {
  std::map<std::string, signed char> states;
  if (const MetricFamily* const family = snapshot.Family("holdfast.breaker.state")) {
    for (const MetricSeries& series : family->series) {
      const double* const present = std::get_if<double>(&series.value);
      if (present == nullptr || *present == 0 || series.values.size() < 2) continue;
      states.emplace(series.values[0], NumberOf(series.values[1]));
    }
  }
  constexpr signed char kNotKnown = -1;
  Append(breakers_, states, times_.size(), kNotKnown);
}

FlowHistory::Recent FlowHistory::RecentOf(const std::string& name, const StackFlow& now,
                                          Time time) const {
  // The oldest of the last minute that knows the stack.
  for (const Past& past : past_) {
    const auto before = past.flows.find(name);
    if (before == past.flows.end()) continue;
    return {.flow = FlowSince(now, before->second), .seconds = SecondsBetween(past.time, time)};
  }
  return {.flow = now, .seconds = 0};
}

}  // namespace holdfast::internal
