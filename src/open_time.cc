#include "holdfast/open_time.h"

#include <absl/random/random.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <mutex>
#include <random>
#include <utility>

namespace holdfast {

std::function<Duration(std::uint64_t)> BackoffOpenTime(Backoff backoff,
                                                       std::optional<std::uint64_t> seed) {
  struct Shared {
    std::mutex mutex;
    std::mt19937_64 gen;
  };
  auto shared = std::make_shared<Shared>();
  shared->gen.seed(seed ? *seed : absl::BitGen()());
  return [backoff = std::move(backoff), shared](std::uint64_t openings) {
    constexpr std::uint64_t kMost = std::numeric_limits<int>::max();
    std::mt19937_64 gen;
    {
      const std::lock_guard lock(shared->mutex);
      gen.seed(shared->gen());
    }
    return backoff.Delay(static_cast<int>(std::min(openings, kMost)), gen);
  };
}

}  // namespace holdfast
