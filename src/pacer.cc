#include "holdfast/pacer.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>

#include "holdfast/internal/validate.h"

namespace holdfast {
namespace {

__extension__ using Int128 = __int128;

constexpr double kNanosPerSecond = 1e9;
constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max();

// The time, in nanoseconds, whose units say how long one is. One second has a whole number of them
// at a whole rate; for the other rates it is 2^33 seconds, which is as much as fits a word.
constexpr int kSpanBits = 33;
constexpr Int128 kSpan = Int128{1'000'000'000} << kSpanBits;

std::int64_t FloorDiv(Int128 dividend, Int128 divisor) {
  Int128 floor = dividend / divisor;
  if (floor * divisor > dividend) --floor;
  return static_cast<std::int64_t>(std::min<Int128>(floor, kForever));
}

struct Scale {
  std::int64_t interval;
  std::int64_t span_units;
};

Scale ScaleFor(double rate) {
  const double nanos = kNanosPerSecond / rate;
  if (nanos >= 0x1p63) return {kForever, static_cast<std::int64_t>(kSpan)};
  // As near to whole nanoseconds as a rate comes that was made from them: those are meant.
  const double whole = std::round(nanos);
  if (std::abs(nanos - whole) <= nanos * 0x1p-51) {
    return {static_cast<std::int64_t>(whole), static_cast<std::int64_t>(kSpan)};
  }
  // rate = mantissa * 2^exponent exactly, and rate * interval units a second.
  int exponent = 0;
  const auto mantissa = static_cast<std::int64_t>(std::ldexp(std::frexp(rate, &exponent), 53));
  const auto interval = static_cast<std::int64_t>(nanos);
  const Int128 product = Int128{mantissa} * interval;
  const int shift = exponent - 53 + kSpanBits;
  const Int128 span_units = shift < 0 ? product >> -shift : product << shift;
  return {interval, static_cast<std::int64_t>(span_units)};
}

}  // namespace

absl::Status Validate(const Pacer::Options& options) {
  const bool finite = options.rate > 0 && options.rate <= Pacer::kMaxRate;
  if (!finite && options.rate != kInfiniteRate) {
    return absl::InvalidArgumentError(absl::StrCat(
        "Pacer ", options.name, ": rate must be in (0, 1e9] or kInfiniteRate, not ", options.rate));
  }
  if (options.slack < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("Pacer ", options.name, ": slack must be >= 0, not ", options.slack));
  }
  return absl::OkStatus();
}

Pacer::Pacer(Options options)
    : rate_(options.rate),
      slack_(options.slack),
      name_(options.name),
      clock_(options.clock),
      refusals_(RejectionKind::kRateLimited, "Pace", options.name, "place") {
  internal::ThrowIfInvalid(Validate(options));
  if (rate_ == kInfiniteRate) return;
  const Scale scale = ScaleFor(rate_);
  interval_ = scale.interval;
  span_units_ = scale.span_units;
}

std::int64_t Pacer::UnitsAt(TimePoint now) const {
  return -FloorDiv(-Int128{now.time_since_epoch().count()} * span_units_, kSpan);
}

TimePoint Pacer::TimeOf(std::int64_t units) const {
  return TimePoint(Duration(FloorDiv(units * kSpan, span_units_)));
}

Pacer::Place Pacer::Claim(TimePoint now, Duration max_wait) {
  if (interval_ == 0) return {.taken = true, .ready_at = now, .before = kUnused, .after = kUnused};
  const std::int64_t here = UnitsAt(now);
  std::int64_t next = next_.load(std::memory_order_relaxed);
  for (;;) {
    const TimePoint ready_at = next < here ? now : TimeOf(next);
    if (ready_at == TimePoint::max() || SaturatingSub(ready_at, now) > max_wait) {
      return {.taken = false, .ready_at = ready_at, .before = next, .after = next};
    }
    const Int128 kept = next == kUnused ? 0 : Int128{slack_} * interval_;
    const Int128 place = std::max<Int128>(next, here - kept);
    const auto after = static_cast<std::int64_t>(std::min<Int128>(place + interval_, kForever));
    if (next_.compare_exchange_weak(next, after, std::memory_order_relaxed,
                                    std::memory_order_relaxed)) {
      return {.taken = true, .ready_at = ready_at, .before = next, .after = after};
    }
  }
}

std::optional<TimePoint> Pacer::TryTakeAt(TimePoint now, TimeSpan max_wait) {
  const Place place = Claim(now, max_wait);
  return place.taken ? std::optional(place.ready_at) : std::nullopt;
}

absl::Status Pacer::Take(const WaitOptions& options) {
  if (options.stop.stop_requested()) return refusals_.cancelled;
  const TimePoint now = clock_.Now();
  const Place place = Claim(now, SaturatingSub(options.deadline, now));
  if (!place.taken) {
    return place.ready_at == TimePoint::max() ? refusals_.exhausted : refusals_.deadline;
  }
  if (place.ready_at <= now) return absl::OkStatus();
  if (internal::SleepUntil(clock_.get(), place.ready_at, options.stop)) return absl::OkStatus();
  GiveBack(place);
  return refusals_.cancelled;
}

void Pacer::GiveBack(const Place& place) {
  std::int64_t expected = place.after;
  next_.compare_exchange_strong(expected, place.before, std::memory_order_relaxed,
                                std::memory_order_relaxed);
}

}  // namespace holdfast
