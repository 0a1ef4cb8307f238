// The fixed point in which a token bucket counts.
#ifndef HOLDFAST_SRC_TOKEN_SCALE_H_
#define HOLDFAST_SRC_TOKEN_SCALE_H_

#include <cstdint>

namespace holdfast::internal {

__extension__ using Int128 = __int128;
__extension__ using Uint128 = unsigned __int128;

// Bounds on positions, in units, such that differences are unambiguous on a circle of 2^63.
constexpr std::int64_t kMaxBurstUnits = std::int64_t{1} << 58;
constexpr std::int64_t kMaxDebtUnits = std::int64_t{1} << 59;
constexpr int kHorizonBits = 61;  // how far what is generated may go before positions start anew

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

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_TOKEN_SCALE_H_
