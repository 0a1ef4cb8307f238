// The counts of a circuit breaker's present generation.
#ifndef HOLDFAST_SRC_BREAKER_BREAKER_TALLY_H_
#define HOLDFAST_SRC_BREAKER_BREAKER_TALLY_H_

#include <cstdint>
#include <optional>

#include "holdfast/base/time.h"
#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/breaker/trip_rule.h"
#include "src/breaker/breaker_window.h"

namespace holdfast::internal {

// Model. totals_ holds what was counted in the present generation and is still in its window. How
// calls leave the window depends on its kind:
//
//   none, or fixed   never. The machine begins a new generation (Clear) for each fixed window.
//   rolling          by era: RollingWindow keeps the counts of each bucket, which is one era of the
//                    breaker lane, and subtracts them from totals_ when the era leaves the window.
//   last calls       by number: LastCalls remembers which of the last calls failed or were slow,
//                    and Counts() derives the counts of the window from totals_.
//
// The runs (consecutive_successes, consecutive_failures) are in no window: an outcome whose era has
// left the window still lengthens or ends them. Eras are those of breaker_machine.h. Not
// thread-safe; the breaker's mutex guards it.
class BreakerTally {
 public:
  explicit BreakerTally(const CircuitBreaker::Options& options);

  bool rolling() const { return rolling_.has_value(); }  // a window of more than one bucket

  // Begins a generation.
  void Clear(TimePoint now, std::uint64_t era);

  // Continues the generation before's run of failures.
  void ContinueRun(std::uint64_t failures) { totals_.consecutive_failures = failures; }

  // The era of `now`, and the last moment of the present era. In a rolling window an era is a
  // bucket, else the generation. Roll goes on to a later era.
  std::uint64_t EraAt(TimePoint now) const;
  TimePoint end() const { return rolling_ ? rolling_->end() : TimePoint::max(); }
  void Roll(std::uint64_t era);

  // Adds calls that were admitted in `era`, or quick successes of such calls.
  void Admit(std::uint64_t era, std::uint64_t calls);
  void Succeed(std::uint64_t era, std::uint64_t calls);
  // Adds the outcome of a call that was admitted in `era`. If the era has left the window, it
  // counts in the runs only.
  void Record(std::uint64_t era, Outcome outcome, bool slow);

  BreakerCounts Counts();  // of the window
  // What Counts() would return after calls were admitted, and quick successes of calls of the
  // window were added.
  BreakerCounts CountsWith(std::uint64_t admitted, std::uint64_t succeeded) const;
  // Of the generation, without what has left a rolling window.
  const BreakerCounts& totals() const { return totals_; }

 private:
  void Add(std::uint64_t era, const BreakerCounts& what);
  static void LengthenRun(BreakerCounts& counts, Outcome outcome, std::uint64_t calls);

  BreakerCounts totals_;
  std::uint64_t first_era_ = 0;
  std::optional<RollingWindow> rolling_;
  std::optional<LastCalls> last_calls_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_BREAKER_BREAKER_TALLY_H_
