// A TripRule decides when a closed CircuitBreaker opens, by the counts of its window.
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

// The counts of a breaker's window (CircuitBreakerOptions::interval, last_calls), or of its present
// generation if it has no window. The consecutive counts are runs: the outcomes since the last one
// of the other kind. The run of failures is not reset by a window. Ignored outcomes neither
// lengthen nor end a run.
struct BreakerCounts {
  std::uint64_t requests = 0;  // admitted calls, ended or not
  std::uint64_t successes = 0;
  std::uint64_t failures = 0;
  std::uint64_t ignored = 0;
  std::uint64_t consecutive_successes = 0;
  std::uint64_t consecutive_failures = 0;
  std::uint64_t slow = 0;  // successes and failures that took longer than slow_call, plus `hung`
  // Calls that have been running for longer than slow_call, whenever they began since the breaker
  // closed or began its ramp. SlowCallRate says how late they are found. Counted only if a rule
  // needs slow_call. When such a call ends, it no longer counts as hung; it counts as slow if it
  // has succeeded or failed.
  std::uint64_t hung = 0;

  // The calls that succeeded or failed. Ignored calls and calls that are running are not among
  // them, so they do not dilute the rates. A rate is 0 without such calls. slow_rate() is the share
  // of slow calls among those calls and the hung ones.
  std::uint64_t judged() const { return successes + failures; }
  double failure_rate() const { return Share(failures, judged()); }
  double slow_rate() const { return Share(slow, judged() + hung); }

  friend bool operator==(const BreakerCounts&, const BreakerCounts&) = default;

 private:
  static double Share(std::uint64_t part, std::uint64_t of) {
    return of == 0 ? 0 : static_cast<double>(part) / static_cast<double>(of);
  }
};

// A value. A program can write rules of its own.
//
// `tripped` returns true to open the breaker. The breaker calls it while it is closed or in a ramp,
// in kAutomatic and kMetricsOnly: after each failure and each slow call, in the thread that reports
// it; and, if a rule needs slow_call, when calls are found to hang, in the thread that finds them.
// It runs outside of every lock, perhaps in several threads at once, and may call back into the
// breaker. A rule that throws does not open the breaker.
struct TripRule {
  std::string name;  // the reason in CircuitBreaker::last_trip()
  std::function<bool(const BreakerCounts&)> tripped;
  bool needs_slow_call = false;  // if true, CircuitBreakerOptions::slow_call must be > 0
};

// The three functions throw std::invalid_argument for a number that is out of its range.

// Opens after `failures` consecutive failures; >= 1.
TripRule ConsecutiveFailures(std::uint64_t failures);

// Opens if at least `share`, in (0, 1], of at least `minimum_calls` calls that succeeded or failed
// have failed (resilience4j's failureRateThreshold and minimumNumberOfCalls). Give the breaker a
// window: among all calls since it closed, a share changes ever more slowly.
TripRule FailureRate(double share, std::uint64_t minimum_calls);

// Opens if at least `share`, in (0, 1], of at least `minimum_calls` calls were slow: they took
// longer than CircuitBreakerOptions::slow_call, or have been running for longer. The calls are
// those that succeeded, failed or hang (BreakerCounts::hung). So hanging calls open the breaker
// before they end, even if none ever ends: they are found by the first call, outcome or query that
// comes once they have been running for twice slow_call or, if that is longer, for slow_call plus
// bucket_period. Calls that share a breaker should take alike: a stream of an hour is slow for an
// hour.
TripRule SlowCallRate(double share, std::uint64_t minimum_calls);

}  // namespace holdfast

#endif  // HOLDFAST_BREAKER_TRIP_RULE_H_
