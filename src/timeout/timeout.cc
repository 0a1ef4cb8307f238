#include "holdfast/timeout/timeout.h"

#include "src/base/info_text.h"

namespace holdfast {

absl::Status Validate(const TimeoutOptions& options) {
  if (options.limit > Duration::zero()) return absl::OkStatus();
  return absl::InvalidArgumentError("Timeout: limit must be > 0; it has no default");
}

PolicyInfo internal::TimeoutInfo(const TimeoutOptions& options, bool abandons) {
  return {
      .settings = JoinSettings({DurationText(options.limit), abandons ? "abandons attempts" : ""}),
      .timeout = options.limit};
}

}  // namespace holdfast
