#include "holdfast/rate/pacer.h"

#include <absl/base/attributes.h>

#include <algorithm>
#include <cmath>

#include "holdfast/base/internal/int128.h"
#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/validate.h"
#include "src/rate/in_time.h"

namespace holdfast {
namespace {

using internal::FloorDiv;
using internal::Int128;

constexpr double kNanosPerSecond = 1e9;
constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max();

// The time, in nanoseconds, whose units say how long one is. One second has a whole number of them
// at a whole rate; for the other rates it is 2^33 seconds, which is as much as fits a word.
constexpr int kSpanBits = 33;
constexpr Int128 kSpan = Int128{1'000'000'000} << kSpanBits;

std::int64_t Quotient(Int128 dividend, Int128 divisor) {
  return static_cast<std::int64_t>(std::min<Int128>(FloorDiv(dividend, divisor), kForever));
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
  internal::OptionsChecker check("Pacer", options.name);
  check(options.rate != 0,
        "rate is missing: set it to events per second, or to kInfiniteRate for no pacing");
  check((options.rate > 0 && options.rate <= Pacer::kMaxRate) || options.rate == kInfiniteRate,
        "rate must be in (0, 1e9] events per second or kInfiniteRate, not ", options.rate);
  check(options.slack >= 0, "slack must be >= 0, not ", options.slack);
  return check.status();
}

Pacer::Row::Row(const Options& options, std::uint64_t row_number)
    : rate(options.rate), slack(options.slack), number(row_number) {
  const Scale scale =
      rate == kInfiniteRate ? Scale{0, static_cast<std::int64_t>(kSpan)} : ScaleFor(rate);
  interval = scale.interval;
  span_units = scale.span_units;
}

// Before anybody else finds it.
Pacer::Row::Row(Row&& other) noexcept
    : rate(other.rate),
      slack(other.slack),
      number(other.number),
      interval(other.interval),
      span_units(other.span_units),
      fresh(other.fresh),
      last(other.last.load(std::memory_order_relaxed)) {}

void Pacer::Row::Begin(const Row& before, std::int64_t place) const {
  std::int64_t here = kUnused;
  if (place != kUnused) {  // rounded up
    const Int128 units = -FloorDiv(-Int128{place} * span_units, before.span_units);
    here = static_cast<std::int64_t>(std::min<Int128>(units, kClosed - 1));
  }
  const bool none_since = place == before.fresh || before.interval == 0;
  fresh = none_since ? here : kUnused;
  last.store(here, std::memory_order_relaxed);
}

std::int64_t Pacer::Row::UnitsAt(TimePoint now) const {
  return -Quotient(-Int128{now.time_since_epoch().count()} * span_units, kSpan);
}

TimePoint Pacer::Row::TimeOf(std::int64_t units) const {
  return TimePoint(Duration(Quotient(units * kSpan, span_units)));
}

std::int64_t Pacer::Row::After(std::int64_t place) const {
  if (place == kUnused) return kUnused;
  return place > kForever - interval ? kForever : place + interval;
}

double Pacer::Row::Slots(TimePoint now, std::int64_t place) const {
  if (interval == 0) return most();
  if (place == kUnused) return 1;
  const Int128 units = Int128{UnitsAt(now)} - place;
  return std::min(static_cast<double>(units) / static_cast<double>(interval),
                  place == fresh ? 1 : most());
}

Pacer::Pacer(Options options)
    : rows_(Row(internal::Validated(options), 0)),
      name_(options.name),
      clock_(options.clock),
      refusals_(internal::Refusals(RejectionKind::kRateLimited, "Pace", options.name, "slot")) {}

Pacer::Place Pacer::Claim(TimePoint now, Duration max_wait) {
  const auto row = rows_.Read();
  Place place{
      .taken = true, .ready_at = now, .row = row->number, .before = kUnused, .after = kUnused};
  if (row->interval == 0) return place;
  const std::int64_t here = row->UnitsAt(now);
  std::int64_t before = row->last.load(std::memory_order_relaxed);
  while (before != kClosed) {
    const std::int64_t next = row->After(before);
    const TimePoint ready_at = next < here ? now : row->TimeOf(next);
    place.ready_at = ready_at;
    place.before = before;
    if (!internal::InTime(ready_at, now, max_wait)) {
      place.taken = false;
      return place;
    }
    const Int128 kept = before == row->fresh ? 0 : Int128{row->slack} * row->interval;
    place.after = static_cast<std::int64_t>(std::max<Int128>(next, here - kept));
    if (row->last.compare_exchange_weak(before, place.after, std::memory_order_relaxed,
                                        std::memory_order_relaxed)) {
      return place;
    }
  }
  place = ClaimInNextRow(now, max_wait);
  return place;
}

// Once it is there.
ABSL_ATTRIBUTE_NOINLINE Pacer::Place Pacer::ClaimInNextRow(TimePoint now, Duration max_wait) {
  {
    const std::lock_guard wait(mutex_);
  }
  return Claim(now, max_wait);
}

std::optional<TimePoint> Pacer::TryTakeAt(TimePoint now, TimeSpan max_wait) {
  const Place place = Claim(now, max_wait);
  if (!place.taken) refusals_.Count(refusals_.exhausted);
  return place.taken ? std::optional(place.ready_at) : std::nullopt;
}

absl::Status Pacer::Take(const WaitOptions& options) {
  if (options.stop.stop_requested()) return refusals_.Count(refusals_.cancelled);
  const TimePoint now = clock_.Now();
  const Place place = Claim(now, SaturatingSub(options.deadline, now));
  if (!place.taken) {
    const bool never = place.ready_at == TimePoint::max();
    return refusals_.Count(never ? refusals_.exhausted : refusals_.deadline);
  }
  if (place.ready_at <= now) return absl::OkStatus();
  if (internal::SleepUntil(clock_.get(), place.ready_at, options.stop)) return absl::OkStatus();
  GiveBack(place);
  return refusals_.Count(refusals_.cancelled);
}

void Pacer::GiveBack(const Place& place) {
  const auto row = rows_.Read();
  if (row->number != place.row || row->interval == 0) return;
  std::int64_t expected = place.after;
  row->last.compare_exchange_strong(expected, place.before, std::memory_order_relaxed,
                                    std::memory_order_relaxed);
}

double Pacer::SlotsAt(TimePoint now) const {
  for (;;) {
    const auto row = rows_.Read();
    const std::int64_t place = row->last.load(std::memory_order_relaxed);
    if (place != kClosed) return row->Slots(now, place);
    const std::lock_guard wait(mutex_);  // until the next row is there
  }
}

Pacer::Options Pacer::options() const {
  const auto row = rows_.Read();
  return {.rate = row->rate, .slack = row->slack, .name = name_, .clock = clock_.given()};
}

absl::StatusOr<internal::Commit> Pacer::PrepareUpdate(Options options) {
  if (absl::Status status = internal::KeepNameAndValidate("Pacer", name_, clock_.given(), options);
      !status.ok()) {
    return status;
  }
  const std::uint64_t number = numbers_.fetch_add(1, std::memory_order_relaxed);
  return [this, next = internal::Versions<Row>::Make(Row(options, number))]() mutable {
    Continue(std::move(next));
  };
}

void Pacer::Continue(internal::Versions<Row>::Next next) {
  const std::lock_guard lock(mutex_);
  const auto row = rows_.Read();
  if (row->rate == next->value.rate && row->slack == next->value.slack) return;
  next->value.Begin(*row, row->last.exchange(kClosed, std::memory_order_relaxed));
  rows_.Replace(std::move(next));
}

}  // namespace holdfast
