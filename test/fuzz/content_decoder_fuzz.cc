// The decoders of content codings: the same body whatever the pieces that bytes come in, in parts
// of the promised size, and nothing after what is final.
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/http/coding/content_decoder.h"

namespace holdfast::http::internal {
namespace {

void Require(bool truth) {
  if (!truth) __builtin_trap();
}

constexpr std::size_t kPart = 16'384;
constexpr std::size_t kEnough = 8 * kPart;

struct Outcome {
  DecodeResult result = DecodeResult::kOk;
  bool complete = false;
  std::string body;
};

Outcome Decode(std::string_view codings, const std::vector<std::string_view>& pieces) {
  const std::unique_ptr<ContentDecoder> decoder = MakeContentDecoder(codings);
  Require(decoder != nullptr && decoder->Complete());
  Outcome outcome;
  for (std::string_view bytes : pieces) {
    while (outcome.body.size() < kEnough &&
           (outcome.result = decoder->Decode(bytes)) == DecodeResult::kPart) {
      Require(decoder->part().size() <= kPart);
      outcome.body += decoder->part();
    }
    if (outcome.result != DecodeResult::kOk) break;
  }
  outcome.complete = outcome.result == DecodeResult::kOk && decoder->Complete();
  if (outcome.result == DecodeResult::kMalformed) {
    std::string_view more = "x";
    Require(!decoder->Complete() && decoder->Decode(more) == outcome.result);
  }
  return outcome;
}

void RequireSame(const Outcome& a, const Outcome& b) {
  const std::string_view shorter = a.body.size() < b.body.size() ? a.body : b.body;
  Require(a.body.starts_with(shorter) && b.body.starts_with(shorter));
  // What was decoded just before malformed bytes may or may not be enough.
  if (a.result != DecodeResult::kOk && b.result != DecodeResult::kOk) return;
  Require(a.result == b.result && a.complete == b.complete && a.body == b.body);
}

std::vector<std::string_view> PiecesOf(std::string_view bytes, std::size_t size) {
  std::vector<std::string_view> pieces;
  for (std::size_t i = 0; i < bytes.size(); i += size) pieces.push_back(bytes.substr(i, size));
  return pieces;
}

}  // namespace
}  // namespace holdfast::http::internal

// The first byte says which coding, the second how long the pieces are.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdfast::http::internal;
  if (size < 2) return 0;
  constexpr std::string_view kCodings[] = {
      "gzip", "deflate", "br", "zstd", "gzip, deflate", "deflate, gzip", "gzip, br", "br, zstd"};
  const std::string_view codings = kCodings[data[0] % std::size(kCodings)];
  if (MakeContentDecoder(codings) == nullptr) return 0;  // its library is not here
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const Outcome whole = Decode(codings, {bytes});
  RequireSame(whole, Decode(codings, PiecesOf(bytes, 1)));
  RequireSame(whole, Decode(codings, PiecesOf(bytes, 1 + data[1])));
  return 0;
}
