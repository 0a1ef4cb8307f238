#include "holdfast/http/wire/internal/chunk_decoder.h"

#include <algorithm>

#include "src/http/wire/grammar.h"

namespace holdfast::http::wire {
namespace {

// The value of a hexadecimal digit; 16 for any other byte.
constexpr unsigned HexDigit(unsigned char byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  const auto lower = static_cast<unsigned char>(byte | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10U : 16U;
}

constexpr bool IsBlank(unsigned char byte) { return byte == ' ' || byte == '\t'; }

}  // namespace

// Zeros before a size and extensions say nothing; a message may have as many bytes of them as of a
// head.
void ChunkDecoder::Begin(const Limits& limits) {
  state_ = State::kSize;
  size_ = 0;
  room_ = limits.body;
  extra_ = limits.head;
  last_ = false;
}

ChunkDecoder::Result ChunkDecoder::Next(std::string_view& bytes, std::string_view& data) {
  while (!bytes.empty()) {
    if (state_ == State::kData) {
      const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(size_, bytes.size()));
      data = bytes.substr(0, length);
      bytes.remove_prefix(length);
      size_ -= length;
      if (size_ == 0) state_ = State::kDataCr;
      return Result::kData;
    }
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    if (!Step(byte)) return Result::kFault;
    if (last_) return Result::kLast;
  }
  return Result::kMore;
}

// A byte that is no data.
bool ChunkDecoder::Step(unsigned char byte) {
  switch (state_) {
    case State::kSize:
    case State::kDigits:
      if (const unsigned digit = HexDigit(byte); digit < 16) return Digit(digit);
      if (state_ == State::kSize) return Refuse(400, "a chunk has no size");
      state_ = byte == '\r' ? State::kSizeLf : byte == ';' ? State::kExtension : State::kBlanks;
      return byte == '\r' || byte == ';' || IsBlank(byte) ||
             Refuse(400, "a chunk's size is followed by something else");
    case State::kBlanks:
    case State::kExtension:
      if (extra_-- == 0) return Refuse(431, "the chunks' extensions are longer than the limit");
      if (state_ == State::kBlanks) {
        if (byte == ';') state_ = State::kExtension;
        return byte == ';' || IsBlank(byte) ||
               Refuse(400, "a chunk's size is followed by something else");
      }
      if (byte == '\r') state_ = State::kSizeLf;
      return byte == '\r' || Has(kTextBytes, static_cast<char>(byte)) ||
             Refuse(400, "a chunk's extension has a control character");
    case State::kSizeLf:
      if (byte != '\n') return Refuse(400, "a chunk's line does not end with CR LF");
      if (size_ > room_) return Refuse(413, "the body is longer than the limit");
      room_ -= size_;
      last_ = size_ == 0;
      state_ = State::kData;
      return true;
    case State::kDataCr:
      state_ = State::kDataLf;
      return byte == '\r' || Refuse(400, "a chunk's data does not end with CR LF");
    case State::kDataLf:
      state_ = State::kSize;
      size_ = 0;
      return byte == '\n' || Refuse(400, "a chunk's data does not end with CR LF");
    case State::kData:
      break;
  }
  return false;
}

bool ChunkDecoder::Digit(unsigned digit) {
  if (size_ >> 59 != 0) return Refuse(400, "a chunk's size is out of range");
  state_ = State::kDigits;
  size_ = size_ << 4 | digit;
  if (size_ != 0) return true;
  return extra_-- > 0 || Refuse(431, "a chunk's size has too many zeros");
}

bool ChunkDecoder::Refuse(int status, std::string_view text) {
  fault_ = {.status = status, .text = text};
  return false;
}

}  // namespace holdfast::http::wire
