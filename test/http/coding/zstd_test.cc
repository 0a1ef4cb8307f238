#include "src/http/coding/zstd.h"

#include <zstd.h>

#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "test/http/coding/decode.h"
#include "test/http/coding/encode.h"
#include "test/support/catch.h"

namespace holdfast::http::internal::zstd_test {
namespace {

// Frames with a checksum, unless told otherwise. The size of the body is not in them, as it is not
// in what a server makes as it goes.
class Compressor {
 public:
  explicit Compressor(int window_log = 0, bool checksum = true) : context_(ZSTD_createCCtx()) {
    if (context_ == nullptr) throw std::runtime_error("ZSTD_createCCtx");
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, checksum ? 1 : 0);
    ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_windowLog, window_log);
  }

  std::string Add(std::string_view bytes, ZSTD_EndDirective end) {
    ZSTD_inBuffer in{.src = bytes.data(), .size = bytes.size(), .pos = 0};
    std::string text;
    for (std::size_t left = 1; left != 0;) {
      std::string room(10'000, '\0');
      ZSTD_outBuffer out{.dst = room.data(), .size = room.size(), .pos = 0};
      left = ZSTD_compressStream2(context_.get(), &out, &in, end);
      if (ZSTD_isError(left)) throw std::runtime_error(ZSTD_getErrorName(left));
      text.append(room, 0, out.pos);
      if (end == ZSTD_e_continue) left = in.size - in.pos;
    }
    return text;
  }

 private:
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  std::unique_ptr<ZSTD_CCtx, Free> context_;
};

std::string Zstd(std::string_view body) { return Compressor().Add(body, ZSTD_e_end); }

// A frame that says the size of the body, and is one segment.
std::string SizedZstd(std::string_view body) {
  std::string frame(ZSTD_compressBound(body.size()), '\0');
  const std::size_t size = ZSTD_compress(frame.data(), frame.size(), body.data(), body.size(), 3);
  if (ZSTD_isError(size)) throw std::runtime_error(ZSTD_getErrorName(size));
  frame.resize(size);
  return frame;
}

// RFC 8878, 3.1.2.
std::string SkippableFrame(std::string_view content) {
  std::string frame("\x53\x2a\x4d\x18", 4);
  for (unsigned shift = 0; shift < 32; shift += 8) {
    frame += static_cast<char>(content.size() >> shift & 0xff);
  }
  return frame + std::string(content);
}

TEST_CASE("zstd of any size is decoded, whole and byte by byte") {
  CheckSizes("zstd", Zstd);
  CheckSizes("zstd", SizedZstd);
}

TEST_CASE("zstd is decoded whatever pieces it comes in") { CheckAnyPieces("zstd", Zstd); }

TEST_CASE("zstd that is cut is no whole body") {
  CheckCuts("zstd", Zstd(Words(300)), Words(300), {});
  CheckCuts("ZSTD", SizedZstd(Noise(300)), Noise(300), {});
}

TEST_CASE("zstd of several frames, some to be skipped, is one body that may end behind each") {
  std::string bytes = SkippableFrame("nothing");
  std::vector<std::size_t> ends = {bytes.size()};
  bytes += Zstd(Words(100));
  ends.push_back(bytes.size());
  bytes += SkippableFrame("");
  ends.push_back(bytes.size());
  bytes += Zstd("");
  ends.push_back(bytes.size());
  bytes += SizedZstd(Noise(100));
  CheckCuts("zstd", bytes, Words(100) + Noise(100), ends);
}

TEST_CASE("frames of zstd that end with a part go on in the next") {
  std::string bytes;
  std::string body;
  for (const std::size_t size : {kPart, kPart, kPart - 1, std::size_t{0}, std::size_t{1}, kPart}) {
    bytes += Zstd(Words(size));
    body += Words(size);
  }
  CHECK(DecodeWhole("zstd", bytes).Is(body));
  CHECK(DecodeSingly("zstd", bytes).Is(body));
}

TEST_CASE("a bit that changes in zstd changes no byte of a whole body") {
  CheckBitFlips("zstd", Zstd(Words(60)), Words(60));
}

TEST_CASE("a window of zstd has at most 8 MiB") {
  const std::string body = Words(1000);
  CHECK(DecodeWhole("zstd", Compressor(10).Add(body, ZSTD_e_continue) +
                                Compressor(10).Add(body, ZSTD_e_end))
            .Is(body));
  for (const int log : {10, 22, 23}) {
    CAPTURE(log);
    Compressor compressor(log);
    std::string bytes = compressor.Add(body, ZSTD_e_flush);
    bytes += compressor.Add("", ZSTD_e_end);
    CHECK(DecodeWhole("zstd", bytes).Is(body));
    CHECK(DecodeSingly("zstd", bytes).Is(body));
  }
  for (const int log : {24, 27}) {
    CAPTURE(log);
    Compressor compressor(log);
    const std::string bytes = compressor.Add(body, ZSTD_e_flush);
    CHECK(DecodeWhole("zstd", bytes).result == DecodeResult::kMalformed);
    CHECK(DecodeSingly("zstd", bytes).result == DecodeResult::kMalformed);
  }
  // A descriptor (RFC 8878, 3.1.1.1) with the least window above 8 MiB: 2^23 and an eighth of it.
  CHECK(DecodeWhole("zstd", std::string_view("\x28\xb5\x2f\xfd\x00\x69\x01\x00\x00", 9)).result ==
        DecodeResult::kMalformed);
  CHECK(DecodeWhole("zstd", std::string_view("\x28\xb5\x2f\xfd\x00\x68\x01\x00\x00", 9)).Is(""));
}

TEST_CASE("a frame of zstd that is one segment of terabytes is malformed") {
  const std::string_view bytes("\x28\xb5\x2f\xfd\xe0\xff\xff\xff\xff\xff\x0f\x00\x00", 13);
  CHECK(DecodeWhole("zstd", bytes).result == DecodeResult::kMalformed);
  CHECK(DecodeSingly("zstd", bytes).result == DecodeResult::kMalformed);
}

TEST_CASE("a frame of zstd with a dictionary, or of an older format, is malformed") {
  const std::string_view dictionary("\x28\xb5\x2f\xfd\x21\x07\x01\x09\x00\x00z", 11);
  CHECK(DecodeWhole("zstd", dictionary).result == DecodeResult::kMalformed);
  // Of version 0.7, which the library may know: a window of 1 KiB, "hello" as it is, and the end.
  const std::string old("\x27\xb5\x2f\xfd\x00\x00\x40\x00\x05hello\xc0\x00\x00", 17);
  CHECK(DecodeWhole("zstd", old).result == DecodeResult::kMalformed);
  CHECK(DecodeSingly("zstd", Zstd("a") + old).result == DecodeResult::kMalformed);
}

TEST_CASE("what is no frame behind zstd is malformed") {
  for (const std::string& bytes : {Zstd(""), Zstd("hello"), SkippableFrame("hello")}) {
    CheckRefusesBehindEnd("zstd", bytes, std::string(1, '\0'));
    CheckRefusesBehindEnd("zstd", bytes, "\n");
    CheckRefusesBehindEnd("zstd", bytes, "hello");
    CheckRefusesBehindEnd("zstd", bytes, "\x28\xb5\x2f\xfe....");
  }
  CHECK(DecodeWhole("zstd", "<html>").result == DecodeResult::kMalformed);
}

TEST_CASE("an empty body is a whole one in zstd") {
  CHECK(DecodePieces(*MakeContentDecoder("zstd"), {}).Is(""));
  CHECK(DecodeWhole("zstd", Zstd("")).Is(""));
}

TEST_CASE("what an encoder of zstd flushes is decoded at once") {
  const auto decoder = MakeContentDecoder("zstd");
  Compressor compressor;
  for (const std::string body : {"data: 1\n\n", "data: 2\n\n", "data: 3\n\n"}) {
    const std::string bytes = compressor.Add(body, ZSTD_e_flush);
    const std::string_view piece = bytes;
    const Decoded decoded = DecodePieces(*decoder, {&piece, 1});
    CHECK(decoded.body == body);
    CHECK_FALSE(decoded.complete);
  }
  const std::string bytes = compressor.Add("", ZSTD_e_end);
  const std::string_view piece = bytes;
  CHECK(DecodePieces(*decoder, {&piece, 1}).Is(""));
}

TEST_CASE("zstd of many zeros comes in parts out of the memory of its window") {
  Compressor compressor(23);
  std::string bomb;
  const std::string zeros(kMiB, '\0');
  for (int i = 0; i < 64; ++i) bomb += compressor.Add(zeros, ZSTD_e_continue);
  bomb += compressor.Add("", ZSTD_e_flush);
  CHECK(bomb.size() < 20'000);
  CheckBomb("zstd", bomb, 9 * kMiB);
}

TEST_CASE("zstd among several codings") {
  const std::string body = Words(1000);
  CHECK(DecodeWhole("zstd, gzip", Gzip(Zstd(body))).Is(body));
  CHECK(DecodeSingly("gzip, zstd", Zstd(Gzip(body))).Is(body));
  const std::string skipped = SkippableFrame(std::string(4 * kMiB, '\0')) + Zstd("hello");
  CHECK(DecodeWhole("zstd", skipped).Is("hello"));
  CHECK(DecodeWhole("zstd, gzip", Gzip(skipped)).result == DecodeResult::kMalformed);
}

}  // namespace
}  // namespace holdfast::http::internal::zstd_test
