#include "src/http/coding/brotli.h"

#include <brotli/encode.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "test/http/coding/decode.h"
#include "test/http/coding/encode.h"
#include "test/support/catch.h"

namespace holdfast::http::internal::brotli_test {
namespace {

class Encoder {
 public:
  explicit Encoder(std::uint32_t window_bits = 16, bool large_window = false)
      : state_(BrotliEncoderCreateInstance(nullptr, nullptr, nullptr)) {
    if (state_ == nullptr) throw std::runtime_error("BrotliEncoderCreateInstance");
    BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_QUALITY, 4);
    BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_LARGE_WINDOW, large_window ? 1 : 0);
    BrotliEncoderSetParameter(state_.get(), BROTLI_PARAM_LGWIN, window_bits);
  }

  std::string Add(std::string_view bytes, BrotliEncoderOperation operation) {
    std::size_t left = bytes.size();
    const auto* in = reinterpret_cast<const std::uint8_t*>(bytes.data());
    std::string out;
    do {
      std::size_t none = 0;
      if (BrotliEncoderCompressStream(state_.get(), operation, &left, &in, &none, nullptr,
                                      nullptr) == BROTLI_FALSE) {
        throw std::runtime_error("BrotliEncoderCompressStream");
      }
      std::size_t size = 0;
      const std::uint8_t* part = BrotliEncoderTakeOutput(state_.get(), &size);
      out.append(reinterpret_cast<const char*>(part), size);
    } while (left != 0 || BrotliEncoderHasMoreOutput(state_.get()) != BROTLI_FALSE ||
             (operation == BROTLI_OPERATION_FINISH &&
              BrotliEncoderIsFinished(state_.get()) == BROTLI_FALSE));
    return out;
  }

 private:
  struct Destroy {
    void operator()(BrotliEncoderState* state) const { BrotliEncoderDestroyInstance(state); }
  };
  std::unique_ptr<BrotliEncoderState, Destroy> state_;
};

std::string Brotli(std::string_view body) { return Encoder().Add(body, BROTLI_OPERATION_FINISH); }

TEST_CASE("brotli of any size is decoded, whole and byte by byte") { CheckSizes("br", Brotli); }

TEST_CASE("brotli is decoded whatever pieces it comes in") { CheckAnyPieces("br", Brotli); }

TEST_CASE("brotli of every window of RFC 7932 is decoded, a larger one is malformed") {
  const std::string body = Words(50'000);
  for (std::uint32_t bits = BROTLI_MIN_WINDOW_BITS; bits <= BROTLI_MAX_WINDOW_BITS; ++bits) {
    CAPTURE(bits);
    CHECK(DecodeWhole("br", Encoder(bits).Add(body, BROTLI_OPERATION_FINISH)).Is(body));
  }
  const std::string large = Encoder(26, true).Add(body, BROTLI_OPERATION_FINISH);
  CHECK(DecodeWhole("br", large).result == DecodeResult::kMalformed);
}

TEST_CASE("brotli that is cut is no whole body") {
  CheckCuts("br", Brotli(Words(300)), Words(300), {});
  CheckCuts("BR", Brotli(Noise(300)), Noise(300), {});
}

// It has no checksum.
TEST_CASE("a bit that changes in brotli makes nothing worse than another body") {
  const std::string bytes = Brotli(Words(200));
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    const Decoded whole = DecodeWhole("br", flipped);
    const Decoded singly = DecodeSingly("br", flipped);
    CAPTURE(bit);
    CHECK(singly.result == whole.result);
    CHECK(singly.complete == whole.complete);
    if (whole.result == DecodeResult::kOk) CHECK(singly.body == whole.body);
  }
}

TEST_CASE("any byte behind brotli is malformed") {
  for (const std::string& bytes : {Brotli(""), Brotli("hello")}) {
    CheckRefusesBehindEnd("br", bytes, std::string(1, '\0'));
    CheckRefusesBehindEnd("br", bytes, "\n");
    CheckRefusesBehindEnd("br", bytes, bytes);
  }
}

TEST_CASE("an empty body is a whole one in brotli") {
  CHECK(DecodePieces(*MakeContentDecoder("br"), {}).Is(""));
  CHECK(DecodeWhole("br", Brotli("")).Is(""));
}

TEST_CASE("what an encoder of brotli flushes is decoded at once") {
  const auto decoder = MakeContentDecoder("br");
  Encoder encoder;
  for (const std::string body : {"data: 1\n\n", "data: 2\n\n", "data: 3\n\n"}) {
    const std::string bytes = encoder.Add(body, BROTLI_OPERATION_FLUSH);
    const std::string_view piece = bytes;
    const Decoded decoded = DecodePieces(*decoder, {&piece, 1});
    CHECK(decoded.body == body);
    CHECK_FALSE(decoded.complete);
  }
  const std::string bytes = encoder.Add("", BROTLI_OPERATION_FINISH);
  const std::string_view piece = bytes;
  CHECK(DecodePieces(*decoder, {&piece, 1}).Is(""));
}

TEST_CASE("brotli of many zeros comes in parts out of the memory of its window") {
  Encoder encoder(24);
  std::string bomb;
  const std::string zeros(kMiB, '\0');
  for (int i = 0; i < 64; ++i) bomb += encoder.Add(zeros, BROTLI_OPERATION_PROCESS);
  bomb += encoder.Add("", BROTLI_OPERATION_FLUSH);
  CHECK(bomb.size() < 10'000);
  CheckBomb("br", bomb, 33 * kMiB);
}

TEST_CASE("brotli among several codings") {
  const std::string body = Words(1000);
  CHECK(DecodeWhole("br, gzip", Gzip(Brotli(body))).Is(body));
  CHECK(DecodeSingly("gzip, br", Brotli(Gzip(body))).Is(body));
}

}  // namespace
}  // namespace holdfast::http::internal::brotli_test
