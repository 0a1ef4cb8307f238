#include "holdfast/testing/distribution.h"

#include <absl/status/status.h>

#include <cmath>

#include "holdfast/base/internal/validate.h"

namespace holdfast::testing {
namespace {

// Of the standard normal distribution at 0.99.
constexpr double kNormal99 = 2.3263478740408408;

double Count(Duration d) { return static_cast<double>(d.count()); }

Duration Nanoseconds(double count) {
  if (count >= Count(Duration::max())) return Duration::max();
  return Duration(static_cast<Duration::rep>(count));
}

void Require(bool valid, const char* what) {
  if (!valid) internal::ThrowIfInvalid(absl::InvalidArgumentError(what));
}

}  // namespace

Distribution Distribution::Constant(TimeSpan value) {
  Require(value >= Duration::zero(), "Distribution: a constant must be >= 0");
  return {Kind::kConstant, Count(value), 0, 0};
}

Distribution Distribution::Uniform(TimeSpan from, TimeSpan to) {
  Require(Duration::zero() <= from && from <= to, "Distribution: 0 <= from <= to must hold");
  return {Kind::kUniform, Count(from), Count(to), 0};
}

Distribution Distribution::Exponential(TimeSpan mean) {
  Require(mean >= Duration::zero(), "Distribution: a mean must be >= 0");
  return {Kind::kExponential, Count(mean), 0, 0};
}

Distribution Distribution::LogNormal(TimeSpan median, TimeSpan p99) {
  Require(Duration::zero() < median && median <= p99, "Distribution: 0 < median <= p99 must hold");
  const double sigma = sim_internal::PortableLog(Count(p99) / Count(median)) / kNormal99;
  return {Kind::kLogNormal, Count(median), sigma, 0};
}

Distribution Distribution::Bimodal(TimeSpan usual, TimeSpan rare, double rare_share) {
  Require(usual >= Duration::zero() && rare >= Duration::zero(),
          "Distribution: durations must be >= 0");
  Require(rare_share >= 0 && rare_share <= 1, "Distribution: a share must be in [0, 1]");
  return {Kind::kBimodal, Count(usual), Count(rare), rare_share};
}

Duration Distribution::Sample(Random& random) const {
  switch (kind_) {
    case Kind::kUniform:
      return Nanoseconds(a_ + (b_ - a_) * random.Uniform());
    case Kind::kExponential:
      return Nanoseconds(a_ * random.Exponential());
    case Kind::kLogNormal:
      return Nanoseconds(a_ * sim_internal::PortableExp(b_ * random.Normal()));
    case Kind::kBimodal:
      return Nanoseconds(random.Uniform() < c_ ? b_ : a_);
    case Kind::kConstant:
      break;
  }
  return Nanoseconds(a_);
}

// A random part of one that was picked with a probability in proportion to its length.
Duration Distribution::SampleRest(Random& random) const {
  const double part = random.Uniform();
  switch (kind_) {
    case Kind::kUniform:
      return Nanoseconds(part * std::sqrt(a_ * a_ + (b_ * b_ - a_ * a_) * random.Uniform()));
    case Kind::kExponential:
      return Sample(random);
    case Kind::kLogNormal:
      return Nanoseconds(part * a_ * sim_internal::PortableExp(b_ * (random.Normal() + b_)));
    case Kind::kBimodal: {
      const double rare = b_ * c_;
      const double all = a_ * (1 - c_) + rare;
      return Nanoseconds(part * (random.Uniform() * all < rare ? b_ : a_));
    }
    case Kind::kConstant:
      break;
  }
  return Nanoseconds(part * a_);
}

Duration Distribution::Mean() const {
  switch (kind_) {
    case Kind::kUniform:
      return Nanoseconds((a_ + b_) / 2);
    case Kind::kLogNormal:
      return Nanoseconds(a_ * sim_internal::PortableExp(b_ * b_ / 2));
    case Kind::kBimodal:
      return Nanoseconds(a_ + (b_ - a_) * c_);
    case Kind::kConstant:
    case Kind::kExponential:
      break;
  }
  return Nanoseconds(a_);
}

}  // namespace holdfast::testing
