// What the decoders of single codings have in common: parts of output, and what is final.
#ifndef HOLDFAST_SRC_HTTP_CODING_PART_DECODER_H_
#define HOLDFAST_SRC_HTTP_CODING_PART_DECODER_H_

#include <memory>
#include <span>
#include <string_view>

#include "src/http/coding/content_decoder.h"

namespace holdfast::http::internal {

class PartDecoder : public ContentDecoder {
 public:
  DecodeResult Decode(std::string_view& bytes) final;
  bool Complete() const final;

 protected:
  PartDecoder();

 private:
  // Takes bytes from the front of `bytes` and writes to the front of `room` until one of the two is
  // empty. Called without bytes it writes what is left of those it took before. False: malformed.
  virtual bool Step(std::string_view& bytes, std::span<char>& room) = 0;

  // Whether the bytes taken so far, at least one, are a whole body.
  virtual bool AtEnd() const = 0;

  bool malformed_ = false;
  bool begun_ = false;
  bool full_ = false;  // the room was, so that there may be more
  const std::unique_ptr<char[]> room_;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_CODING_PART_DECODER_H_
