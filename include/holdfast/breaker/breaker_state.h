// The states and modes of a CircuitBreaker, and why it opened.
//
//   if (breaker->mode() == holdfast::BreakerMode::kForcedOpen) log("forced open");
//   log(ToString(breaker->state()));
#ifndef HOLDFAST_BREAKER_BREAKER_STATE_H_
#define HOLDFAST_BREAKER_BREAKER_STATE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "holdfast/base/time.h"
#include "holdfast/breaker/trip_rule.h"
#include "holdfast/call/outcome.h"

namespace holdfast {

// A breaker is also half-open while it recovers by a ramp (CircuitBreakerOptions::ramp).
enum class BreakerState { kClosed, kHalfOpen, kOpen };

// Whether the breaker decides, or the operator.
enum class BreakerMode {
  kAutomatic,     // the breaker decides
  kMetricsOnly,   // a dry run: the breaker decides, but admits every call. Calls that it would have
                  // rejected are not counted.
  kForcedOpen,    // open until the mode changes
  kForcedClosed,  // closed until the mode changes; calls are counted
};

// Lower-case names ("half-open", "metrics-only"); empty for a number that is not an enumerator.
std::string_view ToString(BreakerState state);
std::string_view ToString(BreakerMode mode);

// Why a breaker opened.
enum class TripCause {
  kRule,         // a rule or ready_to_trip said so
  kProbeFailed,  // a probe failed, or was slow
  kProbeHung,    // a probe did not end before its lease
  kRampFailed,   // more of the ramp's calls failed than succeeded
  kByHand,       // SetMode(kForcedOpen)
};

std::string_view ToString(TripCause cause);

// One opening of a breaker.
struct Trip {
  TripCause cause = TripCause::kRule;
  std::string rule = {};       // kRule: TripRule::name; else empty
  BreakerCounts counts = {};   // the counts that led to it
  TimePoint at = {};           // when the breaker opened
  std::uint64_t openings = 0;  // openings since it last closed, this one included, forced ones not
};

}  // namespace holdfast

#endif  // HOLDFAST_BREAKER_BREAKER_STATE_H_
