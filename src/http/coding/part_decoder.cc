#include "src/http/coding/part_decoder.h"

#include <cstddef>

namespace holdfast::http::internal {

PartDecoder::PartDecoder() : room_(std::make_unique_for_overwrite<char[]>(kMostPart)) {}

DecodeResult PartDecoder::Decode(std::string_view& bytes) {
  part_ = {};
  if (malformed_) return DecodeResult::kMalformed;
  begun_ = begun_ || !bytes.empty();
  while (full_ || !bytes.empty()) {
    std::span<char> room(room_.get(), kMostPart);
    malformed_ = true;  // should memory lack
    if (!Step(bytes, room)) return DecodeResult::kMalformed;
    malformed_ = false;
    full_ = room.empty();
    part_ = {room_.get(), kMostPart - room.size()};
    if (!part_.empty()) return DecodeResult::kPart;
  }
  return DecodeResult::kOk;
}

bool PartDecoder::Complete() const { return !malformed_ && (!begun_ || AtEnd()); }

}  // namespace holdfast::http::internal
