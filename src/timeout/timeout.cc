#include "holdfast/timeout/timeout.h"

#include "src/base/info_text.h"

namespace holdfast {

absl::Status Validate(const TimeoutOptions& options) {
  if (options.limit > Duration::zero()) return absl::OkStatus();
  return absl::InvalidArgumentError("Timeout: limit must be > 0; it has no default");
}

PolicyInfo internal::TimeoutFacts(const TimeoutOptions& options, bool walks_away) {
  return {.settings = JoinSettings({DurationText(options.limit), walks_away ? "walks away" : ""}),
          .timeout = options.limit};
}

}  // namespace holdfast
