// Numbers of 128 bits: g++ and clang have them, ISO C++ does not.
#ifndef HOLDFAST_BASE_INTERNAL_INT128_H_
#define HOLDFAST_BASE_INTERNAL_INT128_H_

namespace holdfast::internal {

__extension__ using Int128 = __int128;
__extension__ using Uint128 = unsigned __int128;

// Rounded down, also where the quotient is negative; the divisor is positive.
constexpr Int128 FloorDiv(Int128 dividend, Int128 divisor) {
  return dividend / divisor - (dividend % divisor < 0 ? 1 : 0);
}

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_INT128_H_
