#include "src/http/coding/inflate.h"

#include <zlib.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "test/http/coding/decode.h"
#include "test/http/coding/encode.h"
#include "test/support/catch.h"

namespace holdfast::http::internal::inflate_test {
namespace {

// A member with all that a header can have (RFC 1952, 2.3): text, a checksum of the header, an
// extra field, a name and a comment.
std::string GzipWithAllFields(std::string_view body) {
  std::string head("\x1f\x8b\x08\x1f\x01\x02\x03\x04\x02\x03", 10);
  head += std::string("\x03\x00xyz", 5);
  head += std::string("name\0comment\0", 13);
  const uLong sum =
      crc32(0, reinterpret_cast<const Bytef*>(head.data()), static_cast<uInt>(head.size()));
  head += static_cast<char>(sum & 0xff);
  head += static_cast<char>(sum >> 8 & 0xff);
  return head + Gzip(body).substr(10);
}

// A member of zeros without end, of which 1 GiB is made: a block of 1 MiB that refers to nothing
// before it, a thousand times.
std::string Bomb(int bits) {
  Deflater deflater(bits, 9);
  std::string bomb = deflater.Add(std::string(kMiB, '\0'), Z_FULL_FLUSH);
  const std::string block = deflater.Add(std::string(kMiB, '\0'), Z_FULL_FLUSH);
  for (int i = 0; i < 1023; ++i) bomb += block;
  return bomb;
}

TEST_CASE("gzip and deflate of any size are decoded, whole and byte by byte") {
  CheckSizes("gzip", Gzip);
  CheckSizes("deflate", Zlib);
  CheckSizes("deflate", RawDeflate);
}

TEST_CASE("gzip and deflate are decoded whatever pieces they come in") {
  CheckAnyPieces("gzip", Gzip);
  CheckAnyPieces("deflate", Zlib);
  CheckAnyPieces("deflate", RawDeflate);
}

TEST_CASE("gzip and deflate of every level of compression are decoded") {
  const std::string body = Words(5000) + Noise(5000) + std::string(5000, 'z');
  for (int level = 0; level <= 9; ++level) {
    CAPTURE(level);
    CHECK(DecodeWhole("gzip", Deflated(kGzipBits, body, level)).Is(body));
    CHECK(DecodeWhole("deflate", Deflated(kZlibBits, body, level)).Is(body));
    CHECK(DecodeWhole("deflate", Deflated(kRawBits, body, level)).Is(body));
  }
}

TEST_CASE("deflate with a smaller window is the zlib format too") {
  const std::string body = Words(5000);
  for (int bits = 9; bits <= 15; ++bits) {
    CAPTURE(bits);
    CHECK(DecodeWhole("deflate", Deflated(bits, body)).Is(body));
    CHECK(DecodeSingly("deflate", Deflated(bits, body)).Is(body));
  }
}

TEST_CASE("gzip and deflate that are cut are no whole body") {
  const std::string body = Words(300);
  CheckCuts("gzip", Gzip(body), body, {});
  CheckCuts("gzip", GzipWithAllFields(body), body, {});
  CheckCuts("deflate", Zlib(body), body, {});
  CheckCuts("deflate", RawDeflate(body), body, {});
  CheckCuts("deflate", RawDeflate(""), "", {});
}

TEST_CASE("gzip of several members is one body, which may end behind each of them") {
  const std::string first = Words(100);
  const std::string second;
  const std::string third = Noise(100);
  const std::vector<std::size_t> ends = {Gzip(first).size(),
                                         Gzip(first).size() + GzipWithAllFields(second).size()};
  CheckCuts("gzip", Gzip(first) + GzipWithAllFields(second) + Gzip(third), first + third, ends);
}

TEST_CASE("members of gzip that end with a part go on in the next") {
  std::string bytes;
  std::string body;
  for (const std::size_t size : {kPart, kPart, kPart - 1, std::size_t{0}, std::size_t{1}, kPart}) {
    bytes += Gzip(Words(size));
    body += Words(size);
  }
  CHECK(DecodeWhole("gzip", bytes).Is(body));
  CHECK(DecodeSingly("gzip", bytes).Is(body));
}

TEST_CASE("a hundred thousand empty members of gzip are an empty body") {
  const std::string member = Gzip("");
  std::string bytes;
  for (int i = 0; i < 100'000; ++i) bytes += member;
  CHECK(DecodeWhole("gzip", bytes).Is(""));
}

TEST_CASE("a bit that changes in gzip changes no byte of a whole body") {
  // Time (32 bits), extra flags and system (8 each) and the flag of text say nothing of the body;
  // nor do the bits between the last block and the next byte.
  const std::string body = Words(60);
  const std::size_t same = CheckBitFlips("gzip", Gzip(body), body);
  CHECK((same >= 49 && same < 49 + 8));
  CHECK(CheckBitFlips("gzip", GzipWithAllFields(body), body) < 8);
  const std::size_t of_two = CheckBitFlips("gzip", Gzip("a") + Gzip("b"), "ab");
  CHECK((of_two >= 98 && of_two < 98 + 16));
}

TEST_CASE("a bit that changes in the zlib format changes no byte of a whole body") {
  CHECK(CheckBitFlips("deflate", Zlib(Words(60)), Words(60)) < 8);
}

TEST_CASE("a member of gzip with another length than it says is malformed") {
  std::string bytes = Gzip("hello");
  bytes[bytes.size() - 4] = 6;
  CHECK(DecodeWhole("gzip", bytes).result == DecodeResult::kMalformed);
}

TEST_CASE("zero bytes behind gzip are skipped, but nothing else is, nor before it") {
  const std::string bytes = Gzip("hello");
  for (const std::size_t size : {1, 7, 512, 100'000}) {
    const std::string padded = bytes + std::string(size, '\0');
    CHECK(DecodeWhole("gzip", padded).Is("hello"));
    CHECK(DecodeSingly("gzip", padded).Is("hello"));
    CheckRefusesBehindEnd("gzip", padded, "x");
    CheckRefusesBehindEnd("gzip", padded, bytes);
  }
  CheckRefusesBehindEnd("gzip", bytes, "\r\n");
  CheckRefusesBehindEnd("gzip", bytes, "\n");
  CheckRefusesBehindEnd("gzip", bytes, "hello");
  CheckRefusesBehindEnd("gzip", bytes, "\x1f\x8c");
  CheckRefusesBehindEnd("gzip", bytes, Zlib("hello"));
  CheckRefusesBehindEnd("gzip", std::string(1, '\0'), bytes);
}

TEST_CASE("any byte behind deflate is malformed") {
  for (const std::string& bytes : {Zlib("hello"), RawDeflate("hello"), RawDeflate("")}) {
    for (const std::string& behind : {std::string(1, '\0'), std::string("\n"), bytes}) {
      CheckRefusesBehindEnd("deflate", bytes, behind);
    }
  }
}

TEST_CASE("what is not compressed is malformed") {
  for (const std::string_view coding : {"gzip", "deflate"}) {
    CAPTURE(coding);
    CHECK(DecodeWhole(coding, "<html>").result == DecodeResult::kMalformed);
    CHECK(DecodeSingly(coding, "<html>").result == DecodeResult::kMalformed);
    CheckFinal(coding, "<html>", coding == "gzip" ? Gzip("hello") : Zlib("hello"));
  }
}

TEST_CASE("gzip in place of deflate is malformed, and deflate in place of gzip") {
  CHECK(DecodeWhole("deflate", Gzip("hello")).result == DecodeResult::kMalformed);
  CHECK(DecodeWhole("gzip", Zlib("hello")).result == DecodeResult::kMalformed);
  CHECK(DecodeWhole("gzip", RawDeflate("hello")).result == DecodeResult::kMalformed);
}

TEST_CASE("deflate with a dictionary that nobody has is malformed") {
  // FDICT (RFC 1950, 2.2), and a header that is valid with it.
  const std::string bytes = std::string("\x78\xbb\x00\x00\x00\x01", 6) + RawDeflate("hello");
  CHECK(DecodeWhole("deflate", bytes).result == DecodeResult::kMalformed);
}

TEST_CASE("what an encoder flushes is decoded at once") {
  for (const int bits : {kGzipBits, kZlibBits, kRawBits}) {
    const auto decoder = MakeContentDecoder(bits == kGzipBits ? "gzip" : "deflate");
    Deflater deflater(bits);
    for (const std::string body : {"data: 1\n\n", "data: 2\n\n", "data: 3\n\n"}) {
      const std::string bytes = deflater.Add(body, Z_SYNC_FLUSH);
      const std::string_view piece = bytes;
      const Decoded decoded = DecodePieces(*decoder, {&piece, 1});
      CAPTURE(bits);
      CHECK(decoded.body == body);
      CHECK_FALSE(decoded.complete);
    }
    const std::string bytes = deflater.Add("", Z_FINISH);
    const std::string_view piece = bytes;
    CHECK(DecodePieces(*decoder, {&piece, 1}).Is(""));
  }
}

TEST_CASE("1 GiB out of 1 MB of gzip or deflate comes in parts and takes little memory") {
  CheckBomb("gzip", Bomb(kGzipBits), kMiB / 8);
  CheckBomb("deflate", Bomb(kZlibBits), kMiB / 8);
  CheckBomb("deflate", Bomb(kRawBits), kMiB / 8);
}

}  // namespace
}  // namespace holdfast::http::internal::inflate_test
