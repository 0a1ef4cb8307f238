#include "holdfast/breaker/open_time.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <mutex>
#include <random>
#include <utility>

#include "holdfast/base/internal/random.h"

namespace holdfast {

std::function<TimeSpan(std::uint64_t)> BackoffOpenTime(Backoff backoff,
                                                       std::optional<std::uint64_t> seed) {
  constexpr auto kRetry = [](std::uint64_t openings) {
    constexpr std::uint64_t kMost = std::numeric_limits<int>::max();
    return static_cast<int>(std::min(openings, kMost));
  };
  if (!seed) {
    return [backoff = std::move(backoff), kRetry](std::uint64_t openings) {
      return backoff.Delay(kRetry(openings), internal::ThreadRandom());
    };
  }
  struct Shared {
    std::mutex mutex;
    std::mt19937_64 gen;
  };
  auto shared = std::make_shared<Shared>();
  shared->gen.seed(*seed);
  return [backoff = std::move(backoff), shared, kRetry](std::uint64_t openings) {
    std::mt19937_64 gen;
    {
      const std::lock_guard lock(shared->mutex);
      gen.seed(shared->gen());
    }
    return backoff.Delay(kRetry(openings), gen);
  };
}

}  // namespace holdfast
