// The fixed point in which a token bucket counts, and the axis of all that it ever generates.
#ifndef HOLDFAST_SRC_RATE_TOKEN_AXIS_H_
#define HOLDFAST_SRC_RATE_TOKEN_AXIS_H_

#include <algorithm>
#include <cstdint>

#include "holdfast/base/internal/int128.h"
#include "holdfast/base/time.h"

namespace holdfast {

enum class TokenCarryOver;

namespace internal {

// Bounds on positions, in units, such that differences are unambiguous on a circle of 2^63.
constexpr std::int64_t kMaxBurstUnits = std::int64_t{1} << 58;
constexpr std::int64_t kMaxDebtUnits = std::int64_t{1} << 59;
constexpr int kHorizonBits = 61;  // how far what is generated may go before positions start anew
// What is taken never reaches it within a horizon: there, a bucket is full.
constexpr std::int64_t kMaxPosition = std::int64_t{1} << 62;

constexpr std::uint64_t kInfiniteMultiplier = ~std::uint64_t{0};

// Units per token, and per nanosecond as multiplier / 2^shift; 0 <= shift <= 62, and the multiplier
// is less than 2^62 unless the rate is infinite.
struct TokenScale {
  std::int64_t units_per_token;
  std::uint64_t multiplier;
  int shift;
};

// The finest scale for a valid rate, in tokens per second, and burst: exact for whole rates up to
// 10^9 and nearly so for the others.
TokenScale ScaleFor(double rate, std::int64_t burst);

// What has been generated since `begin`, in units: a position for each time. It is computed from
// absolute time with a 128-bit product, so that no rate drifts.
struct TokenAxis {
  std::uint64_t multiplier;
  int shift;
  std::uint64_t carry;  // the fraction of a unit generated before `begin`
  TimePoint begin;
  Duration horizon;  // how long after its begin the axis may be used
  std::int64_t units_per_token;
  std::int64_t burst;  // tokens

  bool SameScale(const TokenAxis& other) const {
    return multiplier == other.multiplier && shift == other.shift &&
           units_per_token == other.units_per_token;
  }
  bool infinite() const { return multiplier == kInfiniteMultiplier; }
  bool Ends(TimePoint now) const { return SaturatingSub(now, begin) > horizon; }
  std::int64_t burst_units() const { return burst * units_per_token; }
  // Whether there can never be `n` tokens at once.
  bool Impossible(std::int64_t n) const { return n < 0 || (n > burst && !infinite()); }
  // Of n >= 0 tokens, as far as they can be counted.
  std::int64_t Units(std::int64_t n) const {
    return static_cast<std::int64_t>(std::min<Int128>(Int128{n} * units_per_token, kMaxDebtUnits));
  }

  std::int64_t Position(TimePoint now) const {
    if (infinite()) return 0;
    return static_cast<std::int64_t>(std::min<Uint128>(Refill(now) >> shift, kMaxPosition));
  }
  // Goes on to the fraction of a unit where `from` ends, if that counts in the same units.
  void Continue(const TokenAxis& from) {
    if (SameScale(from) && !from.infinite()) carry = from.Fraction(begin);
  }
  std::uint64_t Fraction(TimePoint now) const {
    return static_cast<std::uint64_t>(Refill(now) & ((Uint128{1} << shift) - 1));
  }
  // The most that can be lacking where a wait truncates to nothing.
  std::int64_t Early() const {
    if (multiplier == 0 || infinite()) return 0;
    return static_cast<std::int64_t>((multiplier - 1 + ((std::uint64_t{1} << shift) - 1)) >> shift);
  }
  // How long until `units` more are generated, truncated to whole nanoseconds; Duration::max() for
  // never.
  Duration TimeFor(std::int64_t units, TimePoint now) const {
    if (multiplier == 0) return Duration::max();
    const Uint128 missing = (Uint128{static_cast<std::uint64_t>(units)} << shift) - Fraction(now);
    const Uint128 nanos = missing / multiplier;
    constexpr auto kMost = static_cast<std::uint64_t>(Duration::max().count());
    return nanos > kMost ? Duration::max() : Duration(static_cast<Duration::rep>(nanos));
  }
  // When that is: `now` for a wait that truncates to nothing; TimePoint::max() for never.
  TimePoint ReadyAt(std::int64_t units, TimePoint now) const {
    if (units <= 0) return now;
    const Duration wait = TimeFor(units, now);
    if (wait == Duration::max()) return TimePoint::max();
    return wait == Duration::zero() ? now : SaturatingAdd(std::max(now, begin), wait);
  }

 private:
  // Times 2^shift.
  Uint128 Refill(TimePoint now) const {
    const Duration elapsed = std::max(SaturatingSub(now, begin), Duration::zero());
    return Uint128{multiplier} * static_cast<std::uint64_t>(elapsed.count()) + carry;
  }
};

// An axis that begins at `begin`.
TokenAxis AxisFor(double rate, std::int64_t burst, TimePoint begin);

// What `balance` units of `from` are when `to` begins, in its units.
std::int64_t CarriedOver(std::int64_t balance, const TokenAxis& from, const TokenAxis& to,
                         TokenCarryOver carry_over);

}  // namespace internal
}  // namespace holdfast

#endif  // HOLDFAST_SRC_RATE_TOKEN_AXIS_H_
