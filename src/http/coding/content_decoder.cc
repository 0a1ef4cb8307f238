#include "src/http/coding/content_decoder.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "holdfast/http/wire/message.h"
#include "src/http/coding/inflate.h"
#include "src/http/wire/grammar.h"
#if HOLDFAST_HTTP_BROTLI
#include "src/http/coding/brotli.h"
#endif
#if HOLDFAST_HTTP_ZSTD
#include "src/http/coding/zstd.h"
#endif

namespace holdfast::http::internal {
namespace {

using wire::EqualsIgnoringCase;

constexpr std::size_t kMostCodings = 4;

struct Coding {
  std::string_view name;
  std::unique_ptr<ContentDecoder> (*make)();
};

constexpr auto kCodings = std::to_array<Coding>({
    {.name = "gzip", .make = MakeGzipDecoder},
    {.name = "x-gzip", .make = MakeGzipDecoder},  // RFC 9110, 8.4.1.3
    {.name = "deflate", .make = MakeDeflateDecoder},
#if HOLDFAST_HTTP_BROTLI
    {.name = "br", .make = MakeBrotliDecoder},
#endif
#if HOLDFAST_HTTP_ZSTD
    {.name = "zstd", .make = MakeZstdDecoder},
#endif
});

const Coding* FindCoding(std::string_view name) {
  for (const Coding& coding : kCodings) {
    if (EqualsIgnoringCase(coding.name, name)) return &coding;
  }
  return nullptr;
}

// What passes from one decoder to the next is bounded by what comes out at the end, and not only by
// what comes in: a thousand times as many bytes may come out of the first, and a million times as
// many out of the second, of which the next makes nothing (padding, empty members, skippable
// frames), so that a few bytes would keep a thread busy for hours without a byte of a body. An
// encoder adds little to what it cannot compress; one that flushes each byte makes seven of it.
constexpr std::uint64_t kPassedAtFirst = 1'048'576;
constexpr std::uint64_t kPassedForEach = 16;

class Chain final : public ContentDecoder {
 public:
  // In the order in which they are undone.
  explicit Chain(std::vector<std::unique_ptr<ContentDecoder>> decoders)
      : decoders_(std::move(decoders)) {}

  // The last that has anything left goes first: what it takes is in the room of the one before. It
  // returns after one part, be it from the last one or only passed on.
  DecodeResult Decode(std::string_view& bytes) override {
    part_ = {};
    const std::size_t last = decoders_.size() - 1;
    for (std::size_t index = last;; --index) {
      ContentDecoder& decoder = *decoders_[index];
      switch (decoder.Decode(index == 0 ? bytes : passing_[index - 1])) {
        case DecodeResult::kPart:
          if (index == last) return Give(decoder.part());
          passing_[index] = decoder.part();
          passed_[index] += decoder.part().size();
          return DecodeResult::kPart;
        case DecodeResult::kOk:
          if (index == 0) return DecodeResult::kOk;
          if (passed_[index - 1] > kPassedAtFirst + kPassedForEach * decoded_) malformed_ = true;
          break;
        case DecodeResult::kMalformed:
          malformed_ = true;
          break;
      }
      if (malformed_) return DecodeResult::kMalformed;
    }
  }

  bool Complete() const override {
    return !malformed_ && std::ranges::all_of(decoders_, &ContentDecoder::Complete);
  }

 private:
  DecodeResult Give(std::string_view part) {
    part_ = part;
    decoded_ += part.size();
    return DecodeResult::kPart;
  }

  const std::vector<std::unique_ptr<ContentDecoder>> decoders_;
  std::array<std::string_view, kMostCodings> passing_;  // by each, and not yet taken by the next
  std::array<std::uint64_t, kMostCodings> passed_{};    // the sum
  std::uint64_t decoded_ = 0;                           // by the last
  bool malformed_ = false;
};

}  // namespace

std::unique_ptr<ContentDecoder> MakeContentDecoder(std::string_view content_encoding) {
  std::vector<const Coding*> codings;
  std::optional<std::string_view> list = content_encoding;
  while (const std::optional<std::string_view> name = wire::NextElement(list)) {
    if (name->empty() || EqualsIgnoringCase(*name, "identity")) continue;
    const Coding* const coding = FindCoding(*name);
    if (coding == nullptr || codings.size() == kMostCodings) return nullptr;
    codings.push_back(coding);
  }
  if (codings.empty()) return nullptr;
  if (codings.size() == 1) return codings.front()->make();
  std::vector<std::unique_ptr<ContentDecoder>> decoders;
  for (; !codings.empty(); codings.pop_back()) decoders.push_back(codings.back()->make());
  return std::make_unique<Chain>(std::move(decoders));
}

std::string_view AcceptedCodings() {
  return "gzip, deflate"
#if HOLDFAST_HTTP_BROTLI
         ", br"
#endif
#if HOLDFAST_HTTP_ZSTD
         ", zstd"
#endif
      ;
}

}  // namespace holdfast::http::internal
