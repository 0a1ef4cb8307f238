// How a circuit breaker admits ever more calls before it closes.
#ifndef HOLDFAST_SRC_BREAKER_BREAKER_RAMP_H_
#define HOLDFAST_SRC_BREAKER_BREAKER_RAMP_H_

#include <cstddef>
#include <cstdint>

#include "holdfast/base/time.h"
#include "holdfast/breaker/circuit_breaker_options.h"
#include "holdfast/call/outcome.h"

namespace holdfast::internal {

// A ramp has steps, CircuitBreakerOptions::ramp. A step admits its share of the calls, as evenly as
// possible: each call adds the share to a credit, and a call is admitted when the credit is a whole
// call. The credit begins so that the first call of a step is admitted, and an admitted call that
// is ignored gives its whole call back, so that it does not keep the step from being proven.
//
// A step ends when `ramp_step` has passed and one of its calls has succeeded. The next step begins
// with the first Advance after that, so no step is passed over while no call comes. The ramp has
// failed when more of its calls have failed than succeeded, over all steps.
//
// The options are passed each time, because they can change while a ramp is under way: the next
// step then is the new options'.
class BreakerRamp {
 public:
  void Begin(const CircuitBreakerOptions& options, TimePoint now);

  // Whether the next call is admitted.
  bool Admit();

  // Records the outcome of an admitted call; false if the ramp has failed.
  bool Record(Outcome outcome);

  // Begins the next step if the present one is over; true if it was the last.
  bool Climb(const CircuitBreakerOptions& options, TimePoint now);

  // How long all steps take if each has a success in time.
  static Duration Length(const CircuitBreakerOptions& options);

 private:
  void BeginStep(const CircuitBreakerOptions& options, std::size_t step, TimePoint now);

  std::size_t step_ = 0;
  TimePoint step_ends_at_;           // not before this time, inclusive
  std::int64_t share_ = 0;           // of the calls in this step, in billionths
  std::int64_t credit_ = 0;          // of a call, in billionths
  bool proven_ = false;              // a call of this step has succeeded
  std::int64_t more_succeeded_ = 0;  // successes less failures, of all steps
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_BREAKER_BREAKER_RAMP_H_
