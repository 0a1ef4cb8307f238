#include "holdfast/http/retry.h"

#include "holdfast/call/repeatability.h"
#include "holdfast/http/transport_error.h"

namespace holdfast::http::internal {

RetryDecision CheckFailure(const Call& call, const absl::Status& failure, Effect effect,
                           bool any_method) {
  // What makes a malformed answer makes it again, whatever the code of the status.
  if (!IsTransient(failure) || TransportErrorOf(failure) == TransportError::kMalformed) {
    return RetryDecision::Stop();
  }
  return CheckEffect(call, effect, any_method);
}

RetryDecision CheckEffect(const Call& call, Effect effect, bool any_method) {
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
