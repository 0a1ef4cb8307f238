#include "holdfast/breaker/trip_rule.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include "holdfast/base/internal/validate.h"

namespace holdfast {
namespace {

void ThrowUnlessShare(double share, absl::string_view rule) {
  if (share > 0 && share <= 1) return;
  internal::ThrowIfInvalid(
      absl::InvalidArgumentError(absl::StrCat(rule, ": share must be in (0, 1], not ", share)));
}

}  // namespace

TripRule ConsecutiveFailures(std::uint64_t failures) {
  if (failures == 0) {
    internal::ThrowIfInvalid(
        absl::InvalidArgumentError("ConsecutiveFailures: failures must be >= 1"));
  }
  return {"consecutive failures",
          [=](const BreakerCounts& counts) { return counts.consecutive_failures >= failures; }};
}

TripRule FailureRate(double share, std::uint64_t minimum_calls) {
  ThrowUnlessShare(share, "FailureRate");
  return {"failure rate", [=](const BreakerCounts& counts) {
            return counts.judged() >= minimum_calls && counts.failure_rate() >= share;
          }};
}

TripRule SlowCallRate(double share, std::uint64_t minimum_calls) {
  ThrowUnlessShare(share, "SlowCallRate");
  return {.name = "slow call rate",
          .tripped =
              [=](const BreakerCounts& counts) {
                return counts.judged() + counts.hung >= minimum_calls &&
                       counts.slow_rate() >= share;
              },
          .needs_slow_call = true};
}

}  // namespace holdfast
