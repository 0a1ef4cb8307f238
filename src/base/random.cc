#include "holdfast/base/internal/random.h"

#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <random>

#include "holdfast/base/internal/process.h"

namespace holdfast::internal {
namespace {

template <std::size_t kSize>
std::array<std::uint32_t, kSize> Entropy() {
  std::array<std::uint32_t, kSize> words = {};
  if (::getentropy(words.data(), sizeof words) != 0) {
    // Of a system without a source of its own; the process and the time make it differ.
    absl::BitGen gen;
    const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
    for (std::uint32_t& word : words) word = absl::Uniform<std::uint32_t>(gen);
    words[0] ^= static_cast<std::uint32_t>(::getpid());
    words[1] ^= static_cast<std::uint32_t>(now);
  }
  return words;
}

absl::InsecureBitGen NewGenerator() {
  const auto words = Entropy<8>();
  std::seed_seq seed(words.begin(), words.end());
  return absl::InsecureBitGen(seed);
}

}  // namespace

std::uint64_t RandomSeed() {
  const auto words = Entropy<2>();
  return std::uint64_t{words[0]} << 32 | words[1];
}

absl::InsecureBitGen& ThreadRandom() {
  thread_local std::uint32_t generation = ProcessGeneration();
  thread_local absl::InsecureBitGen gen = NewGenerator();
  if (generation != ProcessGeneration()) {
    generation = ProcessGeneration();
    gen = NewGenerator();
  }
  return gen;
}

}  // namespace holdfast::internal
