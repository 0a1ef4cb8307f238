#include "src/http/httplib/error.h"

#include <absl/strings/string_view.h>

#include "holdfast/http/transport_error.h"

namespace holdfast::http::internal {
namespace {

// Later releases of cpp-httplib have an error of its own for the host's name.
template <class Error>
bool IsHostnameError(Error error) {
  if constexpr (requires { Error::SSLServerHostnameVerification; }) {
    return error == Error::SSLServerHostnameVerification;
  } else {
    return false;
  }
}

}  // namespace

absl::Status StatusOfError(httplib::Error error) {
  using httplib::Error;
  using Code = absl::StatusCode;
  using Kind = TransportError;
  const auto say = [](Code code, Kind kind, absl::string_view what) {
    return WithTransportError(absl::Status(code, what), kind);
  };
  if (IsHostnameError(error)) {
    return say(Code::kFailedPrecondition, Kind::kCertificate,
               "TLS: the server's certificate is not for this host");
  }
  // Enumerators, as the numbers and the texts change from release to release.
  switch (error) {
    case Error::Connection:
      return say(Code::kUnavailable, Kind::kConnect,
                 "can't connect: unresolvable, unreachable or refused");
    case Error::ConnectionTimeout:
      return say(Code::kUnavailable, Kind::kConnect, "connecting timed out");
    case Error::BindIPAddress:
      return say(Code::kFailedPrecondition, Kind::kConnect, "can't bind to the local address");
    case Error::Read:
      return say(Code::kUnavailable, Kind::kOutcomeUnknown,
                 "connection lost, or no valid answer in time, while reading");
    case Error::Write:
      return say(Code::kUnavailable, Kind::kOutcomeUnknown,
                 "connection lost, or blocked too long, while writing");
    case Error::ExceedRedirectCount:
      return say(Code::kFailedPrecondition, Kind::kRedirect, "too many redirects");
    case Error::Canceled:
      return say(Code::kCancelled, Kind::kOutcomeUnknown,
                 "a callback of the request refused to go on");
    case Error::SSLConnection:
      return say(Code::kUnavailable, Kind::kTls, "TLS: the handshake failed");
    case Error::SSLLoadingCerts:
      return say(Code::kFailedPrecondition, Kind::kCertificate,
                 "TLS: the CA certificates can't be loaded");
    case Error::SSLServerVerification:
      return say(Code::kFailedPrecondition, Kind::kCertificate,
                 "TLS: the server's certificate is not trusted");
    case Error::UnsupportedMultipartBoundaryChars:
      return say(Code::kInvalidArgument, Kind::kRequest,
                 "the multipart boundary has unsupported characters");
    case Error::Compression:
      return say(Code::kInternal, Kind::kRequest, "the request can't be compressed");
    default:
      return say(Code::kUnavailable, Kind::kOutcomeUnknown, httplib::to_string(error));
  }
}

}  // namespace holdfast::http::internal
