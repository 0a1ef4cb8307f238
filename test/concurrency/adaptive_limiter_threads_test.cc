// Threads over one limiter. Meant for TSan as well.
#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>

#include "holdfast/concurrency/adaptive_limiter.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::adaptive_limiter_threads_test {
namespace {

using namespace std::chrono_literals;
using Ticket = AdaptiveLimiter::Ticket;

TEST_CASE("threads that come and go keep to the limit, and leave nothing behind") {
  constexpr int kThreads = 8;
  const LimitAlgorithm algorithm =
      GENERATE(LimitAlgorithm(Aimd{}), LimitAlgorithm(Vegas{}), LimitAlgorithm(Gradient2{}));
  AdaptiveLimiter limiter(
      {.algorithm = algorithm, .initial = 4, .minimum = 2, .maximum = 6, .window = 100us});
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  test::InThreads(kThreads, [&](int thread) {
    for (int i = 0; i < 20'000; ++i) {
      absl::StatusOr<Ticket> ticket = limiter.Admit();
      if (!ticket.ok()) continue;
      const int now_inside = inside.fetch_add(1, std::memory_order_relaxed) + 1;
      int seen = most.load(std::memory_order_relaxed);
      while (seen < now_inside &&
             !most.compare_exchange_weak(seen, now_inside, std::memory_order_relaxed)) {
      }
      inside.fetch_sub(1, std::memory_order_relaxed);
      if (i % 7 == 0) continue;  // dropped
      ticket->Done((i + thread) % 50 == 0 ? Outcome::kFailure : Outcome::kSuccess);
    }
  });
  CHECK(limiter.in_use() == 0);
  CHECK(most.load() <= 6);
  CHECK(limiter.limit() >= 2);
  CHECK(limiter.limit() <= 6);
}

}  // namespace
}  // namespace holdfast::adaptive_limiter_threads_test
