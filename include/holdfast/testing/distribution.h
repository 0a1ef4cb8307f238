// A Distribution of durations in a simulated world: service times, think times.
//
//   auto service = holdfast::testing::Distribution::Exponential(10ms);
//   auto spread = holdfast::testing::Distribution::LogNormal(20ms, 150ms);      // median, p99
//   auto cache = holdfast::testing::Distribution::Bimodal(1ms, 50ms, 0.1);      // a tenth misses
#ifndef HOLDFAST_TESTING_DISTRIBUTION_H_
#define HOLDFAST_TESTING_DISTRIBUTION_H_

#include <cstdint>

#include "holdfast/base/time.h"
#include "holdfast/testing/random.h"

namespace holdfast::testing {

// A value. The functions that make one throw std::invalid_argument if a duration is negative, if a
// range is reversed, or if a share is outside [0, 1].
class Distribution {
 public:
  static Distribution Constant(TimeSpan value);
  static Distribution Uniform(TimeSpan from, TimeSpan to);
  static Distribution Exponential(TimeSpan mean);
  static Distribution LogNormal(TimeSpan median, TimeSpan p99);  // 0 < median <= p99
  static Distribution Bimodal(TimeSpan usual, TimeSpan rare, double rare_share);

  Duration Sample(Random& random) const;
  // The time left of a duration that is in progress at an independent time (residual life).
  Duration SampleRest(Random& random) const;
  Duration Mean() const;

 private:
  enum class Kind : std::uint8_t { kConstant, kUniform, kExponential, kLogNormal, kBimodal };

  Distribution(Kind kind, double a, double b, double c) : kind_(kind), a_(a), b_(b), c_(c) {}

  Kind kind_;
  double a_;  // ns: the value, minimum, mean, median or usual value
  double b_;  // ns: the maximum or rare value; or the standard deviation of the logarithm
  double c_;  // the share of the rare value
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTING_DISTRIBUTION_H_
