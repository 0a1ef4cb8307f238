#include "holdfast/timeout/timeout.h"

#include "holdfast/base/internal/options_checker.h"
#include "src/base/info_text.h"

namespace holdfast {

absl::Status Validate(const TimeoutOptions& options) {
  internal::OptionsChecker check("Timeout");
  check(options.limit > Duration::zero(), "limit must be > 0; it has no default");
  return check.status();
}

PolicyInfo internal::TimeoutInfo(const TimeoutOptions& options, bool abandons) {
  return {
      .settings = JoinSettings({DurationText(options.limit), abandons ? "abandons attempts" : ""}),
      .timeout = options.limit};
}

}  // namespace holdfast
