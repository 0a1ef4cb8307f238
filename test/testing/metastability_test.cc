// A server with a fifth more capacity than it needs fails for ten seconds: with the default budget
// its clients let it come back, without one they keep it down.
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "holdfast/holdfast.h"
#include "holdfast/testing.h"
#include "test/support/catch.h"

namespace holdfast::testing::metastability_test {
namespace {

using namespace std::chrono_literals;

constexpr Disturbance kOutage{.from = 20s, .to = 30s};
constexpr Duration kEnd = 150s;

Results Run(std::shared_ptr<RetryBudget> budget, std::uint64_t seed) {
  World world(seed);
  Server server(
      world,
      {.service = Distribution::Exponential(20ms),  // 400 calls per second
       .workers = 8,
       .failures = {{.from = kOutage.from, .to = kOutage.to, .kind = FailureKind::kHang}}});
  Population clients(
      world, OpenClients{.count = 300, .rate = 400 / 1.2, .periodic = true}, server,
      [&] { return Stack(Retry({.max_attempts = 4, .budget = budget}), Timeout(1s)); });
  world.RunFor(kEnd);
  return clients.results();
}

TEST_CASE("with the default retry budget an outage of ten seconds is over when it is over") {
  for (const std::uint64_t seed : {1, 2, 3}) {
    CAPTURE(seed);
    const Results results = Run(RetryBudget::MakeDefault(), seed);
    INFO(results);
    CHECK(results.Amplification() <= 1.2);
    const std::optional<Duration> recovered = results.TimeToRecover(kOutage);
    REQUIRE(recovered.has_value());
    CHECK(*recovered <= 2s);
    CHECK(results.Goodput(60s, kEnd) >= 0.999 * results.Goodput(0s, kOutage.from));
  }
}

TEST_CASE("without a budget the same clients keep the server down") {
  for (const std::uint64_t seed : {1, 2, 3}) {
    CAPTURE(seed);
    const Results results = Run(RetryBudget::Unlimited(), seed);
    INFO(results);
    CHECK(results.Amplification() > 2.5);
    CHECK(results.TimeToRecover(kOutage) == std::nullopt);
    CHECK(results.Goodput(60s, kEnd) < 0.2 * results.Goodput(0s, kOutage.from));
  }
}

}  // namespace
}  // namespace holdfast::testing::metastability_test
