// Time: monotonic nanoseconds, read from a Clock that a test can replace.
//
//   holdfast::TokenBucket bucket({.rate = 10, .burst = 5, .clock = &fake_clock});
//
// Wherever a Clock* is taken, null means SteadyClock().
#ifndef HOLDFAST_BASE_TIME_H_
#define HOLDFAST_BASE_TIME_H_

#include <chrono>
#include <ratio>
#include <stop_token>
#include <type_traits>

#include "holdfast/base/internal/int128.h"
#include "holdfast/base/stop_token.h"

namespace holdfast {

class Parker;

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

// The type of durations in options and parameters; elsewhere use Duration. Any
// std::chrono::duration converts to it, limited to the range of Duration: hours::max() becomes
// Duration::max(), where std::chrono's own conversion to nanoseconds would overflow. Fractions of a
// nanosecond are truncated. NaN becomes Duration::min(), which every option refuses.
class TimeSpan : public Duration {
 public:
  constexpr TimeSpan() : Duration(zero()) {}
  constexpr explicit TimeSpan(rep nanoseconds) : Duration(nanoseconds) {}
  template <class Rep, class Period>
  constexpr TimeSpan(const std::chrono::duration<Rep, Period>& d)  // NOLINT: that is its purpose
      : Duration(Saturated(d)) {}

 private:
  template <class Rep, class Period>
  static constexpr Duration Saturated(const std::chrono::duration<Rep, Period>& d) {
    using Nanoseconds = std::ratio_divide<Period, std::nano>;
    if constexpr (std::is_same_v<std::chrono::duration<Rep, Period>, Duration>) {
      return d;
    } else if constexpr (std::is_integral_v<Rep>) {
      const internal::Int128 count =
          internal::Int128{d.count()} * Nanoseconds::num / Nanoseconds::den;
      if (count > max().count()) return max();
      return count < min().count() ? min() : Duration(static_cast<rep>(count));
    } else {
      const auto count = static_cast<double>(d.count()) *
                         (static_cast<double>(Nanoseconds::num) / Nanoseconds::den);
      if (count >= 0x1p63) return max();
      return count > -0x1p63 ? Duration(static_cast<rep>(count)) : min();
    }
  }
};

// t + d, limited to the range of TimePoint instead of overflowing.
constexpr TimePoint SaturatingAdd(TimePoint t, TimeSpan d) {
  Duration::rep sum = 0;
  if (!__builtin_add_overflow(t.time_since_epoch().count(), d.count(), &sum)) {
    return TimePoint(Duration(sum));
  }
  return d.count() > 0 ? TimePoint::max() : TimePoint::min();
}

// The same for the sum of two durations.
constexpr Duration SaturatingAdd(TimeSpan a, TimeSpan b) {
  return SaturatingAdd(TimePoint(a), b).time_since_epoch();
}

// a - b, limited to the range of Duration.
constexpr Duration SaturatingSub(TimePoint a, TimePoint b) {
  Duration::rep difference = 0;
  if (!__builtin_sub_overflow(a.time_since_epoch().count(), b.time_since_epoch().count(),
                              &difference)) {
    return Duration(difference);
  }
  return a > b ? Duration::max() : Duration::min();
}

// d * n, limited likewise.
constexpr Duration SaturatingMul(TimeSpan d, Duration::rep n) {
  Duration::rep product = 0;
  if (!__builtin_mul_overflow(d.count(), n, &product)) return Duration(product);
  return (d.count() > 0) == (n > 0) ? Duration::max() : Duration::min();
}

// A source of time, and the way in which a thread waits for a time. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;

  // Returns the time, which must be within 146 years of the epoch, half the range of TimePoint, so
  // that the difference of two times does not overflow. Deadlines may be any TimePoint.
  virtual TimePoint Now() const = 0;

  // Blocks until Now() >= until or until `parker` is woken, whichever comes first; it may return
  // early. TimePoint::max() means until woken.
  virtual void WaitUntil(TimePoint until, Parker& parker) = 0;

  // The same where another thread of the program is working and will wake `parker`. The difference
  // matters to a fake clock, which does not jump to the end of such a wait.
  virtual void WaitUntilWokenByPeer(TimePoint until, Parker& parker) { WaitUntil(until, parker); }
};

// std::chrono::steady_clock; never null, never destroyed.
Clock* SteadyClock();

// How long a blocking method of a policy object may wait, and what may interrupt it.
struct WaitOptions {
  TimePoint deadline = TimePoint::max();
  StopToken stop = {};
};

namespace internal {

// The clock to read for `clock`: steady_clock's own function where no other was asked for, so that
// the usual case makes no virtual call.
inline TimePoint ReadClock(const Clock* clock) {
  return clock == nullptr ? std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now())
                          : clock->Now();
}

// Null for the steady clock, for ReadClock.
inline Clock* NullIfSteady(Clock* clock) { return clock == SteadyClock() ? nullptr : clock; }

// Sleeps on `clock` (null: steady) until `until` or a stop request; false where it was stopped.
bool SleepUntil(Clock* clock, TimePoint until, const std::stop_token& stop);

}  // namespace internal
}  // namespace holdfast

#endif  // HOLDFAST_BASE_TIME_H_
