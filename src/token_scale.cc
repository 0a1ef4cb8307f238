#include "token_scale.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "holdfast/token_bucket.h"

namespace holdfast::internal {
namespace {

constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

// Aimed at where the rate can't be counted exactly; the power of two below may halve it, and a
// large burst at a slow rate leaves room for fewer.
constexpr double kUnitsPerNano = 32;

TokenScale ExactScale(std::int64_t rate) {
  const std::int64_t divisor = std::gcd(rate, kNanosPerSecond);
  return {kNanosPerSecond / divisor, static_cast<std::uint64_t>(rate / divisor), 0};
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

}  // namespace

TokenScale ScaleFor(double rate, std::int64_t burst) {
  if (rate == kInfiniteRate) return {1, kInfiniteMultiplier, 0};
  if (rate == 0) return {1, 0, 0};
  if (rate <= kNanosPerSecond && rate == std::floor(rate)) {
    const TokenScale scale = ExactScale(static_cast<std::int64_t>(rate));
    if (burst <= kMaxBurstUnits / scale.units_per_token) return scale;
  }
  return FineScale(rate, burst);
}

}  // namespace holdfast::internal
