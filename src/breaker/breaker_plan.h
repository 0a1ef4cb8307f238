// What a circuit breaker makes of its options, once for all calls.
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
    std::shared_ptr<const std::string> name;  // outlives the plan, as the reason of an opening
    std::function<bool(const BreakerCounts&)> tripped;
  };

  // Of valid options.
  explicit BreakerPlan(CircuitBreaker::Options given);

  // Whether what was counted for one is of use to the other.
  bool CountsAs(const BreakerPlan& other) const;

  // The first rule that says that it is time; null if none does. To be asked with nothing locked.
  const Rule* Tripped(const BreakerCounts& counts) const;

  CircuitBreaker::Options options;  // as they were given
  std::vector<Rule> rules;          // all of them
  bool judges_slow;  // a slow probe fails, and a call that is out for too long is slow
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_BREAKER_BREAKER_PLAN_H_
