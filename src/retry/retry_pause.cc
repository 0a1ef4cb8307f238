#include "holdfast/retry/retry_pause.h"

#include <absl/strings/str_cat.h>

#include "holdfast/base/rejection.h"

namespace holdfast {

RetryPause::RetryPause(const std::string& name)
    : refusal_(MakeRejection(absl::StatusCode::kUnavailable,
                             {.kind = RejectionKind::kThrottled, .policy = "Retry", .name = name},
                             absl::StrCat("Retry", name.empty() ? "" : " ", name,
                                          ": the backend asked for a pause (Retry-After)"))) {}

}  // namespace holdfast
