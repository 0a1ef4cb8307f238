// What a decoder makes of bytes that come in pieces, and what holds of every coding.
#ifndef HOLDFAST_TEST_HTTP_CODING_DECODE_H_
#define HOLDFAST_TEST_HTTP_CODING_DECODE_H_

#include <malloc.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/http/coding/content_decoder.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"

namespace holdfast::http::internal {

inline constexpr std::size_t kPart = 16'384;
inline constexpr std::size_t kMiB = 1'048'576;

struct Decoded {
  DecodeResult result = DecodeResult::kOk;
  bool complete = false;
  std::string body;
  bool parts_fit = true;  // none is longer than it may be

  bool operator==(const Decoded&) const = default;
  // A whole body, and this one.
  bool Is(std::string_view expected) const {
    return result == DecodeResult::kOk && complete && parts_fit && body == expected;
  }
};

// Adds what comes of the bytes to `decoded`.
inline void DecodeInto(ContentDecoder& decoder, std::string_view bytes, Decoded& decoded) {
  while ((decoded.result = decoder.Decode(bytes)) == DecodeResult::kPart) {
    decoded.parts_fit = decoded.parts_fit && decoder.part().size() <= kPart;
    decoded.body += decoder.part();
  }
}

inline Decoded DecodePieces(ContentDecoder& decoder, std::span<const std::string_view> pieces) {
  Decoded decoded;
  for (const std::string_view piece : pieces) {
    DecodeInto(decoder, piece, decoded);
    if (decoded.result != DecodeResult::kOk) break;
  }
  decoded.complete = decoder.Complete();
  return decoded;
}

inline Decoded DecodeWhole(std::string_view coding, std::string_view bytes) {
  return DecodePieces(*MakeContentDecoder(coding), {&bytes, 1});
}

inline Decoded DecodeSingly(std::string_view coding, std::string_view bytes) {
  std::vector<std::string_view> pieces;
  for (std::size_t i = 0; i < bytes.size(); ++i) pieces.push_back(bytes.substr(i, 1));
  return DecodePieces(*MakeContentDecoder(coding), pieces);
}

// That says little when compressed, and something.
inline std::string Noise(std::size_t size, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::string noise(size, '\0');
  for (char& byte : noise) byte = static_cast<char>(random());
  return noise;
}
inline std::string Words(std::size_t size) {
  std::string words;
  for (unsigned i = 0; words.size() < size; ++i) words += "word " + std::to_string(i * i) + ' ';
  words.resize(size);
  return words;
}

using Encode = std::function<std::string(std::string_view)>;

inline void CheckSizes(std::string_view coding, const Encode& encode) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, kPart - 1, kPart, kPart + 1, 3 * kPart, kMiB}) {
    for (const std::string& body : {std::string(size, 'z'), Words(size), Noise(size)}) {
      CAPTURE(coding, size, body.substr(0, 10));
      const std::string bytes = encode(body);
      CHECK(DecodeWhole(coding, bytes).Is(body));
      if (bytes.size() < 100'000) CHECK(DecodeSingly(coding, bytes).Is(body));
    }
  }
}

