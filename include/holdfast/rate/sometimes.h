// Sometimes runs a function only now and then: for the first few calls, for every n-th call, or
// once per interval. Its main use is to sample log messages that would come too often.
//
//   static holdfast::Sometimes sometimes({.first = 3, .interval = 10s});
//   sometimes.Do([&] { log("failed: ", result.status()); });
#ifndef HOLDFAST_RATE_SOMETIMES_H_
#define HOLDFAST_RATE_SOMETIMES_H_

#include <absl/status/status.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

#include "holdfast/base/time.h"

namespace holdfast {

// A call of Do runs its function if one of these holds, as in golang.org/x/time/rate's Sometimes:
//   - it is the first call of all;
//   - it is one of the first `first` calls;
//   - it is the first of each `every` calls;
//   - `interval` has passed since the last run.
// With no options that is once.
//
// No lock is held while a function runs: it may call Do again and take as long as it likes; runs
// may overlap; and a call that does not run its function never waits for one that does. A run
// counts from its start (in Go from its end, which other threads cannot see before it has come),
// and it counts also if the function throws (in Go such a call did not happen). What it throws
// passes to the caller.
//
// Thread-safe and lock-free. Each call number belongs to one thread and each interval to one run. A
// run due by its number starts a new interval; another thread that calls at the same moment may
// still take the old one.
class Sometimes {
 public:
  struct Options {
    std::int64_t first = 0;  // calls, >= 0; 0 means as much as 1
    std::int64_t every = 0;  // calls, >= 0; 0: none by number
    TimeSpan interval{0};    // >= 0; 0: none by time, and no clock is read
    Clock* clock = nullptr;  // read by Do; null: SteadyClock(). Must outlive this
  };

  // Throws std::invalid_argument with the text of Validate.
  explicit Sometimes(Options options);
  Sometimes(const Sometimes&) = delete;
  Sometimes& operator=(const Sometimes&) = delete;

  // Returns whether it ran `f`.
  template <class F>
  bool Do(F&& f) {
    return DoAt(interval_ > Duration::zero() ? internal::ReadClock(clock_) : TimePoint{},
                std::forward<F>(f));
  }
  template <class F>
  bool DoAt(TimePoint now, F&& f) {
    if (!Due(now)) return false;
    std::invoke(std::forward<F>(f));
    return true;
  }

 private:
  bool Due(TimePoint now);
  bool DueByCount();
  bool DueByInterval(TimePoint now);

  // Every operation is relaxed: an addition hands out each number once, a compare-and-swap gives
  // each interval to one call, and threads agree on nothing else. `last_` never falls, so an older
  // `now` wins nothing; only the first call of all sets it from kNeverRan, so no interval ends
  // before it.
  static constexpr TimePoint kNeverRan = TimePoint::min();
  std::atomic<std::uint64_t> calls_{0};  // counted only as far as `first` and `every` need it
  std::atomic<TimePoint::rep> last_{kNeverRan.time_since_epoch().count()};

  const std::uint64_t first_;  // at least 1
  const std::uint64_t every_;
  const Duration interval_;
  Clock* const clock_;
};

absl::Status Validate(const Sometimes::Options& options);

}  // namespace holdfast

#endif  // HOLDFAST_RATE_SOMETIMES_H_
