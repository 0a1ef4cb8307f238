#include "src/rate/token_axis.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "holdfast/rate/token_bucket.h"

namespace holdfast::internal {
namespace {

constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

// Aimed at where the rate can't be counted exactly; the power of two below may halve it, and a
// large burst at a slow rate leaves room for fewer.
constexpr double kUnitsPerNano = 32;

// A whole rate: units of a billionth of a token, as far as the burst leaves room for them, so that
// a token means as many at most of these rates.
TokenScale WholeScale(std::int64_t rate, std::int64_t burst) {
  const bool room = burst <= kMaxBurstUnits / kNanosPerSecond;
  const std::int64_t divisor = room ? 1 : std::gcd(rate, kNanosPerSecond);
  return {kNanosPerSecond / divisor, static_cast<std::uint64_t>(rate / divisor), 0};
}

// The whole number of nanoseconds of which Every makes this rate, the roundest if there are
// several; 0 for none up to `most`. A unit is a nanosecond then.
std::int64_t IntervalOf(double rate, std::int64_t most) {
  const double nanos = static_cast<double>(kNanosPerSecond) / rate;
  if (nanos > static_cast<double>(most)) return 0;
  for (const std::int64_t grain : {1'000'000'000, 1'000'000, 1'000, 1}) {
    const std::int64_t interval = std::llround(nanos / static_cast<double>(grain)) * grain;
    if (interval <= most && Every(Duration(interval)) == rate) return interval;
  }
  return 0;
}

// rate = mantissa * 2^exponent exactly. With 10^9 * 2^n units per token the division by 10^9 leaves
// no rest; where a bit is lost all the same, it comes to less than a unit within the horizon.
TokenScale FineScale(double rate, std::int64_t burst) {
  const double most = std::floor(static_cast<double>(kMaxBurstUnits) /
                                 static_cast<double>(std::max<std::int64_t>(burst, 1)));
  auto units_per_token = static_cast<std::int64_t>(
      std::clamp(std::floor(kUnitsPerNano * kNanosPerSecond / rate), 1.0, most));
  if (units_per_token > kNanosPerSecond) {
    const auto multiple = static_cast<std::uint64_t>(units_per_token / kNanosPerSecond);
    units_per_token = static_cast<std::int64_t>(std::bit_floor(multiple)) * kNanosPerSecond;
  }
  int exponent = 0;
  const auto mantissa = static_cast<std::uint64_t>(std::ldexp(std::frexp(rate, &exponent), 53));
  Uint128 product = Uint128{mantissa} * static_cast<std::uint64_t>(units_per_token);
  const int room = std::countl_zero(static_cast<std::uint64_t>(product >> 64)) - 2;
  const int fill = product >> 64 == 0 ? 62 : std::max(room, 0);
  product = (product << fill) / static_cast<std::uint64_t>(kNanosPerSecond);
  int shift = fill - (exponent - 53);
  const auto drop = [&](int bits) {
    product = bits < 128 ? product >> bits : 0;
    shift -= bits;
  };
  if (shift > 62) drop(shift - 62);
  while (product >> 62 != 0) drop(1);
  return {units_per_token, static_cast<std::uint64_t>(product), shift};
}

std::int64_t Units(Int128 product, std::int64_t divisor) {
  return static_cast<std::int64_t>(
      std::clamp<Int128>(FloorDiv(product, divisor), -kMaxDebtUnits, kMaxBurstUnits));
}

}  // namespace

TokenScale ScaleFor(double rate, std::int64_t burst) {
  const std::int64_t most = kMaxBurstUnits / std::max<std::int64_t>(burst, 1);
  if (rate == kInfiniteRate || rate == 0) {  // only what there is already is to be counted
    return {std::min(kNanosPerSecond, most), rate == 0 ? 0 : kInfiniteMultiplier, 0};
  }
  if (rate <= kNanosPerSecond && rate == std::floor(rate)) {
    const TokenScale scale = WholeScale(static_cast<std::int64_t>(rate), burst);
    if (scale.units_per_token <= most) return scale;
  }
  if (const std::int64_t interval = IntervalOf(rate, most)) return {interval, 1, 0};
  return FineScale(rate, burst);
}

TokenAxis AxisFor(double rate, std::int64_t burst, TimePoint begin) {
  const TokenScale scale = ScaleFor(rate, burst);
  // At most half of all time, so that an axis that began at TimePoint::min() is over when it is
  // first used.
  Uint128 horizon = static_cast<std::uint64_t>(Duration::max().count() / 2);
  if (scale.multiplier != 0 && scale.multiplier != kInfiniteMultiplier) {
    horizon = std::min(horizon, (Uint128{1} << (kHorizonBits + scale.shift)) / scale.multiplier);
  }
  return {.multiplier = scale.multiplier,
          .shift = scale.shift,
          .carry = 0,
          .begin = begin,
          .horizon = Duration(static_cast<Duration::rep>(horizon)),
          .units_per_token = scale.units_per_token,
          .burst = burst};
}

std::int64_t CarriedOver(std::int64_t balance, const TokenAxis& from, const TokenAxis& to,
                         TokenCarryOver carry_over) {
  if (carry_over == TokenCarryOver::kReset) return to.burst_units();
  // Any time at an infinite rate fills the bucket.
  if (from.infinite() && to.begin > from.begin) balance = from.burst_units();
  if (carry_over == TokenCarryOver::kProportional && balance > 0) {
    return Units(Int128{balance} * to.burst_units(), from.burst_units());
  }
  const std::int64_t kept = Units(Int128{balance} * to.units_per_token, from.units_per_token);
  const std::int64_t growth = std::max<std::int64_t>(to.burst - from.burst, 0);
  const std::int64_t added =
      carry_over == TokenCarryOver::kAdditive ? growth * to.units_per_token : 0;
  return std::min(kept + added, to.burst_units());
}

}  // namespace holdfast::internal
