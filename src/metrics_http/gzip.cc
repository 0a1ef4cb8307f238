#include "src/metrics_http/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <new>

namespace holdfast::internal {
namespace {

class Deflater {
 public:
  Deflater() {
    constexpr int kGzip = 15 + 16;  // the greatest window, and which format is around the blocks
    constexpr int kMemory = 8;
    if (deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, kMemory,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  Deflater(const Deflater&) = delete;  // zlib's state points to the stream
  Deflater& operator=(const Deflater&) = delete;
  ~Deflater() { deflateEnd(&stream_); }

  // All of `text`, in parts that zlib can count.
  std::string Run(std::string_view text) {
    std::string result;
    do {
      const std::string_view part = text.substr(0, kMost);
      text.remove_prefix(part.size());
      // zlib does not write to what it reads.
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(part.data()));
      stream_.avail_in = static_cast<uInt>(part.size());
      const int flush = text.empty() ? Z_FINISH : Z_NO_FLUSH;
      do {
        AppendOutput(flush, result);
      } while (stream_.avail_out == 0);
    } while (!text.empty());
    return result;
  }

 private:
  static constexpr std::size_t kMost = std::numeric_limits<uInt>::max();

  void AppendOutput(int flush, std::string& result) {
    constexpr std::size_t kStep = std::size_t{64} << 10;
    const std::size_t before = result.size();
    result.resize(before + kStep);
    stream_.next_out = reinterpret_cast<Bytef*>(result.data() + before);
    stream_.avail_out = static_cast<uInt>(kStep);
    deflate(&stream_, flush);
    result.resize(before + kStep - stream_.avail_out);
  }

  z_stream stream_ = {};
};

}  // namespace

std::string Gzip(std::string_view text) { return Deflater().Run(text); }

}  // namespace holdfast::internal
