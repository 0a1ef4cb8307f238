// Sometimes does something now and then: the first few times, every so many times, or once in a
// while. Made for logging what happens too often.
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

// A call of Do runs its function if one of these says so, as golang.org/x/time/rate's Sometimes
// does:
//   - it is the first call of all;
//   - it is one of the `first` calls;
//   - it is the first of each `every` calls;
//   - `interval` has passed since the last run.
// With no options that is once.
//
// Nothing is held while a function runs. So it may call Do again and take as long as it likes; runs
// may overlap; and who does not run it goes on without waiting for who does. A run counts from its
// beginning (in Go from its end, which nobody else can see before it has come), and it counts also
// if the function throws (in Go such a call did not happen). What is thrown passes through.
//
// Thread-safe and lock-free. Each number of a call is one thread's and each interval has one
// winner. A run that the numbers ask for begins a new interval; of threads that call at that moment
// another one may still win the old.
class Sometimes {
 public:
  struct Options {
    std::int64_t first = 0;  // calls; 0 says as much as 1
    std::int64_t every = 0;  // calls; 0: says nothing
    TimeSpan interval{0};    // 0: says nothing, and no clock is read
    Clock* clock = nullptr;  // of Do; must outlive this
  };

  // Throws std::invalid_argument with the text of Validate.
  explicit Sometimes(Options options);
  Sometimes(const Sometimes&) = delete;
  Sometimes& operator=(const Sometimes&) = delete;

  // True if it ran `f`.
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

  // Relaxed throughout: a number is handed out once by an addition, an interval is won once by a
  // compare-and-swap, and nothing but these two is agreed on. `last_` never falls, so an older
  // `now` wins nothing; and it is the first call's to set, so that nobody wins an interval before.
  static constexpr TimePoint kNeverRan = TimePoint::min();
  std::atomic<std::uint64_t> calls_{0};  // counted only as far as anybody wants to know
  std::atomic<TimePoint::rep> last_{kNeverRan.time_since_epoch().count()};

  const std::uint64_t first_;  // at least 1
  const std::uint64_t every_;
  const Duration interval_;
  Clock* const clock_;
};

absl::Status Validate(const Sometimes::Options& options);

}  // namespace holdfast

#endif  // HOLDFAST_RATE_SOMETIMES_H_
