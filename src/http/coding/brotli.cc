#include "src/http/coding/brotli.h"

#include <brotli/decode.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <string_view>

#include "src/http/coding/part_decoder.h"

namespace holdfast::http::internal {
namespace {

// The codes of errors of allocation are a range.
bool LacksMemory(BrotliDecoderErrorCode code) {
  return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
         code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
}

class BrotliDecoder final : public PartDecoder {
 public:
  BrotliDecoder() : state_(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {
    if (state_ == nullptr) throw std::bad_alloc();
  }

 private:
  struct Destroy {
    void operator()(BrotliDecoderState* state) const { BrotliDecoderDestroyInstance(state); }
  };

  // The library itself goes on until one of the two is empty.
  bool Step(std::string_view& bytes, std::span<char>& room) override {
    if (ended_) return bytes.empty();
    std::size_t left = bytes.size();
    std::size_t space = room.size();
    const auto* in = reinterpret_cast<const std::uint8_t*>(bytes.data());
    auto* out = reinterpret_cast<std::uint8_t*>(room.data());
    const BrotliDecoderResult answer =
        BrotliDecoderDecompressStream(state_.get(), &left, &in, &space, &out, nullptr);
    bytes = bytes.substr(bytes.size() - left);
    room = room.last(space);
    if (answer == BROTLI_DECODER_RESULT_ERROR) {
      if (LacksMemory(BrotliDecoderGetErrorCode(state_.get()))) throw std::bad_alloc();
      return false;
    }
    ended_ = answer == BROTLI_DECODER_RESULT_SUCCESS;
    return !ended_ || bytes.empty();
  }

  bool AtEnd() const override { return ended_; }

  const std::unique_ptr<BrotliDecoderState, Destroy> state_;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<ContentDecoder> MakeBrotliDecoder() { return std::make_unique<BrotliDecoder>(); }

}  // namespace holdfast::http::internal
