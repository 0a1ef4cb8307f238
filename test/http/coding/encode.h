// Codings by zlib, to be undone.
#ifndef HOLDFAST_TEST_HTTP_CODING_ENCODE_H_
#define HOLDFAST_TEST_HTTP_CODING_ENCODE_H_

#include <zlib.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

namespace holdfast::http::internal {

// What zlib calls window bits.
inline constexpr int kRawBits = -15;
inline constexpr int kZlibBits = 15;
inline constexpr int kGzipBits = 15 + 16;

class Deflater {
 public:
  explicit Deflater(int bits, int level = Z_DEFAULT_COMPRESSION) {
    if (deflateInit2(&stream_, level, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::runtime_error("deflateInit2");
    }
  }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  ~Deflater() { deflateEnd(&stream_); }

  // `flush` is Z_SYNC_FLUSH, Z_FINISH or another that zlib knows.
  std::string Add(std::string_view bytes, int flush) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    std::string out;
    do {
      constexpr std::size_t kStep = 4096;
      const std::size_t before = out.size();
      out.resize(before + kStep);
      stream_.next_out = reinterpret_cast<Bytef*>(&out[before]);
      stream_.avail_out = kStep;
      deflate(&stream_, flush);
      out.resize(before + kStep - stream_.avail_out);
    } while (stream_.avail_out == 0);
    return out;
  }

 private:
  z_stream stream_{};
};

inline std::string Deflated(int bits, std::string_view body, int level = Z_DEFAULT_COMPRESSION) {
  return Deflater(bits, level).Add(body, Z_FINISH);
}
inline std::string Gzip(std::string_view body) { return Deflated(kGzipBits, body); }
inline std::string Zlib(std::string_view body) { return Deflated(kZlibBits, body); }
inline std::string RawDeflate(std::string_view body) { return Deflated(kRawBits, body); }

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_TEST_HTTP_CODING_ENCODE_H_
