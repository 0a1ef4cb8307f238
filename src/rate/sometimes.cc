#include "holdfast/rate/sometimes.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "holdfast/base/internal/validate.h"

namespace holdfast {

absl::Status Validate(const Sometimes::Options& options) {
  const auto refuse = [](const char* what, std::int64_t value) {
    return absl::InvalidArgumentError(
        absl::StrCat("Sometimes: ", what, " must be >= 0, not ", value));
  };
  if (options.first < 0) return refuse("first", options.first);
  if (options.every < 0) return refuse("every", options.every);
  if (options.interval < Duration::zero()) return refuse("interval", options.interval.count());
  return absl::OkStatus();
}

Sometimes::Sometimes(Options options)
    : first_(static_cast<std::uint64_t>(std::max<std::int64_t>(options.first, 1))),
      every_(static_cast<std::uint64_t>(options.every)),
      interval_(options.interval),
      clock_(internal::NullIfSteady(options.clock)) {
  internal::ThrowIfInvalid(Validate(options));
}

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
