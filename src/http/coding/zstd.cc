#include "src/http/coding/zstd.h"

#include <zstd.h>
#include <zstd_errors.h>

#include <cstddef>
#include <new>
#include <span>
#include <stdexcept>
#include <string_view>

#include "src/http/coding/part_decoder.h"

namespace holdfast::http::internal {
namespace {

constexpr int kWindowLog = 23;  // 8 MiB

// RFC 8878, 3.1: a frame begins with 28 B5 2F FD, a skippable one with 50 to 5F and 2A 4D 18. The
// library may also know formats from before the RFC, in which the bound of the window is not kept.
bool BeginsFrame(char byte) { return byte == 0x28 || (byte & 0xf0) == 0x50; }

class ZstdDecoder final : public PartDecoder {
 public:
  ZstdDecoder() : context_(ZSTD_createDCtx()) {
    if (context_ == nullptr) throw std::bad_alloc();
    if (ZSTD_isError(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kWindowLog))) {
      throw std::runtime_error("libzstd does not bound the window");
    }
  }

 private:
  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };

  bool Step(std::string_view& bytes, std::span<char>& room) override {
    do {
      if (between_ && bytes.empty()) return true;
      if (between_ && !BeginsFrame(bytes.front())) return false;
      ZSTD_inBuffer in{.src = bytes.data(), .size = bytes.size(), .pos = 0};
      ZSTD_outBuffer out{.dst = room.data(), .size = room.size(), .pos = 0};
      const std::size_t answer = ZSTD_decompressStream(context_.get(), &out, &in);
      bytes.remove_prefix(in.pos);
      room = room.subspan(out.pos);
      if (ZSTD_isError(answer)) {
        if (ZSTD_getErrorCode(answer) == ZSTD_error_memory_allocation) throw std::bad_alloc();
        return false;
      }
      between_ = answer == 0;  // all of a frame is taken, and written
    } while (!bytes.empty() && !room.empty());
    return true;
  }

  bool AtEnd() const override { return between_; }

  const std::unique_ptr<ZSTD_DCtx, Free> context_;
  bool between_ = true;
};

}  // namespace

std::unique_ptr<ContentDecoder> MakeZstdDecoder() { return std::make_unique<ZstdDecoder>(); }

}  // namespace holdfast::http::internal
