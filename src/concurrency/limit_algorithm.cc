#include "holdfast/concurrency/limit_algorithm.h"

#include <cmath>

namespace holdfast {
namespace {

absl::Status Check(const Aimd& aimd) {
  if (!(aimd.backoff_ratio >= 0.5 && aimd.backoff_ratio < 1)) {
    return absl::InvalidArgumentError("Aimd: backoff_ratio must be in [0.5, 1)");
  }
  if (aimd.timeout <= Duration::zero()) {
    return absl::InvalidArgumentError("Aimd: timeout must be > 0");
  }
  return absl::OkStatus();
}

absl::Status Check(const Vegas& vegas) {
  if (!(vegas.alpha > 0 && vegas.beta > vegas.alpha && std::isfinite(vegas.beta))) {
    return absl::InvalidArgumentError("Vegas: alpha must be > 0, and beta finite and > alpha");
  }
  if (!(vegas.smoothing > 0 && vegas.smoothing <= 1)) {
    return absl::InvalidArgumentError("Vegas: smoothing must be in (0, 1]");
  }
  if (vegas.probe_multiplier < 1) {
    return absl::InvalidArgumentError("Vegas: probe_multiplier must be >= 1");
  }
  return absl::OkStatus();
}

absl::Status Check(const Gradient2& gradient) {
  if (!(gradient.smoothing > 0 && gradient.smoothing <= 1)) {
    return absl::InvalidArgumentError("Gradient2: smoothing must be in (0, 1]");
  }
  if (!(gradient.tolerance >= 1 && std::isfinite(gradient.tolerance))) {
    return absl::InvalidArgumentError("Gradient2: tolerance must be >= 1 and finite");
  }
  if (gradient.long_window < 10) {
    return absl::InvalidArgumentError("Gradient2: long_window must be >= 10");
  }
  if (gradient.probe_multiplier < 1) {
    return absl::InvalidArgumentError("Gradient2: probe_multiplier must be >= 1");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Validate(const LimitAlgorithm& algorithm) {
  return std::visit([](const auto& chosen) { return Check(chosen); }, algorithm);
}

}  // namespace holdfast
