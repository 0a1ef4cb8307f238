#include "holdfast/backoff.h"

#include <absl/random/distributions.h>

#include <algorithm>
#include <cmath>

#include "holdfast/internal/validate.h"

namespace holdfast {

absl::Status Validate(const Backoff::Options& options) {
  if (options.initial < Duration::zero()) {
    return absl::InvalidArgumentError("Backoff: initial (or step) must be >= 0");
  }
  if (options.max < options.initial) {
    return absl::InvalidArgumentError("Backoff: max must be >= initial (or step)");
  }
  if (!std::isfinite(options.multiplier) || options.multiplier < 1) {
    return absl::InvalidArgumentError("Backoff: multiplier must be finite and >= 1");
  }
  return absl::OkStatus();
}

Backoff::Backoff() : Backoff(Options{}, Duration::zero()) {}

Backoff Backoff::Exponential(Options options) {
  return {internal::Validated(options), Duration::zero()};
}

Backoff Backoff::Constant(Duration delay) { return Linear(delay, delay); }

Backoff Backoff::Linear(Duration step, Duration max) {
  return {internal::Validated(
              Options{.initial = step, .max = max, .multiplier = 1, .jitter = Jitter::kNone}),
          step};
}

Duration Backoff::Clamped(int retry, double multiplier) const {
  const double retries = retry - 1;
  const auto initial = static_cast<double>(options_.initial.count());
  const double delay =
      initial * std::pow(multiplier, retries) + static_cast<double>(step_.count()) * retries;
  // Also where `delay` is infinite, or not a number because infinity was multiplied by zero.
  if (!(delay < static_cast<double>(options_.max.count()))) {
    return options_.initial == Duration::zero() ? Duration::zero() : options_.max;
  }
  return Duration(static_cast<Duration::rep>(delay));
}

Duration Backoff::Delay(int retry, absl::BitGenRef gen) const {
  retry = std::max(retry, 1);
  const auto uniform = [&gen](Duration low, Duration high) {
    return Duration(absl::Uniform(absl::IntervalClosed, gen, low.count(), high.count()));
  };
  switch (options_.jitter) {
    case Jitter::kFull:
      return uniform(Duration::zero(), Clamped(retry, options_.multiplier));
    case Jitter::kEqual: {
      const Duration delay = Clamped(retry, options_.multiplier);
      return uniform(delay / 2, delay);
    }
    case Jitter::kDecorrelated:
      return uniform(options_.initial, Clamped(retry + (retry < 1 << 30 ? 1 : 0), 3));
    case Jitter::kNone:
      break;
  }
  return Clamped(retry, options_.multiplier);
}

}  // namespace holdfast
