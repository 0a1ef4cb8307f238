// What stacks and breakers did in the last minutes, in steps.
#ifndef HOLDFAST_SRC_METRICS_HTTP_FLOW_HISTORY_H_
#define HOLDFAST_SRC_METRICS_HTTP_FLOW_HISTORY_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "holdfast/base/time.h"
#include "src/metrics_http/stack_flow.h"

namespace holdfast::internal {

// Of one step; NaN where it is not known.
struct FlowPoint {
  float calls;     // per second, that ended
  float lost;      // of these, that were no success
  float attempts;  // per second
  float p50;       // seconds, of the calls
  float p99;
};

// Used by one thread. Keeps so many points for each stack and each breaker that is there, and what
// the stacks had counted in the last minute.
class FlowHistory {
 public:
  using Time = std::chrono::system_clock::time_point;

  static constexpr std::size_t kSteps = 150;
  static constexpr std::chrono::seconds kRecent{60};

  // `step`: samples that are less than that apart are left out. `steps`: 2 to kSteps.
  explicit FlowHistory(Duration step, std::size_t steps = kSteps)
      : step_(step), steps_(std::clamp<std::size_t>(steps, 2, kSteps)) {}

  // A sample, at the snapshot's time. `flows` are those of `stacks`.
  void Add(const MetricsSnapshot& snapshot, std::span<const StackLayout> stacks,
           std::span<const StackFlow> flows);

  // When each step ended, the oldest first.
  const std::deque<Time>& times() const { return times_; }
  // A point for each of them.
  const std::map<std::string, std::deque<FlowPoint>>& stacks() const { return points_; }
  // The state of each breaker then: 0 closed, 1 half-open, 2 open, -1 not known.
  const std::map<std::string, std::deque<signed char>>& breakers() const { return breakers_; }

  struct Recent {
    StackFlow flow;
    double seconds = 0;  // in which it was
  };
  // Of the stack `name`, which has counted `now` at that time: what it did in the last minute, or
  // since it is known.
  Recent RecentOf(const std::string& name, const StackFlow& now, Time time) const;

 private:
  struct Past {
    Time time;
    std::map<std::string, StackFlow> flows;
  };

  void AddBreakers(const MetricsSnapshot& snapshot);

  const Duration step_;
  const std::size_t steps_;
  std::deque<Time> times_;
  std::map<std::string, std::deque<FlowPoint>> points_;
  std::map<std::string, std::deque<signed char>> breakers_;
  // The samples of the last minute, and the last one before it.
  std::deque<Past> past_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_HTTP_FLOW_HISTORY_H_
