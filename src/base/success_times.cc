#include "holdfast/base/internal/success_times.h"

#include <algorithm>

namespace holdfast::internal {

void SuccessTimes::Record(Duration took) {
  const std::size_t before = count_.fetch_add(1, std::memory_order_relaxed);
  times_[before % kKept].store(took.count(), std::memory_order_relaxed);
  if (before + 1 == kKept) shift_.store(kOneIn32, std::memory_order_relaxed);
}

Duration SuccessTimes::SlowTenth() const {
  const std::size_t known = std::min(count_.load(std::memory_order_relaxed), kKept);
  if (known == 0) return Duration::max();
  std::array<Duration::rep, kKept> times;
  for (std::size_t i = 0; i < known; ++i) times[i] = times_[i].load(std::memory_order_relaxed);
  std::sort(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(known));
  return Duration(times[known * 9 / 10]);
}

}  // namespace holdfast::internal
