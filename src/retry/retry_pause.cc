#include "holdfast/retry/retry_pause.h"

#include "holdfast/base/internal/refusals.h"

namespace holdfast {

RetryPause::RetryPause(const std::string& name, Clock* clock)
    : name_(name),
      refusal_(internal::Refusal(absl::StatusCode::kUnavailable, RejectionKind::kThrottled, "Retry",
                                 name, "the backend asked for a pause (Retry-After)")),
      clock_(clock) {}

}  // namespace holdfast
