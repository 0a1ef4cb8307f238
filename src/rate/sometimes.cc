#include "holdfast/rate/sometimes.h"

#include <algorithm>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/validate.h"

namespace holdfast {

absl::Status Validate(const Sometimes::Options& options) {
  internal::OptionsChecker check("Sometimes");
  check(options.first >= 0, "first must be >= 0, not ", options.first);
  check(options.every >= 0, "every must be >= 0, not ", options.every);
  check(options.interval >= Duration::zero(), "interval must be >= 0, not ",
        options.interval.count());
  return check.status();
}

Sometimes::Sometimes(Options options)
    : first_(static_cast<std::uint64_t>(
          std::max<std::int64_t>(internal::Validated(options).first, 1))),
      every_(static_cast<std::uint64_t>(options.every)),
      interval_(options.interval),
      clock_(internal::NullIfSteady(options.clock)) {}

bool Sometimes::Due(TimePoint now) {
  if (interval_ == Duration::zero()) return DueByCount();
  now = std::max(now, kNeverRan + Duration(1));
  if (!DueByCount()) return DueByInterval(now);
  TimePoint::rep last = last_.load(std::memory_order_relaxed);
  const TimePoint::rep begun = now.time_since_epoch().count();
  while (last < begun && !last_.compare_exchange_weak(last, begun, std::memory_order_relaxed,
                                                      std::memory_order_relaxed)) {
  }
  return true;
}

bool Sometimes::DueByCount() {
  if (every_ == 0 && calls_.load(std::memory_order_relaxed) >= first_) return false;
  const std::uint64_t number = calls_.fetch_add(1, std::memory_order_relaxed);
  return number < first_ || (every_ > 0 && number % every_ == 0);
}

bool Sometimes::DueByInterval(TimePoint now) {
  TimePoint::rep last = last_.load(std::memory_order_relaxed);
  do {
    const TimePoint last_run{Duration(last)};
    if (last_run == kNeverRan || SaturatingSub(now, last_run) < interval_) return false;
  } while (!last_.compare_exchange_weak(last, now.time_since_epoch().count(),
                                        std::memory_order_relaxed, std::memory_order_relaxed));
  return true;
}

}  // namespace holdfast
