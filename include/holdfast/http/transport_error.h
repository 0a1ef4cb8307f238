// What kept an HTTP answer from coming, and with that whether the server can have acted on the
// request.
//
//   const absl::Status failure = transport(request).status();
//   if (holdfast::http::TransportErrorOf(failure) ==
//   holdfast::http::TransportError::kOutcomeUnknown) {
//     // nobody knows: ask the server before it is sent again
//   }
#ifndef HOLDFAST_HTTP_TRANSPORT_ERROR_H_
#define HOLDFAST_HTTP_TRANSPORT_ERROR_H_

#include <absl/status/status.h>

#include <optional>
#include <string_view>

namespace holdfast::http {

// In all but the last three the server has not seen the request.
enum class TransportError : signed char {
  kConnect,      // no connection: unresolvable, unreachable, refused, too late, no descriptor left
  kTls,          // the handshake was not completed
  kCertificate,  // not trusted, not for this host, or no authorities to tell by
  kRequest,      // a malformed URL or request
  kRedirect,     // too many of them; Transport follows none
  kOutcomeUnknown,   // lost, silent for too long or cut off once the request was, or may be, on its
                     // way
  kPartialResponse,  // the same, and the request's content_receiver has got a part of the answer
};

std::string_view ToString(TransportError kind);

// The kind that `status` carries; nullopt for OK and for what no transport said: a policy's
// refusal, an HTTP status, an error of an executor of your own. It survives copies, StatusOr and
// everything else that keeps a status's payloads.
std::optional<TransportError> TransportErrorOf(const absl::Status& status);

// `status`, which is not OK, with a kind: for executors of your own, so that Retry judges their
// errors by the same rules.
absl::Status WithTransportError(absl::Status status, TransportError kind);

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_TRANSPORT_ERROR_H_
