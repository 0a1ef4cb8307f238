// The options of a circuit breaker, prepared once for all calls.
#ifndef HOLDFAST_SRC_BREAKER_BREAKER_PLAN_H_
#define HOLDFAST_SRC_BREAKER_BREAKER_PLAN_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/breaker/trip_rule.h"

namespace holdfast::internal {

struct BreakerPlan {
  struct Rule {
    std::shared_ptr<const std::string> name;  // outlives the plan in CircuitBreaker::last_trip
    std::function<bool(const BreakerCounts&)> tripped;
  };

  // The options must be valid.
  explicit BreakerPlan(CircuitBreaker::Options given);

  // Whether the counts of one plan are valid for the other.
  bool CountsAs(const BreakerPlan& other) const;

  // The first rule that says to open; null if none does. Calls the user's functions, so the caller
  // must hold no lock.
  const Rule* Tripped(const BreakerCounts& counts) const;

  CircuitBreaker::Options options;  // as given
  std::vector<Rule> rules;          // those of `rules`, ready_to_trip, or the default rule
  bool judges_slow;  // a rule needs slow_call: a slow probe opens, and calls that hang are counted
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_BREAKER_BREAKER_PLAN_H_
