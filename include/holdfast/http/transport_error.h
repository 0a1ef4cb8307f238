// Why an HTTP request got no response, and whether the server can have acted on it.
//
//   using holdfast::http::TransportError;
//   const absl::Status failure = transport(request).status();
//   if (holdfast::http::TransportErrorOf(failure) == TransportError::kOutcomeUnknown) {
//     // The server may have acted: ask it before the request is sent again.
//   }
#ifndef HOLDFAST_HTTP_TRANSPORT_ERROR_H_
#define HOLDFAST_HTTP_TRANSPORT_ERROR_H_

#include <absl/status/status.h>

#include <optional>
#include <string_view>

namespace holdfast::http {

// With kConnect, kTls, kCertificate and kRequest the server has not seen a whole request.
enum class TransportError : signed char {
  kConnect,      // no connection: name resolution, route, refusal, timeout, or no descriptor left
  kTls,          // the TLS handshake did not complete
  kCertificate,  // not trusted, not for this host, or the CA file cannot be read
  kRequest,      // the URL or the request is malformed, or its body is not as long as it said
  kRedirect,     // too many redirects, of who follows them (redirect.h); Transport does not
  // The connection was lost, timed out or was cut off after the request may have been sent. The
  // server may or may not have acted.
  kOutcomeUnknown,
  // The same after the request's receiver got a part of the response.
  kPartialResponse,
  // What came is no valid response, or is beyond a bound. Retry never sends the request again: the
  // same answer would come.
  kMalformed,
};

std::string_view ToString(TransportError kind);

// The kind that `status` carries; nullopt for OK and for a status that no transport made: a
// rejection by a policy, an HTTP status, an error of another executor. The kind is a payload of the
// status, so copies and StatusOr keep it.
std::optional<TransportError> TransportErrorOf(const absl::Status& status);

// `status`, which must not be OK, with `kind` added: for other executors, so that Retry applies the
// same rules to their errors.
absl::Status WithTransportError(absl::Status status, TransportError kind);

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_TRANSPORT_ERROR_H_
