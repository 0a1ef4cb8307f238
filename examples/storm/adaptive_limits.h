// The scenario in which two of three servers go away, and adaptive limits follow.
//
//   storm::Scenario scenario = storm::AdaptiveLimits();
#ifndef HOLDFAST_EXAMPLES_STORM_ADAPTIVE_LIMITS_H_
#define HOLDFAST_EXAMPLES_STORM_ADAPTIVE_LIMITS_H_

#include "scenarios.h"

namespace storm {

Scenario AdaptiveLimits();

}  // namespace storm

#endif  // HOLDFAST_EXAMPLES_STORM_ADAPTIVE_LIMITS_H_
