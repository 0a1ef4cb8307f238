// The content coding of a request's body.
#ifndef HOLDFAST_SRC_METRICS_HTTP_GZIP_H_
#define HOLDFAST_SRC_METRICS_HTTP_GZIP_H_

#include <string>
#include <string_view>

namespace holdfast::internal {

// `text` in the format of RFC 1952. Throws std::bad_alloc.
std::string Gzip(std::string_view text);

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_HTTP_GZIP_H_
