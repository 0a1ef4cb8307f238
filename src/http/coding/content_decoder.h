// Undoes the content codings of a response's body (RFC 9110, 8.4.1) part by part.
#ifndef HOLDFAST_SRC_HTTP_CODING_CONTENT_DECODER_H_
#define HOLDFAST_SRC_HTTP_CODING_CONTENT_DECODER_H_

#include <cstddef>
#include <memory>
#include <string_view>

namespace holdfast::http::internal {

enum class DecodeResult : signed char {
  kPart,       // part() is there; the same bytes, as far as they are left, may give more
  kOk,         // all bytes are taken, and all that comes of them was given
  kMalformed,  // they are not of this coding; final
};

// A few bytes may become hundreds of megabytes: one call gives at most kMostPart of them, and does
// little more work than that, so that its caller can look at the time in between.
//
//   std::string_view bytes = ...;
//   while (decoder->Decode(bytes) == DecodeResult::kPart) body += decoder->part();
//
// One thread at a time. std::bad_alloc is final; after what is final it takes nothing and says that
// the bytes are malformed. It holds the memory of its coding's window and one part of output,
// whatever the length of the body. What was decoded from bytes just before malformed ones may be
// lost with them.
class ContentDecoder {
 public:
  ContentDecoder() = default;
  ContentDecoder(const ContentDecoder&) = delete;
  ContentDecoder& operator=(const ContentDecoder&) = delete;
  virtual ~ContentDecoder() = default;

  static constexpr std::size_t kMostPart = 16'384;

  // Takes bytes from the front of `bytes`, up to the next part. No bytes are none, but may give
  // more of those that were taken.
  virtual DecodeResult Decode(std::string_view& bytes) = 0;

  // After kPart, until the next call; of several codings it may be empty.
  std::string_view part() const { return part_; }

  // Whether the body may end here: a coding that ends in its middle is a cut body. No bytes at all
  // are a whole, empty body, though no coding makes such: servers say Content-Encoding beside
  // Content-Length: 0 (github.com/OneDrive/onedrive-api-docs/issues/80). False after what is final.
  virtual bool Complete() const = 0;

 protected:
  std::string_view part_;
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
