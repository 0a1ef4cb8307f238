// cpp-httplib's requests and responses as our own.
#ifndef HOLDFAST_SRC_HTTP_HTTPLIB_MESSAGE_H_
#define HOLDFAST_SRC_HTTP_HTTPLIB_MESSAGE_H_

#include <httplib.h>

#include "holdfast/http/message.h"

namespace holdfast::http::internal {

// The result uses `from`, whose body is not copied, and must not outlive it. It may be sent
// once: the provider of a chunked body goes on where it was.
Request FromHttplib(const httplib::Request& from);

// Trailers are left out where the release of cpp-httplib has no place for them.
httplib::Response ToHttplib(Response&& from);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_HTTPLIB_MESSAGE_H_
