#include "src/breaker/breaker_ramp.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace holdfast::internal {
namespace {

constexpr std::int64_t kWholeCall = 1'000'000'000;

}  // namespace

void BreakerRamp::Begin(const CircuitBreakerOptions& options, TimePoint now) {
  more_succeeded_ = 0;
  BeginStep(options, 0, now);
}

void BreakerRamp::BeginStep(const CircuitBreakerOptions& options, std::size_t step, TimePoint now) {
  step_ = step;
  share_ = std::max<std::int64_t>(std::llround(options.ramp[step] * kWholeCall), 1);
  credit_ = kWholeCall - share_;
  proven_ = false;
  step_ends_at_ = SaturatingAdd(now, options.ramp_step);
}

bool BreakerRamp::Admit() {
  credit_ += share_;
  if (credit_ < kWholeCall) return false;
  credit_ -= kWholeCall;
  return true;
}

bool BreakerRamp::Record(Outcome outcome) {
  switch (outcome) {
    case Outcome::kSuccess:
      proven_ = true;
      ++more_succeeded_;
      break;
    case Outcome::kFailure:
      --more_succeeded_;
      break;
    case Outcome::kIgnored:
      credit_ += kWholeCall;
      break;
  }
  return more_succeeded_ >= 0;
}

bool BreakerRamp::Climb(const CircuitBreakerOptions& options, TimePoint now) {
  if (now <= step_ends_at_ || !proven_) return false;
  if (step_ + 1 >= options.ramp.size()) return true;
  BeginStep(options, step_ + 1, now);
  return false;
}

Duration BreakerRamp::Length(const CircuitBreakerOptions& options) {
  return SaturatingMul(options.ramp_step, std::ssize(options.ramp));
}

}  // namespace holdfast::internal
