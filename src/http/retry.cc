#include "holdfast/http/retry.h"

#include <httplib.h>

#include "holdfast/http/transport_error.h"
#include "holdfast/rejection.h"
#include "repeatable.h"

namespace holdfast::http::internal {
namespace {

// Whether the server can't have seen any of it.
bool NeverReached(const Call& call, const absl::Status& failure) {
  if (call.rejected() || RejectionOf(failure).has_value()) return true;
  const auto kind = TransportErrorOf(failure);
  return kind == TransportError::kConnect || kind == TransportError::kTls;
}

// Of a request that may have been sent.
RetryDecision AgainIfRepeatable(const httplib::Request& request, const absl::Status& failure) {
  const bool cut_short = TransportErrorOf(failure) == TransportError::kCutShort;
  return CanStartOver(request) && !cut_short ? RetryDecision::Again()
                                             : RetryDecision::Stop(StopReason::kNotRepeatable);
}

}  // namespace

RetryDecision CheckFailure(const Call& call, const absl::Status& failure, int code) {
  if (!IsTransient(failure)) return RetryDecision::Stop();
  const auto* const request = call.request<httplib::Request>();
  if (request == nullptr || NeverReached(call, failure)) return RetryDecision::Again();
  const bool refused = code == 429 || code == 503;
  if (!refused && !IsIdempotent(*request)) return RetryDecision::Stop();
  return AgainIfRepeatable(*request, failure);
}

RetryDecision CheckAnyMethod(const Call& call, const absl::Status& outcome) {
  if (!IsTransient(outcome)) return RetryDecision::Stop();
  const auto* const request = call.request<httplib::Request>();
  if (request == nullptr || NeverReached(call, outcome)) return RetryDecision::Again();
  return AgainIfRepeatable(*request, outcome);
}

}  // namespace holdfast::http::internal
