#include "holdfast/concurrency/limit_algorithm.h"

#include <cmath>

#include "holdfast/base/internal/options_checker.h"

namespace holdfast {
namespace {

using internal::OptionsChecker;

absl::Status Check(const Aimd& aimd) {
  OptionsChecker check("Aimd");
  check(aimd.backoff_ratio >= 0.5 && aimd.backoff_ratio < 1, "backoff_ratio must be in [0.5, 1)");
  check(aimd.timeout > Duration::zero(), "timeout must be > 0");
  return check.status();
}

absl::Status Check(const Vegas& vegas) {
  OptionsChecker check("Vegas");
  check(vegas.alpha > 0 && vegas.beta > vegas.alpha && std::isfinite(vegas.beta),
        "alpha must be > 0, and beta finite and > alpha");
  check(vegas.smoothing > 0 && vegas.smoothing <= 1, "smoothing must be in (0, 1]");
  check(vegas.probe_multiplier >= 1, "probe_multiplier must be >= 1");
  return check.status();
}

absl::Status Check(const Gradient2& gradient) {
  OptionsChecker check("Gradient2");
  check(gradient.smoothing > 0 && gradient.smoothing <= 1, "smoothing must be in (0, 1]");
  check(gradient.tolerance >= 1 && std::isfinite(gradient.tolerance),
        "tolerance must be >= 1 and finite");
  check(gradient.long_window >= 10, "long_window must be >= 10");
  check(gradient.probe_multiplier >= 1, "probe_multiplier must be >= 1");
  return check.status();
}

}  // namespace

absl::Status Validate(const LimitAlgorithm& algorithm) {
  return std::visit([](const auto& chosen) { return Check(chosen); }, algorithm);
}

}  // namespace holdfast
