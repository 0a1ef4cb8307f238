#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "holdfast/holdfast.h"
#include "holdfast/testing.h"
#include "test/support/catch.h"

namespace holdfast::object_clock_test {
namespace {

using namespace std::chrono_literals;
using test::ContainsSubstring;
using testing::FakeClock;

absl::Status Fine() { return absl::OkStatus(); }

TEST_CASE("an object without a clock takes that of the stack") {
  // The defect: asked for its state the breaker looked at the steady clock, and said half-open.
  FakeClock clock;
  const auto breaker = std::make_shared<CircuitBreaker>(
      CircuitBreaker::Options{.timeout = 10s, .rules = {ConsecutiveFailures(1)}});
  const auto call =
      Stack(CircuitBreak(breaker)).Around([] { return absl::UnavailableError("down"); }, &clock);
  (void)call();
  CHECK(breaker->state() == BreakerState::kOpen);
  clock.Advance(10s);
  CHECK(breaker->state() == BreakerState::kOpen);
  clock.Advance(1ns);
  CHECK(breaker->state() == BreakerState::kHalfOpen);
}

// One policy of each kind, whose objects are on `clock`.
struct Named {
  std::string name;
  std::function<void(Clock* of_stack)> around;
};

template <class P>
Named Policy(P policy) {
  return {std::string(P::kName),
          [policy](Clock* of_stack) { (void)Stack(policy).Around(Fine, of_stack); }};
}

std::vector<Named> OneOfEach(Clock* clock) {
  const auto bucket = [&] {
    return std::make_shared<TokenBucket>(
        TokenBucket::Options{.rate = 1, .burst = 1, .clock = clock});
  };
  const auto budget = std::make_shared<RetryBudget>(RetryBudget::Options{.clock = clock});
  const auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{});
  const LatencyQuantile::Options latencies{.clock = clock};
  return {
      Policy(Retry({.budget = budget})),
      Policy(Hedge({.budget = budget, .pool = pool})),
      Policy(Hedge({.latencies = std::make_shared<LatencyQuantile>(latencies),
                    .budget = std::make_shared<RetryBudget>(RetryBudget::Options{.clock = clock}),
                    .pool = pool})),
      Policy(CircuitBreak({.clock = clock})),
      Policy(KeyedCircuitBreak({.clock = clock})),
      Policy(KeyedCircuitBreak({.breaker = {.clock = clock}})),
      Policy(RateLimit(bucket())),
      Policy(RateLimit(bucket(), bucket())),
      Policy(KeyedRateLimit({.limits = {.rate = 1, .burst = 1}, .clock = clock})),
      Policy(Bulkhead(Semaphore::Options{.limit = 1, .clock = clock})),
      Policy(AdaptiveLimit({.clock = clock})),
      Policy(AdaptiveTimeout(latencies)),
      Policy(AdaptiveThrottle({.clock = clock})),
      Policy(Pace(Pacer::Options{.rate = 1, .clock = clock})),
      Policy(Cache<absl::Status>(ResultCache<absl::Status>::Options{.ttl = 1s, .clock = clock}))};
}

TEST_CASE("an object on another clock than the stack's is refused, whatever it is") {
  FakeClock one;
  FakeClock other;
  for (const Named& policy : OneOfEach(&one)) {
    CAPTURE(policy.name);
    CHECK_NOTHROW(policy.around(&one));
    CHECK_THROWS_WITH(policy.around(&other),
                      ContainsSubstring(policy.name) && ContainsSubstring("another clock"));
    CHECK_THROWS_AS(policy.around(nullptr), std::invalid_argument);
    CHECK_THROWS_AS(policy.around(SteadyClock()), std::invalid_argument);
  }
  for (const Named& policy : OneOfEach(SteadyClock())) {
    CAPTURE(policy.name);
    CHECK_NOTHROW(policy.around(nullptr));
    CHECK_THROWS_AS(policy.around(&one), std::invalid_argument);
  }
  // Those without a clock keep the one that they took.
  for (const Named& policy : OneOfEach(nullptr)) {
    CAPTURE(policy.name);
    CHECK_NOTHROW(policy.around(&one));
    CHECK_NOTHROW(policy.around(&one));
    CHECK_THROWS_AS(policy.around(&other), std::invalid_argument);
    CHECK_THROWS_AS(policy.around(nullptr), std::invalid_argument);
  }
}

TEST_CASE("a stack that is refused has changed no object's clock") {
  FakeClock one;
  FakeClock other;
  const auto first = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{});
  const auto second =
      std::make_shared<CircuitBreaker>(CircuitBreaker::Options{.name = "b", .clock = &other});
  CHECK_THROWS_WITH(Stack(CircuitBreak(first), CircuitBreak(second)).Around(Fine, &one),
                    ContainsSubstring("CircuitBreak \"b\""));
  CHECK_NOTHROW(Stack(CircuitBreak(first)).Around(Fine, &other));
}

TEST_CASE("breakers of keys are on the clock of the stack, whenever they were made") {
  FakeClock clock;
  const auto breakers = std::make_shared<KeyedCircuitBreaker>(
      KeyedCircuitBreaker::Options{.breaker = {.timeout = 10s, .rules = {ConsecutiveFailures(1)}}});
  const auto early = breakers->Get("early");
  const auto call = Stack(KeyedCircuitBreak(breakers))
                        .Around([] { return absl::UnavailableError("down"); }, &clock);
  for (const char* const key : {"early", "late"}) {
    (void)call.With({.key = key});
    CHECK(breakers->Find(key)->state() == BreakerState::kOpen);
  }
  FakeClock other;
  CHECK_THROWS_AS(KeyedCircuitBreaker({.breaker = {.clock = &clock}, .clock = &other}),
                  std::invalid_argument);
}

TEST_CASE("a stack around a stack is on its clock") {
  FakeClock clock;
  const auto inner = Stack(Timeout(1s)).Around(Fine, &clock);
  CHECK_NOTHROW(Stack(Timeout(2s)).Around(inner, &clock));
  CHECK_THROWS_AS(Stack(Timeout(2s)).Around(inner), std::invalid_argument);
  const auto steady = Stack(Timeout(1s)).Around(Fine);
  CHECK_THROWS_AS(Stack(Timeout(2s)).Around(steady, &clock), std::invalid_argument);
  CHECK_NOTHROW(Stack(Timeout(2s)).Around(steady, SteadyClock()));
}

TEST_CASE("in a simulation objects are on the world's clock") {
  testing::World world(1);
  const auto breaker = std::make_shared<CircuitBreaker>(
      CircuitBreaker::Options{.timeout = 10s, .rules = {ConsecutiveFailures(1)}});
  const auto fails = [](Call&, testing::Reply<absl::Status> reply) {
    reply.Done(absl::UnavailableError("down"));
  };
  const auto fetch = testing::Simulate(world, Stack(CircuitBreak(breaker)), fails);
  world.At(5s, [&] { fetch(); });
  world.RunFor(6s);
  CHECK(breaker->state() == BreakerState::kOpen);
  world.RunFor(10s);
  CHECK(breaker->state() == BreakerState::kHalfOpen);

  FakeClock other;
  CHECK_THROWS_AS(testing::Simulate(world, Stack(CircuitBreak({.clock = &other})), fails),
                  std::invalid_argument);
  testing::Server server(world, {});
  const auto on_another = [&] { return Stack(CircuitBreak({.clock = &other})); };
  CHECK_THROWS_AS(
      testing::Population(world, testing::OpenClients{.count = 1, .rate = 1}, server, on_another),
      std::invalid_argument);
}

}  // namespace
}  // namespace holdfast::object_clock_test
