#include "holdfast/http/retry.h"

#include "holdfast/call/repeatability.h"

namespace holdfast::http::internal {

RetryDecision CheckFailure(const Call& call, const absl::Status& failure, Effect effect,
                           bool any_method) {
  if (!IsTransient(failure)) return RetryDecision::Stop();
  switch (MayRunAgain(call, effect, any_method)) {
    case Rerun::kMay:
      return RetryDecision::Again();
    case Rerun::kNotIdempotent:
      break;
    case Rerun::kUsedUp:
      return RetryDecision::Stop(EndReason::kNotRepeatable);
  }
  return RetryDecision::Stop();
}

}  // namespace holdfast::http::internal
