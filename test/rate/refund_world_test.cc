// What it does to a service that comes back whether a rate limit keeps the tokens of calls that an
// open breaker inside of it has refused, in virtual time.
#include <absl/status/status.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iterator>
#include <memory>
#include <vector>

#include "holdfast/holdfast.h"
#include "holdfast/testing.h"
#include "test/support/catch.h"

namespace holdfast::testing::refund_world_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

using Executor = std::function<void(Call&, Reply<absl::Status>)>;

// A program that wants to make 1,000 calls a second, of which a limit lets 100 through, with a
// burst of 100; the service is down from 10 s to 12 s, and a breaker open from then to 15 s. The
// most calls that come to it in a tenth of a second once it is back.
std::ptrdiff_t MostAtOnceAfterwards(bool refund) {
  World world;
  std::vector<Duration> came;
  const auto call =
      Simulate(world,
               Stack(RateLimit(TokenBucket::Options{.rate = 100, .burst = 100},
                               {.max_wait = 0s, .refund_refused = refund}),
                     CircuitBreak({.timeout = 5s})),
               Executor([&](Call&, Reply<absl::Status> reply) {
                 const Duration now = world.Now().time_since_epoch();
                 const bool down = now >= 10s && now < 12s;
                 came.push_back(now);
                 world.After(1ms, [reply, down] {
                   reply.Done(down ? absl::UnavailableError("down") : absl::OkStatus());
                 });
               }));
  for (Duration at{0}; at < 20s; at += 1ms) {
    world.At(at, [&call] { call([](const absl::Status&) {}); });
  }
  world.Run();
  std::ptrdiff_t most = 0;
  for (auto first = std::ranges::lower_bound(came, Duration(12s)); first != came.end(); ++first) {
    const auto last = std::ranges::upper_bound(came, *first + 100ms);
    most = std::max(most, std::distance(first, last));
  }
  return most;
}

TEST_CASE("a limit that gives nothing back spares a service which has just come back") {
  CHECK(MostAtOnceAfterwards(false) <= 12);
  CHECK(MostAtOnceAfterwards(true) >= 90);
}

}  // namespace
}  // namespace holdfast::testing::refund_world_test
