// A hash whose collisions nobody can compute who doesn't know its secret.
#ifndef HOLDFAST_SRC_RATE_SECRET_HASH_H_
#define HOLDFAST_SRC_RATE_SECRET_HASH_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "holdfast/base/internal/int128.h"

namespace holdfast::internal {

// After wyhash (Wang Yi, in the public domain), with constants that are all secret, as the maps of
// Go have it: each sixteen bytes are masked, and one half is multiplied with the other and with
// what came before. Without the masks there is nothing to choose texts by.
class SecretHash {
 public:
  using Secret = std::array<std::uint64_t, 4>;

  static std::uint64_t Of(std::string_view text, const Secret& secret) {
    const char* at = text.data();
    std::size_t left = text.size();
    std::uint64_t state = secret[0];
    for (; left > 16; left -= 16, at += 16) {
      state =
          Fold(Product(Read<std::uint64_t>(at) ^ secret[1], Read<std::uint64_t>(at + 8) ^ state));
    }
    const auto [first, last] = Ends(at, left);
    const Uint128 product = Product(first ^ secret[1], last ^ state);
    return Fold(Product(static_cast<std::uint64_t>(product) ^ secret[2] ^ text.size(),
                        static_cast<std::uint64_t>(product >> 64) ^ secret[3]));
  }

 private:
  struct Words {
    std::uint64_t first;
    std::uint64_t last;
  };

  static Uint128 Product(std::uint64_t a, std::uint64_t b) { return Uint128{a} * b; }
  static std::uint64_t Fold(Uint128 product) {
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }

  template <class Word>
  static std::uint64_t Read(const char* bytes) {
    Word word = 0;
    std::memcpy(&word, bytes, sizeof word);
    return word;
  }

  // All of up to sixteen bytes; some of them twice, if there are fewer.
  static Words Ends(const char* at, std::size_t count) {
    if (count >= 8) return {Read<std::uint64_t>(at), Read<std::uint64_t>(at + count - 8)};
    if (count >= 4) return {Read<std::uint32_t>(at), Read<std::uint32_t>(at + count - 4)};
    if (count == 0) return {0, 0};
    return {Read<unsigned char>(at) << 8 | Read<unsigned char>(at + count / 2),
            Read<unsigned char>(at + count - 1)};
  }
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_RATE_SECRET_HASH_H_
