// What cpp-httplib calls an error, as a status.
#ifndef HOLDFAST_SRC_HTTP_HTTPLIB_ERROR_H_
#define HOLDFAST_SRC_HTTP_HTTPLIB_ERROR_H_

#include <absl/status/status.h>
#include <httplib.h>

namespace holdfast::http::internal {

// Never OK, and TransportErrorOf knows its kind.
absl::Status StatusOfError(httplib::Error error);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_HTTPLIB_ERROR_H_
