#include "src/breaker/breaker_plan.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace holdfast::internal {

BreakerPlan::BreakerPlan(CircuitBreaker::Options given)
    : options(std::move(given)),
      judges_slow(std::ranges::any_of(options.rules, &TripRule::needs_slow_call)) {
  const auto add = [this](TripRule rule) {
    rules.push_back({.name = std::make_shared<const std::string>(std::move(rule.name)),
                     .tripped = std::move(rule.tripped)});
  };
  for (const TripRule& rule : options.rules) add(rule);
  if (options.ready_to_trip != nullptr) {
    add({.name = "ready_to_trip", .tripped = options.ready_to_trip});
  }
  if (rules.empty()) add(ConsecutiveFailures(6));
}

bool BreakerPlan::CountsAs(const BreakerPlan& other) const {
  const auto shape = [](const BreakerPlan& plan) {
    const CircuitBreaker::Options& o = plan.options;
    return std::tuple(o.interval, o.bucket_period, o.last_calls, o.slow_call, plan.judges_slow);
  };
  return shape(*this) == shape(other);
}

const BreakerPlan::Rule* BreakerPlan::Tripped(const BreakerCounts& counts) const {
  for (const Rule& rule : rules) {
    try {
      if (rule.tripped(counts)) return &rule;
    } catch (...) {  // NOLINT(bugprone-empty-catch): it does not open
    }
  }
  return nullptr;
}

}  // namespace holdfast::internal
