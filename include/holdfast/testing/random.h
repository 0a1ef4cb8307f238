// Random is the random number generator of a simulated world: a seed gives the same sequence on
// every machine.
//
//   holdfast::testing::Random random(42);
//   double share = random.Uniform();
#ifndef HOLDFAST_TESTING_RANDOM_H_
#define HOLDFAST_TESTING_RANDOM_H_

#include <cstdint>
#include <limits>

#include "holdfast/base/internal/int128.h"

namespace holdfast::testing {

// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014). It has eight bytes of state; every seed is good,
// and seeds that differ by one give independent sequences. It is a uniform random bit generator, so
// it converts to absl::BitGenRef. Not thread-safe.
class Random {
 public:
  using result_type = std::uint64_t;

  explicit Random(std::uint64_t seed) : state_(Mix(seed)) {}

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }
  result_type operator()() { return Mix(state_ += kGamma); }

  // Uniform in [0, 1).
  double Uniform() { return static_cast<double>((*this)() >> 11) * 0x1p-53; }

  // Uniform in [0, n), n > 0; the bias is less than n / 2^64.
  std::uint64_t Below(std::uint64_t n) {
    return static_cast<std::uint64_t>((internal::Uint128{(*this)()} * n) >> 64);
  }

  // Exponential with mean 1.
  double Exponential();

  // Normal with mean 0 and standard deviation 1.
  double Normal();

 private:
  static constexpr std::uint64_t kGamma = 0x9e37'79b9'7f4a'7c15;

  static constexpr std::uint64_t Mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
    return z ^ (z >> 31);
  }

  std::uint64_t state_;
};

namespace sim_internal {

// Equal std::log and std::exp to 1e-14, but use only additions, multiplications and divisions. The
// C library selects its versions by the processor, and those differ in the last bit.
double PortableLog(double x);  // x > 0, finite
double PortableExp(double x);  // |x| < 700

}  // namespace sim_internal
}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTING_RANDOM_H_
