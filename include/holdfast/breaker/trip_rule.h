// A TripRule says when a closed CircuitBreaker opens.
//
//   holdfast::CircuitBreaker breaker({
//       .interval = 10s,
//       .bucket_period = 1s,
//       .rules = {holdfast::FailureRate(0.5, 20), holdfast::SlowCallRate(0.8, 20)},
//       .slow_call = 2s,
//   });
#ifndef HOLDFAST_BREAKER_TRIP_RULE_H_
#define HOLDFAST_BREAKER_TRIP_RULE_H_

#include <cstdint>
#include <functional>
#include <string>

namespace holdfast {

// What a breaker has counted since its present generation began, or in its window. The runs are of
// the outcomes just before now, that of failures whatever the window; ignored ones neither lengthen
// nor end one.
struct BreakerCounts {
  std::uint64_t requests = 0;  // admitted; their outcomes come later
  std::uint64_t successes = 0;
  std::uint64_t failures = 0;
  std::uint64_t ignored = 0;
  std::uint64_t consecutive_successes = 0;
  std::uint64_t consecutive_failures = 0;
  std::uint64_t slow = 0;  // successes and failures that took longer than slow_call, and `hung`
  // Calls that have been out for longer than slow_call, however long ago they began, since it
  // closed or began to recover by a ramp; known no later than SlowCallRate says. Counted only where
  // a rule needs slow_call. Once such a call ends it is no longer hung, and slow if it has
  // succeeded or failed.
  std::uint64_t hung = 0;

  // Of what has succeeded or failed: calls that are still out, and ignored ones, dilute nothing. 0
  // where there is none. The rate of slow calls is of those and the hung ones.
  std::uint64_t judged() const { return successes + failures; }
  double failure_rate() const { return Share(failures, judged()); }
  double slow_rate() const { return Share(slow, judged() + hung); }

  friend bool operator==(const BreakerCounts&, const BreakerCounts&) = default;

 private:
  static double Share(std::uint64_t part, std::uint64_t of) {
    return of == 0 ? 0 : static_cast<double>(part) / static_cast<double>(of);
  }
};

// A value. `tripped` is asked while the breaker is closed, or recovers by a ramp, and decides by
// itself: after each failure and each slow call, in the thread that reports it, and where a rule
// needs slow_call also once calls hang, in the thread that finds them. So it may be asked by
// several at once; outside of every lock. It may call back into the breaker; where it throws it has
// said no. There may be rules of your own: the name is what CircuitBreaker::last_trip() gives as
// the reason.
struct TripRule {
  std::string name;
  std::function<bool(const BreakerCounts&)> tripped;
  bool needs_slow_call = false;  // makes no sense unless the breaker's options say what is slow
};

// So many failures in a row; >= 1. They throw std::invalid_argument for what is out of range.
TripRule ConsecutiveFailures(std::uint64_t failures);

// At least this share of failures, in (0, 1], among at least `minimum_calls` that have succeeded or
// failed (resilience4j's failureRateThreshold and minimumNumberOfCalls). Give the breaker a window:
// among all calls since it closed, a share takes ever longer to change.
TripRule FailureRate(double share, std::uint64_t minimum_calls);

// At least this share, in (0, 1], of calls that took longer than CircuitBreaker::Options::slow_call
// or are out for longer, among at least `minimum_calls` that have succeeded or failed or are such.
// So calls that hang open the breaker before they come back, also if none ever does: found by
// whoever comes next (a call, an outcome, a question) once they have been out for twice slow_call
// or, if that is longer, slow_call and a bucket_period. Share a breaker by calls that take alike:
// what streams for an hour is slow for an hour.
TripRule SlowCallRate(double share, std::uint64_t minimum_calls);

}  // namespace holdfast

#endif  // HOLDFAST_BREAKER_TRIP_RULE_H_
