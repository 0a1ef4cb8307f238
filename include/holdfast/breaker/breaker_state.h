// What a CircuitBreaker can be in, and why.
//
//   if (breaker->mode() == holdfast::BreakerMode::kForcedOpen) log("opened by hand");
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

// Half-open is also what it is while it recovers by a ramp.
enum class BreakerState { kClosed, kHalfOpen, kOpen };

// Who decides.
enum class BreakerMode {
  kAutomatic,     // the breaker
  kMetricsOnly,   // the breaker, but everybody is admitted: a dry run. Calls that it would have
                  // refused count for nothing, as if they had not been made.
  kForcedOpen,    // it is open until the mode is changed
  kForcedClosed,  // it is closed, and counts, until the mode is changed
};

// They are empty for a number that is no such value.
std::string_view ToString(BreakerState state);
std::string_view ToString(BreakerMode mode);

enum class TripCause {
  kRule,         // one of the rules, or ready_to_trip
  kProbeFailed,  // a probe failed
  kProbeHung,    // a probe did not come back while its lease lasted
  kRampFailed,   // of the calls that a ramp admitted more failed than succeeded
  kByHand,       // kForcedOpen
};

std::string_view ToString(TripCause cause);

// Why and when a breaker opened.
struct Trip {
  TripCause cause = TripCause::kRule;
  std::string rule = {};      // the name of the one that said so, with kRule
  BreakerCounts counts = {};  // what led to it
  TimePoint at = {};
  std::uint64_t openings = 0;  // how often it opened by itself since it was last closed
};

}  // namespace holdfast

#endif  // HOLDFAST_BREAKER_BREAKER_STATE_H_
