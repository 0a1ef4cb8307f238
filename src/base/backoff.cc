#include "holdfast/base/backoff.h"

#include <absl/random/distributions.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/validate.h"

namespace holdfast {

absl::Status Validate(const Backoff::Options& options) {
  internal::OptionsChecker check("Backoff");
  check(options.initial >= Duration::zero(), "initial (or step) must be >= 0");
  check(options.max >= options.initial, "max must be >= initial (or step)");
  check(std::isfinite(options.multiplier) && options.multiplier >= 1,
        "multiplier must be finite and >= 1");
  return check.status();
}

Backoff::Backoff() : Backoff(Options{}, Duration::zero()) {}

Backoff Backoff::Exponential(Options options) {
  return {internal::Validated(options), Duration::zero()};
}

Backoff Backoff::Constant(TimeSpan delay) {
  return Exponential(
      {.initial = delay, .max = SaturatingMul(delay, 3), .multiplier = 1, .jitter = Jitter::kNone});
}

Backoff Backoff::Linear(TimeSpan step, TimeSpan max) {
  return {internal::Validated(
              Options{.initial = step, .max = max, .multiplier = 1, .jitter = Jitter::kNone}),
          step};
}

Backoff Backoff::Custom(std::function<TimeSpan(int)> delay, TimeSpan max) {
  if (delay == nullptr) {
    internal::ThrowIfInvalid(absl::InvalidArgumentError("Backoff: the function is null"));
  }
  Backoff backoff = Exponential({.initial = Duration::zero(), .max = max, .jitter = Jitter::kNone});
  backoff.custom_ = std::move(delay);
  return backoff;
}

Backoff Backoff::WithJitter(Jitter jitter) const {
  Backoff backoff = *this;
  backoff.options_.jitter = jitter;
  return backoff;
}

Duration Backoff::Clamp(double delay) const {
  // Also where it is infinite.
  if (!(delay < static_cast<double>(options_.max.count()))) return options_.max;
  return Duration(static_cast<Duration::rep>(delay));
}

Duration Backoff::Clamped(int retry) const {
  if (custom_ != nullptr)
    return std::clamp<Duration>(custom_(retry), Duration::zero(), options_.max);
  if (options_.initial == Duration::zero() && step_ == Duration::zero()) return Duration::zero();
  const double retries = retry - 1;
  return Clamp(static_cast<double>(options_.initial.count()) *
                   std::pow(options_.multiplier, retries) +
               static_cast<double>(step_.count()) * retries);
}

Duration Backoff::Delay(int retry, absl::BitGenRef gen) const {
  retry = std::max(retry, 1);
  const auto uniform = [&gen](Duration low, Duration high) {
    return Duration(absl::Uniform(absl::IntervalClosed, gen, low.count(), high.count()));
  };
  switch (options_.jitter) {
    case Jitter::kFull:
      return uniform(Duration::zero(), Clamped(retry));
    case Jitter::kEqual: {
      const Duration delay = Clamped(retry);
      return uniform(delay / 2, delay);
    }
    case Jitter::kDecorrelated: {
      const Duration first = Clamped(1);
      if (first == Duration::zero()) return first;
      return uniform(first, Clamp(static_cast<double>(first.count()) * std::pow(3.0, retry)));
    }
    case Jitter::kNone:
      break;
  }
  return Clamped(retry);
}

}  // namespace holdfast
