// Counters that threads on different processors raise without waiting for each other.
#ifndef HOLDFAST_BASE_INTERNAL_STRIPED_COUNTERS_H_
#define HOLDFAST_BASE_INTERNAL_STRIPED_COUNTERS_H_

#include <absl/base/attributes.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "holdfast/base/internal/thread_number.h"

namespace holdfast::internal {

// Counters, numbered from 0, modulo 2^64. Thread-safe and lock-free. All orders are relaxed: each
// counter is a value by itself. A sum reads the stripes one after the other, so a counter to which
// nothing negative is added never shrinks for a thread that reads it twice, and what is added in
// one stripe and taken away in another may be read one apart, as may two counters that are raised
// together.
class StripedCounters {
 public:
  explicit StripedCounters(std::size_t count)
      : mask_(StripeCount() - 1),
        lines_((count + kPerLine - 1) / kPerLine),
        words_(std::make_unique<Line[]>(lines_ * (mask_ + 1))) {}

  ABSL_ATTRIBUTE_ALWAYS_INLINE void Add(std::size_t which, std::uint64_t n = 1) {
    Word(ThreadNumber() & mask_, which).fetch_add(n, std::memory_order_relaxed);
  }

  std::uint64_t Sum(std::size_t which) const {
    std::uint64_t sum = 0;
    for (std::size_t stripe = 0; stripe <= mask_; ++stripe) {
      sum += Word(stripe, which).load(std::memory_order_relaxed);
    }
    return sum;
  }

 private:
  static constexpr std::size_t kPerLine = 8;
  struct alignas(64) Line {
    std::array<std::atomic<std::uint64_t>, kPerLine> words{};
  };

  std::atomic<std::uint64_t>& Word(std::size_t stripe, std::size_t which) const {
    return words_[stripe * lines_ + which / kPerLine].words[which % kPerLine];
  }

  std::size_t mask_;
  std::size_t lines_;  // of each stripe
  std::unique_ptr<Line[]> words_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_STRIPED_COUNTERS_H_
