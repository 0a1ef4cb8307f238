#include "holdfast/token_bucket.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>

#include "holdfast/internal/validate.h"
#include "token_scale.h"

namespace holdfast {
namespace {

using internal::Int128;
using internal::kInfiniteMultiplier;
using internal::kMaxBurstUnits;
using internal::kMaxDebtUnits;
using internal::Uint128;

constexpr double kMaxRate = 1e18;

std::int64_t Distance(std::uint64_t from, std::uint64_t to) {
  return static_cast<std::int64_t>(to - from) / 2;  // positions are doubled
}

std::int64_t FloorDiv(Int128 dividend, std::int64_t divisor) {
  const Int128 quotient = dividend / divisor;
  const Int128 floor = quotient - ((dividend % divisor != 0) && (dividend < 0) ? 1 : 0);
  return static_cast<std::int64_t>(std::clamp<Int128>(floor, -kMaxDebtUnits, kMaxBurstUnits));
}

}  // namespace

double Every(Duration interval) {
  if (interval <= Duration::zero()) return kInfiniteRate;
  return 1 / std::chrono::duration<double>(interval).count();
}

absl::Status Validate(const TokenBucket::Options& options) {
  if (std::isnan(options.rate) || options.rate < 0 ||
      (options.rate > kMaxRate && options.rate != kInfiniteRate)) {
    return absl::InvalidArgumentError(
        absl::StrCat("TokenBucket ", options.name,
                     ": rate must be in [0, 1e18] or kInfiniteRate, not ", options.rate));
  }
  if (options.burst < 0 || options.burst > TokenBucket::kMaxBurst) {
    return absl::InvalidArgumentError(absl::StrCat(
        "TokenBucket ", options.name, ": burst must be in [0, 2^50], not ", options.burst));
  }
  return absl::OkStatus();
}

struct TokenBucket::Axis {
  std::uint64_t multiplier;
  int shift;
  std::uint64_t carry;
  TimePoint begin;
  std::uint64_t epoch;
  std::uint64_t generated;
  std::int64_t units_per_token;
  std::int64_t burst;
  Duration horizon;

