#include "holdfast/http/retry.h"

#include <httplib.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "holdfast/http/transport_error.h"
#include "holdfast/rejection.h"

namespace holdfast::http::internal {
namespace {

// RFC 9110, 9.2.2. Methods are case-sensitive.
constexpr std::array<std::string_view, 6> kIdempotent = {"GET",   "HEAD", "OPTIONS",
                                                         "TRACE", "PUT",  "DELETE"};

bool IsIdempotent(const httplib::Request& request) {
  return std::find(kIdempotent.begin(), kIdempotent.end(), request.method) != kIdempotent.end() ||
         !request.get_header_value("Idempotency-Key").empty();
}

// Whether the server can't have seen any of it.
bool NeverReached(const Call& call, const absl::Status& failure) {
  if (call.rejected() || RejectionOf(failure).has_value()) return true;
  const auto kind = TransportErrorOf(failure);
  return kind == TransportError::kConnect || kind == TransportError::kTls;
}

// Of a request that may have been sent: what its provider gave is gone.
RetryDecision AgainIfRepeatable(const httplib::Request& request) {
  const bool one_way = request.content_provider_ && request.is_chunked_content_provider_;
  return one_way ? RetryDecision::Stop(StopReason::kNotRepeatable) : RetryDecision::Again();
}

}  // namespace

RetryDecision CheckFailure(const Call& call, const absl::Status& failure, int code) {
  if (!IsTransient(failure)) return RetryDecision::Stop();
  const auto* const request = call.request<httplib::Request>();
  if (request == nullptr || NeverReached(call, failure)) return RetryDecision::Again();
  const bool refused = code == 429 || code == 503;
  if (!refused && !IsIdempotent(*request)) return RetryDecision::Stop();
  return AgainIfRepeatable(*request);
}

RetryDecision CheckAnyMethod(const Call& call, const absl::Status& outcome) {
  if (!IsTransient(outcome)) return RetryDecision::Stop();
  const auto* const request = call.request<httplib::Request>();
  if (request == nullptr || NeverReached(call, outcome)) return RetryDecision::Again();
  return AgainIfRepeatable(*request);
}

}  // namespace holdfast::http::internal
