// Undoes the content codings of a response's body (RFC 9110, 8.4.1) part by part.
#ifndef HOLDFAST_SRC_HTTP_CODING_CONTENT_DECODER_H_
#define HOLDFAST_SRC_HTTP_CODING_CONTENT_DECODER_H_

#include <absl/functional/function_ref.h>

#include <memory>
#include <string_view>

namespace holdfast::http::internal {

// Takes a decoded part, of at most 16 KiB and never empty; false: no more of them.
using DecodedSink = absl::FunctionRef<bool(std::string_view)>;

enum class DecodeResult : signed char {
  kOk,         // all bytes are taken
  kMalformed,  // they are not of this coding; final
  kStopped,    // the sink said false, or threw; final
};

// One thread at a time. An exception of the sink passes through, and is final; so is
// std::bad_alloc. After what is final it takes nothing and says the same again. It holds the memory
// of its coding's window and one part of output, whatever the length of the body. What was decoded
// from bytes just before malformed ones may be lost with them.
class ContentDecoder {
 public:
  ContentDecoder() = default;
  ContentDecoder(const ContentDecoder&) = delete;
  ContentDecoder& operator=(const ContentDecoder&) = delete;
  virtual ~ContentDecoder() = default;

  virtual DecodeResult Decode(std::string_view bytes, DecodedSink sink) = 0;

  // Whether the body may end here: a coding that ends in its middle is a cut body. No bytes at all
  // are a whole, empty body, though no coding makes such: servers say Content-Encoding beside
  // Content-Length: 0 (github.com/OneDrive/onedrive-api-docs/issues/80). False after what is final.
  virtual bool Complete() const = 0;
};

// For the value of Content-Encoding: gzip, x-gzip, deflate (with the zlib wrapper, or, as some
// servers send, without), br and zstd where their libraries are, and up to four of them in a list,
// the last of which is undone first. Null for what is not decoded here: another coding, more of
// them, or nothing but identity.
std::unique_ptr<ContentDecoder> MakeContentDecoder(std::string_view content_encoding);

// The value of Accept-Encoding that asks for what MakeContentDecoder undoes.
std::string_view AcceptedCodings();

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_CODING_CONTENT_DECODER_H_