  bool infinite() const { return multiplier == kInfiniteMultiplier; }
  std::int64_t burst_units() const { return burst * units_per_token; }
  Duration Elapsed(TimePoint now) const {
    return std::clamp(SaturatingSub(now, begin), Duration::zero(), horizon);
  }
  // What there was to take from the epoch's begin to `now`, times 2^shift.
  Uint128 Refill(TimePoint now) const {
    return Uint128{multiplier} * static_cast<std::uint64_t>(Elapsed(now).count()) + carry;
  }
  std::uint64_t Generated(TimePoint now) const {
    return generated + 2 * static_cast<std::uint64_t>(Refill(now) >> shift);
  }
  std::uint64_t Fraction(TimePoint now) const {
    return static_cast<std::uint64_t>(Refill(now) & ((Uint128{1} << shift) - 1));
  }
  std::int64_t Available(TimePoint now, std::uint64_t word) const {
    const std::int64_t full = burst_units();
    if (!infinite()) return std::min(Distance(word, Generated(now)), full);
    return now > begin ? full : std::min(Distance(word, generated), full);
  }
  // How long until `debt` units more are generated, truncated.
  Duration TimeFor(std::int64_t debt, TimePoint now) const {
    const Uint128 missing = (Uint128{static_cast<std::uint64_t>(debt)} << shift) - Fraction(now);
    const Uint128 nanos = missing / multiplier;
    constexpr auto kMost = static_cast<std::uint64_t>(Duration::max().count());
    return nanos > kMost ? Duration::max() : Duration(static_cast<Duration::rep>(nanos));
  }
};

struct TokenBucket::Decision {
  TimePoint ready_at;  // TimePoint::max(): never
  std::uint64_t word;  // the state once it is granted
};

TokenBucket::TokenBucket(Options options)
    : rate_(options.rate),
      burst_(options.burst),
      name_(options.name),
      clock_(internal::NullIfSteady(options.clock)),
      refusals_(RejectionKind::kRateLimited, "RateLimit", options.name, "token") {
  internal::ThrowIfInvalid(Validate(options));
  // The first epoch began so long ago that the bucket is full, whatever clock the first `now` is
  // of.
  SetAxis(TimePoint::min(), options.rate, options.burst);
  spent_.store(0 - 2 * static_cast<std::uint64_t>(ReadAxis().burst_units()),
               std::memory_order_release);
}

std::uint64_t TokenBucket::Load(Axis& axis) const {
  for (;;) {
    const std::uint64_t word = spent_.load(std::memory_order_acquire);
    if ((word & kFrozen) != 0) {
      const std::lock_guard settled(mutex_);
      continue;
    }
    axis = ReadAxis();
    if (spent_.load(std::memory_order_acquire) == word) return word;
  }
}

TokenBucket::Axis TokenBucket::ReadAxis() const {
  return {.multiplier = multiplier_.load(std::memory_order_acquire),
          .shift = shift_.load(std::memory_order_acquire),
          .carry = carry_.load(std::memory_order_acquire),
          .begin = TimePoint(Duration(epoch_begin_.load(std::memory_order_acquire))),
          .epoch = epoch_.load(std::memory_order_acquire),
          .generated = generated_.load(std::memory_order_acquire),
          .units_per_token = units_per_token_.load(std::memory_order_acquire),
          .burst = burst_.load(std::memory_order_acquire),
          .horizon = Duration(horizon_.load(std::memory_order_acquire))};
}

TokenBucket::Decision TokenBucket::Decide(const Axis& axis, std::uint64_t word, TimePoint now,
                                          std::int64_t n) {
  if (n < 0) return {TimePoint::max(), word};
  if (axis.infinite()) return {now, word};
  if (n > axis.burst) return {TimePoint::max(), word};
  const std::uint64_t generated = axis.Generated(now);
  const std::int64_t left =
      std::min(Distance(word, generated), axis.burst_units()) - n * axis.units_per_token;
  const std::uint64_t next = generated - 2 * static_cast<std::uint64_t>(left);
  if (left >= 0) return {now, next};
  if (axis.multiplier == 0 || left < -kMaxDebtUnits) return {TimePoint::max(), word};
  const Duration wait = axis.TimeFor(-left, now);
  return {wait == Duration::zero() ? now : SaturatingAdd(std::max(now, axis.begin), wait), next};
}

// The same arithmetic as Decide's, without what only a wait needs. The fields may be of two epochs:
// then it comes to nonsense, without overflow, and the compare-and-swap fails.
bool TokenBucket::TryAllow(TimePoint now, std::int64_t n) {
  std::uint64_t word = spent_.load(std::memory_order_acquire);
  const std::uint64_t multiplier = multiplier_.load(std::memory_order_acquire);
  const TimePoint::rep now_count = now.time_since_epoch().count();
  const TimePoint::rep begin = epoch_begin_.load(std::memory_order_acquire);
  const auto elapsed = static_cast<std::uint64_t>(now_count) - static_cast<std::uint64_t>(begin);
  const std::int64_t burst = burst_.load(std::memory_order_acquire);
  const auto horizon = static_cast<std::uint64_t>(horizon_.load(std::memory_order_acquire));
  if ((word & kFrozen) != 0 || multiplier == kInfiniteMultiplier || now_count < begin ||
      elapsed > horizon || n < 0 || n > burst) {
    return false;
  }
  const auto units = static_cast<std::uint64_t>(units_per_token_.load(std::memory_order_acquire));
  const Uint128 refill = Uint128{multiplier} * elapsed + carry_.load(std::memory_order_acquire);
  const std::uint64_t generated =
      generated_.load(std::memory_order_acquire) +
      2 * static_cast<std::uint64_t>(refill >> shift_.load(std::memory_order_acquire));
  const auto full = static_cast<std::int64_t>(static_cast<std::uint64_t>(burst) * units);
  const std::uint64_t left = static_cast<std::uint64_t>(std::min(Distance(word, generated), full)) -
                             static_cast<std::uint64_t>(n) * units;
  return static_cast<std::int64_t>(left) >= 0 &&
         spent_.compare_exchange_strong(word, generated - 2 * left, std::memory_order_acq_rel,
                                        std::memory_order_relaxed);
}

Reservation TokenBucket::ReserveAt(TimePoint now, std::int64_t n, Duration max_wait) {
  Reservation reservation;
  Axis axis;
  for (;;) {
    std::uint64_t word = Load(axis);
    if (SaturatingSub(now, axis.begin) > axis.horizon) {
      const std::lock_guard lock(mutex_);
      Settle(now, rate(), burst());
      continue;
    }
    const Decision decision = Decide(axis, word, now, n);
    const bool granted =
        decision.ready_at != TimePoint::max() && SaturatingSub(decision.ready_at, now) <= max_wait;
    const bool settled =
        granted && decision.word != word
            ? spent_.compare_exchange_weak(word, decision.word, std::memory_order_acq_rel,
                                           std::memory_order_relaxed)
            : spent_.load(std::memory_order_acquire) == word;
    if (!settled) continue;
    reservation.ready_at_ = decision.ready_at;
    if (granted) {
      reservation.bucket_ = this;
      reservation.number_ = reservations_.fetch_add(1, std::memory_order_relaxed);
      reservation.tokens_ = axis.infinite() ? 0 : n;
      reservation.end_ = decision.word;
      reservation.epoch_ = axis.epoch;
    }
    return reservation;
  }
}

double TokenBucket::TokensAt(TimePoint now) const {
  Axis axis;
  for (;;) {
    const std::uint64_t word = Load(axis);
    const auto available = static_cast<double>(axis.Available(now, word));
    if (spent_.load(std::memory_order_acquire) == word) {
      return available / static_cast<double>(axis.units_per_token);
    }
  }
}

absl::Status TokenBucket::Wait(std::int64_t n, const WaitOptions& options) {
  if (n < 0 || (n > burst() && rate() != kInfiniteRate)) return refusals_.impossible;
  if (options.stop.stop_requested()) return refusals_.cancelled;
  const TimePoint now = Now();
  Reservation reservation = ReserveAt(now, n, SaturatingSub(options.deadline, now));
  if (!reservation.ok()) {
    return reservation.too_late_at() == TimePoint::max() ? refusals_.exhausted : refusals_.deadline;
  }
  if (reservation.ready_at() <= now) return absl::OkStatus();
  if (internal::SleepUntil(clock_, reservation.ready_at(), options.stop)) return absl::OkStatus();
  reservation.Cancel();
  return refusals_.cancelled;
}

void TokenBucket::SetRateAt(TimePoint now, double rate) {
  const std::lock_guard lock(mutex_);
  internal::ThrowIfInvalid(Validate(Options{.rate = rate, .burst = burst(), .name = name_}));
  Settle(now, rate, burst());
}

void TokenBucket::SetBurstAt(TimePoint now, std::int64_t burst) {
  const std::lock_guard lock(mutex_);
  internal::ThrowIfInvalid(Validate(Options{.rate = rate(), .burst = burst, .name = name_}));
  Settle(now, rate(), burst);
}

// Begins a new epoch at `now` (not before the present one), with the tokens that there are then.
void TokenBucket::Settle(TimePoint now, double new_rate, std::int64_t new_burst) {
  const std::uint64_t frozen = spent_.fetch_or(kFrozen, std::memory_order_acq_rel) | kFrozen;
  const std::uint64_t word = frozen - kFrozen;
  const Axis old = ReadAxis();
  now = std::max(now, old.begin);
  const bool unchanged = new_rate == rate() && new_burst == burst();
  const bool within = SaturatingSub(now, old.begin) <= old.horizon;
  const std::uint64_t fraction = unchanged && within && !old.infinite() ? old.Fraction(now) : 0;
  const std::int64_t available = old.Available(now, word);

  SetAxis(now, new_rate, new_burst);
  carry_.store(fraction, std::memory_order_release);
  const Axis axis = ReadAxis();
  const std::int64_t kept = std::min(
      FloorDiv(Int128{available} * axis.units_per_token, old.units_per_token), axis.burst_units());
  // Every word of the new epoch lies beyond what the burst can take back, hence beyond `used`.
  const std::uint64_t used = Distance(high_water_, word) > 0 ? word : high_water_;
  const std::uint64_t generated = used + 2 * (static_cast<std::uint64_t>(axis.burst_units()) + 1);
  generated_.store(generated, std::memory_order_release);
  high_water_ = generated - 2 * static_cast<std::uint64_t>(kept);
  spent_.store(high_water_, std::memory_order_release);
}

void TokenBucket::SetAxis(TimePoint begin, double new_rate, std::int64_t new_burst) {
  const internal::TokenScale scale = internal::ScaleFor(new_rate, new_burst);
  // At most half of all time, so that the first epoch is always over when the bucket is first used.
  Uint128 horizon = static_cast<std::uint64_t>(Duration::max().count() / 2);
  if (scale.multiplier != 0 && scale.multiplier != kInfiniteMultiplier) {
    horizon = std::min(horizon,
                       (Uint128{1} << (internal::kHorizonBits + scale.shift)) / scale.multiplier);
  }
  multiplier_.store(scale.multiplier, std::memory_order_release);
  shift_.store(scale.shift, std::memory_order_release);
  epoch_begin_.store(begin.time_since_epoch().count(), std::memory_order_release);
  epoch_.store(epoch_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  units_per_token_.store(scale.units_per_token, std::memory_order_release);
  horizon_.store(static_cast<Duration::rep>(horizon), std::memory_order_release);
  rate_.store(new_rate, std::memory_order_release);
  burst_.store(new_burst, std::memory_order_release);
}

void TokenBucket::Cancel(const Reservation& reservation, TimePoint now) {
  if (reservation.tokens_ == 0) return;
  const std::lock_guard lock(mutex_);
  // Who has forgotten a cancellation because its time had passed must not go back to before it.
  if (std::max(now, last_cancel_) > reservation.ready_at_) return;
  last_cancel_ = std::max(now, last_cancel_);
  while (!cancelled_.empty() && cancelled_.begin()->first < last_cancel_) {
    cancelled_.erase(cancelled_.begin());
  }
  if (!cancelled_.insert({reservation.ready_at_, reservation.number_}).second) return;
  const Axis axis = ReadAxis();
  if (axis.infinite()) return;
  std::uint64_t word = spent_.load(std::memory_order_acquire);
  for (;;) {
    const std::uint64_t end =
        reservation.epoch_ == axis.epoch ? reservation.end_ : axis.Generated(reservation.ready_at_);
    const std::int64_t later = std::max<std::int64_t>(Distance(end, word), 0);
    const std::int64_t taken_back = std::min(reservation.tokens_ * axis.units_per_token - later,
                                             axis.burst_units() - axis.Available(now, word));
    if (taken_back <= 0) return;
    if (Distance(high_water_, word) > 0) high_water_ = word;
    if (spent_.compare_exchange_weak(word, word - 2 * static_cast<std::uint64_t>(taken_back),
                                     std::memory_order_acq_rel, std::memory_order_acquire)) {
      return;
    }
  }
}

Duration Reservation::Delay() const { return ok() ? DelayFrom(bucket_->Now()) : Duration::max(); }

Duration Reservation::DelayFrom(TimePoint now) const {
  return ok() ? std::max(SaturatingSub(ready_at_, now), Duration::zero()) : Duration::max();
}

void Reservation::Cancel() {
  if (ok()) CancelAt(bucket_->Now());
}

void Reservation::CancelAt(TimePoint now) {
  if (ok()) bucket_->Cancel(*this, now);
}

}  // namespace holdfast
