// A Distribution says how long something takes in a simulated world: a service time, a think time.
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

// A value. What makes one throws std::invalid_argument for durations that are negative or the wrong
// way round, and for a share outside of [0, 1].
class Distribution {
 public:
  static Distribution Constant(TimeSpan value);
  static Distribution Uniform(TimeSpan from, TimeSpan to);
  static Distribution Exponential(TimeSpan mean);
  static Distribution LogNormal(TimeSpan median, TimeSpan p99);  // 0 < median <= p99
  static Distribution Bimodal(TimeSpan usual, TimeSpan rare, double rare_share);

  Duration Sample(Random& random) const;
  // What is left, at a time that has nothing to do with it, of one that then is under way.
  Duration SampleRest(Random& random) const;
  Duration Mean() const;

 private:
  enum class Kind : std::uint8_t { kConstant, kUniform, kExponential, kLogNormal, kBimodal };

  Distribution(Kind kind, double a, double b, double c) : kind_(kind), a_(a), b_(b), c_(c) {}

  Kind kind_;
  double a_;  // nanoseconds: the value, the least, the mean, the median, the usual
  double b_;  // the most, the rare; of the logarithm: the standard deviation
  double c_;  // the share of the rare
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTING_DISTRIBUTION_H_
