#include "holdfast/testing/random.h"

#include <cmath>

namespace holdfast::testing {
namespace sim_internal {
namespace {

constexpr double kLn2 = 0.693147180559945309417;

}  // namespace

// ln(m 2^k) = k ln 2 + 2 artanh((m - 1) / (m + 1)), with m near 1.
double PortableLog(double x) {
  int exponent = 0;
  double m = std::frexp(x, &exponent);
  if (m < 0.70710678118654752) {
    m *= 2;
    --exponent;
  }
  const double z = (m - 1) / (m + 1);
  const double square = z * z;
  double sum = 0;
  for (int n = 21; n >= 1; n -= 2) sum = sum * square + 1.0 / n;
  return exponent * kLn2 + 2 * z * sum;
}

// e^x = 2^k e^r, with |r| <= ln 2 / 2.
double PortableExp(double x) {
  const double k = std::floor(x / kLn2 + 0.5);
  const double r = x - k * kLn2;
  double sum = 1;
  for (int n = 14; n >= 1; --n) sum = 1 + sum * r / n;
  return std::ldexp(sum, static_cast<int>(k));
}

}  // namespace sim_internal

double Random::Exponential() { return -sim_internal::PortableLog(1 - Uniform()); }

// The polar method (Marsaglia and Bray, SIAM Review 1964); its second number is not kept.
double Random::Normal() {
  for (;;) {
    const double x = 2 * Uniform() - 1;
    const double y = 2 * Uniform() - 1;
    const double square = x * x + y * y;
    if (square > 0 && square < 1)
      return x * std::sqrt(-2 * sim_internal::PortableLog(square) / square);
  }
}

}  // namespace holdfast::testing
