// The options of a CircuitBreaker: when it opens, for how long, and how it recovers.
//
//   holdfast::CircuitBreakerOptions options{
//       .name = "orders",
//       .max_requests = 3,
//       .timeout = 30s,
//       .rules = {holdfast::ConsecutiveFailures(10)},
//   };
//   holdfast::CircuitBreaker breaker(options);
#ifndef HOLDFAST_BREAKER_CIRCUIT_BREAKER_OPTIONS_H_
#define HOLDFAST_BREAKER_CIRCUIT_BREAKER_OPTIONS_H_

#include <absl/status/status.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/breaker/breaker_state.h"
#include "holdfast/breaker/trip_rule.h"
#include "holdfast/call/outcome.h"

namespace holdfast {

// Also called CircuitBreaker::Options.
struct CircuitBreakerOptions {
  // Appears in rejections and Describe(), and is passed to on_state_change. Default: none.
  std::string name = {};

  // Half-open: the number of probes admitted at once, and the number of successful probes that
  // close the breaker. >= 1; default 1.
  std::int64_t max_requests = 1;

  // The window: the calls that BreakerCounts covers while the breaker is closed. Default: all calls
  // since the breaker closed. consecutive_failures is not reset by a window.
  //
  // > 0: a fixed window. Counts reset every interval. Outcomes of calls that began before the reset
  // are ignored, so choose an interval longer than a call. >= 0; default 0: no window of time.
  TimeSpan interval{0};
  // > 0: a rolling window of buckets of this length instead of a fixed one. `interval`, which it
  // needs, is rounded up to whole buckets: at most CircuitBreaker::kMaxBuckets
  // (10,000), of 80 bytes each. An outcome counts
  // in the bucket in which its call began; if that bucket has left the window, it counts only in
  // the runs (consecutive_failures, consecutive_successes). >= 0; default 0: a fixed window.
  TimeSpan bucket_period{0};
  // > 0: the window is the last so many calls that succeeded or failed, instead of a window of
  // time. BreakerCounts::requests counts those calls and the calls that have not ended.
  // 0 to CircuitBreaker::kMaxLastCalls (100,000), of 8 bytes each; default 0: no such window.
  std::int64_t last_calls = 0;

  // How long the breaker stays open before it is half-open. Not a limit for a call. > 0; default
  // 60 s.
  TimeSpan timeout = std::chrono::seconds(60);
  // Returns how long opening number 1, 2, ... since the breaker last closed lasts: see
  // BackoffOpenTime (open_time.h). Called once for each opening. `timeout` applies until it has
  // returned, and if it throws. A result below 1 ns counts as 1 ns. Default null: `timeout`.
  std::function<TimeSpan(std::uint64_t openings)> open_time = {};
  // How long a probe may take from its admission. A probe that takes longer has failed, and the
  // breaker opens again. >= 0; default 0: `timeout` for Admit and Execute; in a stack, as long as
  // the deadline and the Timeouts below let the call take, or 1 minute if nothing bounds it, but at
  // least `timeout`. A lease shorter than a call opens the breaker of a healthy service.
  TimeSpan probe_lease{0};

  // Recovery in steps. After its probes the breaker stays half-open and admits these shares of the
  // calls, one after the other, before it closes. Each is in (0, 1]. A step lasts for `ramp_step`
  // and until one of its calls has succeeded. The breaker admits the first call of each step, and
  // one more for each admitted call that is ignored. The rules apply during the ramp; the breaker
  // also opens if more of the ramp's calls have failed than succeeded. Default empty: it closes at
  // once.
  std::vector<double> ramp = {};
  // > 0 if there is a ramp; default 10 s.
  TimeSpan ramp_step = std::chrono::seconds(10);

  // A rule of gobreaker's kind: the breaker opens when it returns true. Called as
  // TripRule::tripped is. Default null: no such rule.
  std::function<bool(const BreakerCounts&)> ready_to_trip = {};
  // The breaker opens when one of these or ready_to_trip says so. Default, if neither is given:
  // more than 5 consecutive failures.
  std::vector<TripRule> rules = {};
  // > 0: a call that takes longer from its admission counts as slow. If a rule needs slow_call
  // (SlowCallRate), a slow probe opens the breaker again, and calls that have been running for
  // longer count as well: see SlowCallRate. >= 0; default 0: no call is slow.
  TimeSpan slow_call{0};

  // Called once for each change of state, in order, outside of every lock. The calling thread is
  // the one that made the change or one that is still reporting an earlier change; either is a
  // caller's thread, so the function should be quick. Exceptions that it throws are dropped.
  // Default null: not called.
  std::function<void(std::string_view name, BreakerState from, BreakerState to)> on_state_change =
      {};
  // Classifies the status of a result. Called in as many threads as make calls. An exception that
  // it throws passes to the caller, and the call counts as ignored. Default null: OK is a success;
  // rejections (rejection.h) and kCancelled are ignored; any other status is a failure.
  std::function<Outcome(const absl::Status&)> classify = {};
  // The clock of the methods without the suffix At. It must outlive the breaker. Default null: the
  // clock of the stack that the breaker is in, or the steady clock.
  Clock* clock = nullptr;
};

// OK, or kInvalidArgument with a text that names the option that is out of its range.
absl::Status Validate(const CircuitBreakerOptions& options);

}  // namespace holdfast

#endif  // HOLDFAST_BREAKER_CIRCUIT_BREAKER_OPTIONS_H_
