// The coding "zstd" (RFC 8878), over libzstd.
#ifndef HOLDFAST_SRC_HTTP_CODING_ZSTD_H_
#define HOLDFAST_SRC_HTTP_CODING_ZSTD_H_

#include <memory>

#include "src/http/coding/content_decoder.h"

namespace holdfast::http::internal {

// Frames one after the other, skippable ones among them; a checksum is verified where there is one.
// A frame with a window of more than 8 MiB is malformed (RFC 9659), as is one with a dictionary.
std::unique_ptr<ContentDecoder> MakeZstdDecoder();

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_CODING_ZSTD_H_
