#include "http_error.h"

#include <absl/strings/str_cat.h>

#include "holdfast/internal/string_view.h"

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

bool IsConnectError(httplib::Error error) {
  return error == httplib::Error::Connection || error == httplib::Error::ConnectionTimeout ||
         error == httplib::Error::BindIPAddress;
}

bool IsTrustError(httplib::Error error) {
  return error == httplib::Error::SSLServerVerification || IsHostnameError(error);
}

absl::Status StatusOfError(httplib::Error error, std::string_view where) {
  using httplib::Error;
  const auto say = [where](absl::StatusCode code, absl::string_view what) {
    return absl::Status(
        code, absl::StrCat(holdfast::internal::ToAbsl(where), where.empty() ? "" : ": ", what));
  };
  using Code = absl::StatusCode;
  if (IsHostnameError(error)) {
    return say(Code::kFailedPrecondition, "TLS: the server's certificate is not for this host");
  }
  // Enumerators, as the numbers and the texts change from release to release.
  switch (error) {
    case Error::Connection:
      return say(Code::kUnavailable, "can't connect: unresolvable, unreachable or refused");
    case Error::ConnectionTimeout:
      return say(Code::kUnavailable, "connecting timed out");
    case Error::BindIPAddress:
      return say(Code::kFailedPrecondition, "can't bind to the local address");
    case Error::Read:
      return say(Code::kUnavailable, "connection lost, or no valid answer in time, while reading");
    case Error::Write:
      return say(Code::kUnavailable, "connection lost, or blocked too long, while writing");
    case Error::ExceedRedirectCount:
      return say(Code::kFailedPrecondition, "too many redirects");
    case Error::Canceled:
      return say(Code::kCancelled, "a callback of the request refused to go on");
    case Error::SSLConnection:
      return say(Code::kUnavailable, "TLS: the handshake failed");
    case Error::SSLLoadingCerts:
      return say(Code::kFailedPrecondition, "TLS: the CA certificates can't be loaded");
    case Error::SSLServerVerification:
      return say(Code::kFailedPrecondition, "TLS: the server's certificate is not trusted");
    case Error::UnsupportedMultipartBoundaryChars:
      return say(Code::kInvalidArgument, "the multipart boundary has unsupported characters");
    case Error::Compression:
      return say(Code::kInternal, "the request can't be compressed");
    default:
      return say(Code::kUnavailable, httplib::to_string(error));
  }
}

}  // namespace holdfast::http::internal
