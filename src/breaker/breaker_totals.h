// What a circuit breaker has counted since it was made.
#ifndef HOLDFAST_SRC_BREAKER_BREAKER_TOTALS_H_
#define HOLDFAST_SRC_BREAKER_BREAKER_TOTALS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "holdfast/breaker/breaker_state.h"
#include "holdfast/breaker/internal/breaker_lane.h"

namespace holdfast::internal {

// A change of state and its cause.
enum class BreakerTransition {
  kOpenedByRule,  // this and the next four in the order of TripCause
  kOpenedByFailedProbe,
  kOpenedByHungProbe,
  kOpenedByFailedRamp,
  kOpenedByHand,
  kOpenedByRestore,
  kHalfOpenedByTime,
  kHalfOpenedByHand,
  kHalfOpenedByRestore,
  kClosedByProbes,
  kClosedByRamp,
  kClosedByHand,
  kClosedByRestore,
};
static_assert(static_cast<int>(BreakerTransition::kOpenedByHand) ==
              static_cast<int>(TripCause::kByHand));
inline constexpr std::size_t kTransitions = 13;

// As metrics and events name them, by BreakerTransition.
struct TransitionName {
  std::string_view state;
  std::string_view cause;
};
inline constexpr std::array<TransitionName, kTransitions> kTransitionNames = {{
    {"open", "rule"},
    {"open", "probe_failed"},
    {"open", "probe_hung"},
    {"open", "ramp_failed"},
    {"open", "by_hand"},
    {"open", "restored"},
    {"half_open", "open_time"},
    {"half_open", "by_hand"},
    {"half_open", "restored"},
    {"closed", "probes"},
    {"closed", "ramp"},
    {"closed", "by_hand"},
    {"closed", "restored"},
}};

// Counts that only grow.
struct BreakerTotals {
  using Transitions = std::array<std::uint64_t, kTransitions>;  // by BreakerTransition

  BreakerLane::Totals calls = {};  // of it, `refused` counts refusals while open
  std::uint64_t no_place = 0;      // refusals while half-open
  Transitions transitions = {};

  void Add(const BreakerTotals& other) {
    for (std::size_t i = 0; i < calls.outcomes.size(); ++i) {
      calls.outcomes[i] += other.calls.outcomes[i];
    }
    calls.slow += other.calls.slow;
    calls.refused += other.calls.refused;
    no_place += other.no_place;
    for (std::size_t i = 0; i < transitions.size(); ++i) transitions[i] += other.transitions[i];
  }
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_BREAKER_BREAKER_TOTALS_H_
