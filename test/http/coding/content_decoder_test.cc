#include "src/http/coding/content_decoder.h"

#include <zlib.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "src/http/wire/grammar.h"
#include "test/http/coding/decode.h"
#include "test/http/coding/encode.h"
#include "test/support/catch.h"

namespace holdfast::http::internal::content_decoder_test {
namespace {

TEST_CASE("the value of Accept-Encoding names what is decoded, once each") {
  std::optional<std::string_view> list = AcceptedCodings();
  std::string seen = ",";
  while (const auto coding = wire::NextElement(list)) {
    CAPTURE(*coding);
    CHECK(MakeContentDecoder(*coding) != nullptr);
    CHECK(seen.find("," + std::string(*coding) + ",") == std::string::npos);
    seen += std::string(*coding) + ",";
  }
  CHECK(seen.starts_with(",gzip,deflate,"));
  for (const std::string_view coding : {"br", "zstd"}) {
    const bool accepted = seen.find("," + std::string(coding) + ",") != std::string::npos;
    CHECK((MakeContentDecoder(coding) != nullptr) == accepted);
  }
}

TEST_CASE("names of codings have no case, and blanks and empty elements around them") {
  for (const std::string_view value :
       {"gzip", "GZIP", "x-gzip", "X-GZip", " gzip", "gzip\t ", ",gzip", "gzip,", " , gzip , ,",
        "identity, gzip", "gzip, Identity", "identity,,identity,gzip,identity"}) {
    CAPTURE(value);
    REQUIRE(MakeContentDecoder(value) != nullptr);
    CHECK(DecodeWhole(value, Gzip("hello")).Is("hello"));
  }
}

TEST_CASE("there is no decoder for what is not known, nor for what is not coded") {
  for (const std::string_view value : {"",
                                       " ",
                                       ",",
                                       "identity",
                                       "identity, IDENTITY",
                                       "compress",
                                       "x-compress",
                                       "gzip2",
                                       "zip",
                                       "g zip",
                                       "gzip deflate",
                                       "gzip;q=1",
                                       "*",
                                       "gzip, unknown",
                                       "unknown, gzip",
                                       "\"gzip\"",
                                       "aes128gcm",
                                       "dcb",
                                       "dcz",
                                       "x-deflate",
                                       "gzip\r\n"}) {
    CAPTURE(value);
    CHECK(MakeContentDecoder(value) == nullptr);
  }
}

TEST_CASE("an empty body is a whole one in every coding") {
  for (const std::string_view value : {"gzip", "deflate", "gzip, deflate"}) {
    CAPTURE(value);
    CHECK(DecodePieces(*MakeContentDecoder(value), {}).Is(""));
    CHECK(DecodeWhole(value, "").Is(""));
    CHECK_FALSE(DecodeWhole(value, "\x1f").complete);
  }
}

TEST_CASE("of several codings the last is undone first") {
  for (const std::string& body : {std::string(), Words(300), Noise(3 * kPart)}) {
    const std::string two = Zlib(Gzip(body));
    CHECK(DecodeWhole("gzip, deflate", two).Is(body));
    CHECK(DecodeSingly("gzip,deflate", two).Is(body));
    CHECK(DecodeWhole("deflate, gzip", two).result == DecodeResult::kMalformed);
    const std::string four = RawDeflate(Gzip(Zlib(Gzip(body))));
    CHECK(DecodeWhole("gzip, identity, deflate, x-gzip, , deflate", four).Is(body));
    CHECK(DecodeSingly("gzip, deflate, gzip, deflate", four).Is(body));
  }
}

TEST_CASE("at most four codings are undone") {
  CHECK(MakeContentDecoder("gzip, gzip, gzip, gzip") != nullptr);
  CHECK(MakeContentDecoder("gzip, gzip, gzip, gzip, gzip") == nullptr);
  std::string many = "gzip";
  for (int i = 0; i < 1000; ++i) many += ", identity, ";
  CHECK(MakeContentDecoder(many) != nullptr);
}

TEST_CASE("several codings are decoded whatever pieces they come in") {
  CheckAnyPieces("gzip, deflate", [](std::string_view body) { return Zlib(Gzip(body)); });
}

TEST_CASE("several codings that are cut are no whole body, nor those of what was cut before") {
  const std::string body = Words(100);
  CheckCuts("gzip, deflate", Zlib(Gzip(body)), body, {});
  const std::string once = Gzip(body);
  for (std::size_t cut = 1; cut < once.size(); ++cut) {
    CHECK_FALSE(DecodeWhole("gzip, deflate", Zlib(once.substr(0, cut))).complete);
  }
}

TEST_CASE("each of several codings refuses what is malformed in it, for good") {
  const std::string body = Words(100);
  CheckBitFlips("gzip, deflate", Zlib(Gzip(body)), body);
  for (const std::string& bytes : {Zlib("<html>"), Gzip(body), Zlib(Gzip(body) + "x")}) {
    CheckFinal("gzip, deflate", bytes, Zlib(Gzip(body)));
  }
}

TEST_CASE("zeros out of zeros out of zeros come in parts and take little memory") {
  const std::string bomb = Gzip(Gzip(Gzip(std::string(64 * kMiB, '\0'))));
  CHECK(bomb.size() < 1000);
  CheckBomb("gzip, gzip, gzip", bomb, 3 * kMiB / 8);
}

TEST_CASE("a coding inside another that goes on and on without a byte of the body is malformed") {
  const std::string padded = Gzip("hello") + std::string(4 * kMiB, '\0');
  CHECK(DecodeWhole("gzip", padded).Is("hello"));
  CHECK(DecodeWhole("gzip, gzip", Gzip(padded)).result == DecodeResult::kMalformed);
  const std::string member = Gzip("");
  std::string members;
  while (members.size() < 4 * kMiB) members += member;
  CHECK(DecodeWhole("gzip", members).Is(""));
  CHECK(DecodeWhole("gzip, gzip", Gzip(members)).result == DecodeResult::kMalformed);
  CHECK(DecodeWhole("deflate, gzip, gzip", Gzip(Gzip(members))).result == DecodeResult::kMalformed);
}

TEST_CASE("a coding inside another may flush each byte") {
  Deflater deflater(kGzipBits);
  std::string bytes;
  const std::string body = Noise(300'000);
  for (std::size_t i = 0; i < body.size(); ++i) {
    bytes += deflater.Add(std::string_view(body).substr(i, 1), Z_SYNC_FLUSH);
  }
  bytes += deflater.Add("", Z_FINISH);
  CHECK(bytes.size() > 4 * body.size());
  CHECK(DecodeWhole("gzip, deflate", Zlib(bytes)).Is(body));
}

}  // namespace
}  // namespace holdfast::http::internal::content_decoder_test
