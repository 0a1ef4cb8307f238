// The codings "gzip" and "deflate" (RFC 9110, 8.4.1), over zlib.
#ifndef HOLDFAST_SRC_HTTP_CODING_INFLATE_H_
#define HOLDFAST_SRC_HTTP_CODING_INFLATE_H_

#include <memory>

#include "src/http/coding/content_decoder.h"

namespace holdfast::http::internal {

// Members one after the other (RFC 1952, 2.2), the checksum and length of each verified. Zero bytes
// behind the last one are skipped, as gunzip skips them: servers send such
// (github.com/tornadoweb/tornado/issues/2714). Anything else there is malformed.
std::unique_ptr<ContentDecoder> MakeGzipDecoder();

// The zlib format (RFC 1950), as RFC 9110 says, its checksum verified; or deflate alone (RFC 1951),
// as some servers understand the name, which has no checksum. The first two bytes tell which.
std::unique_ptr<ContentDecoder> MakeDeflateDecoder();

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_CODING_INFLATE_H_
