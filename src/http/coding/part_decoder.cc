#include "src/http/coding/part_decoder.h"

#include <cstddef>

namespace holdfast::http::internal {
namespace {

constexpr std::size_t kPartSize = 16'384;

}  // namespace

PartDecoder::PartDecoder() : part_(std::make_unique_for_overwrite<char[]>(kPartSize)) {}

DecodeResult PartDecoder::Decode(std::string_view bytes, DecodedSink sink) {
  if (result_ != DecodeResult::kOk || bytes.empty()) return result_;
  begun_ = true;
  result_ = DecodeResult::kStopped;  // should the sink throw, or memory lack
  for (bool full = false; full || !bytes.empty();) {
    std::span<char> room(part_.get(), kPartSize);
    if (!Step(bytes, room)) return result_ = DecodeResult::kMalformed;
    full = room.empty();
    const std::size_t size = kPartSize - room.size();
    if (size != 0 && !sink({part_.get(), size})) return result_;
  }
  return result_ = DecodeResult::kOk;
}

bool PartDecoder::Complete() const { return result_ == DecodeResult::kOk && (!begun_ || AtEnd()); }

}  // namespace holdfast::http::internal
