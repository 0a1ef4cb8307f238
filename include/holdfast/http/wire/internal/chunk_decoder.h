// Chunks without their trailer (RFC 9112, 7.1).
#ifndef HOLDFAST_HTTP_WIRE_INTERNAL_CHUNK_DECODER_H_
#define HOLDFAST_HTTP_WIRE_INTERNAL_CHUNK_DECODER_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "holdfast/http/wire/message.h"

namespace holdfast::http::wire {

class ChunkDecoder {
 public:
  enum class Result : signed char { kMore, kData, kLast, kFault };

  void Begin(const Limits& limits);

  // Takes bytes from the front of `bytes`. kData: `data` is a part of them; kLast: the last chunk's
  // line is over, and the trailer is next.
  Result Next(std::string_view& bytes, std::string_view& data);

  const Fault& fault() const { return fault_; }

 private:
  enum class State : signed char {
    kSize,       // before the first digit
    kDigits,     // after one
    kBlanks,     // before the semicolon of an extension
    kExtension,  // in one
    kSizeLf,     // after the line's CR
    kData,
    kDataCr,  // after the data
    kDataLf,
  };

  bool Step(unsigned char byte);
  bool Digit(unsigned digit);
  bool Refuse(int status, std::string_view text);

  State state_ = State::kSize;
  std::uint64_t size_ = 0;  // of the present chunk; what is left of it
  std::uint64_t room_ = 0;  // in the body
  std::size_t extra_ = 0;   // bytes of lines that may come yet beside sizes
  bool last_ = false;
  Fault fault_;
};

}  // namespace holdfast::http::wire

#endif  // HOLDFAST_HTTP_WIRE_INTERNAL_CHUNK_DECODER_H_
