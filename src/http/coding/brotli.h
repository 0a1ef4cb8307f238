// The coding "br" (RFC 7932), over libbrotlidec.
#ifndef HOLDFAST_SRC_HTTP_CODING_BROTLI_H_
#define HOLDFAST_SRC_HTTP_CODING_BROTLI_H_

#include <memory>

#include "src/http/coding/content_decoder.h"

namespace holdfast::http::internal {

// Windows are of at most 16 MiB, as RFC 7932 has them ("large window" brotli is another coding),
// and grow with what is decoded. Bytes behind the end are malformed.
std::unique_ptr<ContentDecoder> MakeBrotliDecoder();

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_CODING_BROTLI_H_
