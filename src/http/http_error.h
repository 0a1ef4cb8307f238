// What cpp-httplib calls an error, as a status.
#ifndef HOLDFAST_SRC_HTTP_HTTP_ERROR_H_
#define HOLDFAST_SRC_HTTP_HTTP_ERROR_H_

#include <absl/status/status.h>
#include <httplib.h>

#include <string_view>

namespace holdfast::http::internal {

// Whether nothing was ever connected.
bool IsConnectError(httplib::Error error);

// Whether it is about the server's certificate.
bool IsTrustError(httplib::Error error);

// Never OK, and TransportErrorOf knows its kind. `where` goes in front of the message; empty:
// nothing.
absl::Status StatusOfError(httplib::Error error, std::string_view where);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_HTTP_ERROR_H_