// Of bodies that are repeated to some degree, in pieces of any size.
inline void CheckAnyPieces(std::string_view coding, const Encode& encode) {
  test::Property([&] {
    std::string body;
    for (int runs = *rc::gen::inRange(0, 6); runs > 0; --runs) {
      const auto size = *rc::gen::inRange<std::size_t>(0, 2 * kPart);
      body += *rc::gen::arbitrary<bool>() ? Noise(size, *rc::gen::arbitrary<unsigned>())
                                          : std::string(size, *rc::gen::arbitrary<char>());
    }
    const std::string bytes = encode(body);
    auto sizes = *rc::gen::container<std::vector<std::size_t>>(
        rc::gen::inRange<std::size_t>(0, *rc::gen::element<std::size_t>(3, 100, 10'000)));
    sizes.push_back(1);  // again and again, so that there is an end
    std::vector<std::string_view> pieces;
    std::string_view rest = bytes;
    for (std::size_t i = 0; !rest.empty(); ++i) {
      pieces.push_back(rest.substr(0, sizes[i % sizes.size()]));
      rest.remove_prefix(pieces.back().size());
    }
    RC_ASSERT(DecodePieces(*MakeContentDecoder(coding), pieces).Is(body));
  });
}

// Cut anywhere it is no whole body, but at its beginning and where one of its members ends. What is
// there of it is a beginning of the body.
inline void CheckCuts(std::string_view coding, std::string_view bytes, std::string_view body,
                      const std::vector<std::size_t>& ends) {
  CAPTURE(coding);
  REQUIRE(DecodeWhole(coding, bytes).Is(body));
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    const Decoded decoded = DecodeWhole(coding, bytes.substr(0, cut));
    CAPTURE(cut);
    CHECK(decoded.result == DecodeResult::kOk);
    CHECK(decoded.complete == (cut == 0 || std::ranges::find(ends, cut) != ends.end()));
    CHECK(body.starts_with(decoded.body));
    CHECK(DecodeSingly(coding, bytes.substr(0, cut)) == decoded);
  }
}

// With a bit changed it is the same body or no whole body. The number of bits that say nothing.
inline std::size_t CheckBitFlips(std::string_view coding, std::string_view bytes,
                                 std::string_view body) {
  std::size_t same = 0;
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    std::string flipped(bytes);
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    const Decoded decoded = DecodeWhole(coding, flipped);
    CAPTURE(coding, bit);
    if (decoded.result == DecodeResult::kOk && decoded.complete) {
      CHECK(decoded.body == body);
      ++same;
    }
    const Decoded singly = DecodeSingly(coding, flipped);
    CHECK(singly.result == decoded.result);
    CHECK(singly.complete == decoded.complete);
  }
  return same;
}

// That what is behind the end is malformed, wherever the pieces end.
inline void CheckRefusesBehindEnd(std::string_view coding, const std::string& bytes,
                                  std::string_view behind) {
  CAPTURE(coding, behind);
  const std::string longer = bytes + std::string(behind);
  CHECK(DecodeWhole(coding, longer).result == DecodeResult::kMalformed);
  CHECK(DecodeSingly(coding, longer).result == DecodeResult::kMalformed);
  CHECK_FALSE(DecodeSingly(coding, longer).complete);
}

// Once they are malformed, no bytes are anything else.
inline void CheckFinal(std::string_view coding, std::string_view malformed,
                       std::string_view sound) {
  CAPTURE(coding);
  const auto decoder = MakeContentDecoder(coding);
  for (const std::string_view bytes : {malformed, malformed, sound, std::string_view()}) {
    Decoded decoded;
    DecodeInto(*decoder, bytes, decoded);
    CHECK(decoded.result == DecodeResult::kMalformed);
    CHECK_FALSE(decoder->Complete());
  }
}

// Bytes that become far more are delivered part by part, out of no more memory than `most`, until
// nobody asks for more. A sanitizer's allocator does not say how much memory is taken: zero.
inline void CheckBomb(std::string_view coding, std::string_view bytes, std::size_t most) {
  CAPTURE(coding);
  const auto taken = [] {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
  };
  const std::size_t before = taken();
  std::size_t peak = before;
  std::size_t size = 0;
  bool zeros = true;
  const auto decoder = MakeContentDecoder(coding);
  while (size < kMiB && decoder->Decode(bytes) == DecodeResult::kPart) {
    const std::string_view part = decoder->part();
    peak = std::max(peak, taken());
    zeros = zeros && part.size() <= kPart && part.find_first_not_of('\0') == part.npos;
    size += part.size();
  }
  CHECK(size == kMiB);
  CHECK(zeros);
  CHECK(peak - before <= most);
}

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_TEST_HTTP_CODING_DECODE_H_
