// What a circuit breaker counts, generation by generation.
#ifndef HOLDFAST_SRC_BREAKER_BREAKER_TALLY_H_
#define HOLDFAST_SRC_BREAKER_BREAKER_TALLY_H_

#include <cstdint>
#include <optional>

#include "holdfast/base/time.h"
#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/breaker/trip_rule.h"
#include "src/breaker/breaker_window.h"

namespace holdfast::internal {

// Counts in whatever window the options ask for. Eras are the breaker lane's. Of a fixed window it
// knows nothing: the next one is a new generation.
class BreakerTally {
 public:
  explicit BreakerTally(const CircuitBreaker::Options& options);

  bool rolling() const { return rolling_.has_value(); }  // by more than one bucket

  // Begins a generation.
  void Clear(TimePoint now, std::uint64_t era);

  // Of failures, from the generation before.
  void ContinueRun(std::uint64_t failures) { totals_.consecutive_failures = failures; }

  // The era that `now` belongs to, and that one's last moment: of a rolling window the period, of
  // any other the generation.
  std::uint64_t EraAt(TimePoint now) const;
  TimePoint end() const { return rolling_ ? rolling_->end() : TimePoint::max(); }
  void Roll(std::uint64_t era);

  // Calls admitted in `era`, and those of them that succeeded in time.
  void Admit(std::uint64_t era, std::uint64_t calls);
  void Succeed(std::uint64_t era, std::uint64_t calls);
  // How a call ended that was admitted in `era`. If that is no longer in the window, it counts in
  // the run only.
  void Record(std::uint64_t era, Outcome outcome, bool slow);

  BreakerCounts Counts();
  // Of the generation, but for what has left a rolling window.
  const BreakerCounts& totals() const { return totals_; }

 private:
  void Add(std::uint64_t era, const BreakerCounts& what);
  void LengthenRun(Outcome outcome, std::uint64_t calls);

  BreakerCounts totals_;
  std::uint64_t first_era_ = 0;
  std::optional<RollingWindow> rolling_;
  std::optional<LastCalls> last_calls_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_BREAKER_BREAKER_TALLY_H_
