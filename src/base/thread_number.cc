#include "holdfast/base/internal/thread_number.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <thread>

namespace holdfast::internal {

std::size_t TakeThreadNumber() {
  constinit static std::atomic<std::size_t> taken = 0;
  thread_number = taken.fetch_add(1, std::memory_order_relaxed) + 1;
  return thread_number;
}

std::size_t StripeCount() {
  static const std::size_t count =
      std::clamp<std::size_t>(std::bit_ceil(2 * std::thread::hardware_concurrency()), 2, 16);
  return count;
}

}  // namespace holdfast::internal
