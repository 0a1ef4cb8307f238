// What an attempt that ran out of time says of the service: nothing, where its caller gave it too
// little. One rule for breakers, throttles and adaptive limits.
#include <absl/status/status.h>

#include <chrono>
#include <memory>
#include <stdexcept>

#include "holdfast/base/internal/success_times.h"
#include "holdfast/breaker/circuit_break.h"
#include "holdfast/breaker/keyed_circuit_break.h"
#include "holdfast/concurrency/adaptive_limit.h"
#include "holdfast/hedge/hedge.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/any_executor.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/throttle/adaptive_throttle.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"

namespace holdfast::cut_off_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

// Takes as long as it is told to, but looks at its deadline.
struct Service {
  absl::Status operator()(Call& call) const {
    const TimePoint end = clock->Now() + *takes;
    if (end <= call.deadline()) {
      clock->Advance(*takes);
      return absl::OkStatus();
    }
    clock->Advance(call.deadline() - clock->Now());
    if (*throws) throw std::runtime_error("out of time");
    return absl::DeadlineExceededError("out of time");
  }
  FakeClock* clock;
  std::shared_ptr<Duration> takes = std::make_shared<Duration>(20ms);
  std::shared_ptr<bool> throws = std::make_shared<bool>(false);
};

std::shared_ptr<CircuitBreaker> TouchyBreaker() {
  return std::make_shared<CircuitBreaker>(
      CircuitBreaker::Options{.timeout = 10s, .rules = {ConsecutiveFailures(1)}});
}

template <class C>
void CallFor(const C& call, FakeClock& clock, Duration time) {
  try {
    (void)call.With({.deadline = SaturatingAdd(clock.Now(), time)});
  } catch (const std::runtime_error&) {  // NOLINT(bugprone-empty-catch): as the executor does
  }
}

TEST_CASE("who gives a healthy service too little time does not open its breaker") {
  FakeClock clock;
  Service service{.clock = &clock};
  *service.throws = GENERATE(false, true);
  const auto breaker = TouchyBreaker();
  SECTION("less than the Timeout inside would have given") {
    const auto call = Stack(CircuitBreak(breaker), Timeout(100ms)).Around(service, &clock);
    for (int i = 0; i < 100; ++i) CallFor(call, clock, 5ms);
    CHECK(breaker->StateAt(clock.Now()) == BreakerState::kClosed);
    CHECK(breaker->CountsAt(clock.Now()).ignored == 100);
  }
  SECTION("less than a Timeout in a stack inside would have given") {
    const auto inner = Stack(Timeout(100ms)).Around(service, &clock);
    const auto call = Stack(CircuitBreak(breaker)).Around(inner, &clock);
    for (int i = 0; i < 100; ++i) CallFor(call, clock, 5ms);
    CHECK(breaker->StateAt(clock.Now()) == BreakerState::kClosed);
  }
  SECTION("by a Timeout outside") {
    const auto call =
        Stack(Timeout(5ms), CircuitBreak(breaker), Timeout(100ms)).Around(service, &clock);
    for (int i = 0; i < 100; ++i) CallFor(call, clock, 1h);
    CHECK(breaker->StateAt(clock.Now()) == BreakerState::kClosed);
  }
  SECTION("less than the slowest tenth of successes took, where there is no Timeout inside") {
    const auto call = Stack(CircuitBreak(breaker)).Around(service, &clock);
    for (int i = 0; i < 100; ++i) CallFor(call, clock, 1s);  // one in eight is timed
    for (int i = 0; i < 100; ++i) CallFor(call, clock, 5ms);
    CHECK(breaker->StateAt(clock.Now()) == BreakerState::kClosed);
  }
}

TEST_CASE("a service that does not answer in time enough opens its breaker") {
  FakeClock clock;
  Service service{.clock = &clock};
  *service.throws = GENERATE(false, true);
  const auto breaker = TouchyBreaker();
  const auto opened = [&] { return breaker->StateAt(clock.Now()) == BreakerState::kOpen; };
  SECTION("what a Timeout inside ends is a failure, however long the caller would wait") {
    *service.takes = 1h;
    CallFor(Stack(CircuitBreak(breaker), Timeout(100ms)).Around(service, &clock), clock, 1s);
    CHECK(opened());
  }
  SECTION("and so it is if the caller gave as much") {
    *service.takes = 1h;
    CallFor(Stack(CircuitBreak(breaker), Timeout(100ms)).Around(service, &clock), clock, 100ms);
    CHECK(opened());
  }
  SECTION("a caller's own deadline is enough if it is as long as the slowest tenth") {
    const auto call = Stack(CircuitBreak(breaker)).Around(service, &clock);
    for (int i = 0; i < 100; ++i) CallFor(call, clock, 1s);
    *service.takes = 1h;
    CallFor(call, clock, 20ms);
    CHECK(opened());
  }
  SECTION("while there were no successes, any time is enough") {
    *service.takes = 1h;
    CallFor(Stack(CircuitBreak(breaker)).Around(service, &clock), clock, 5ms);
    CHECK(opened());
  }
}

TEST_CASE("other failures count, whatever time there is left") {
  FakeClock clock;
  const auto breaker = TouchyBreaker();
  const auto call = Stack(CircuitBreak(breaker), Timeout(100ms))
                        .Around(
                            [&](Call& c) {
                              clock.Advance(c.deadline() - clock.Now());
                              return absl::UnavailableError("down");
                            },
                            &clock);
  CallFor(call, clock, 5ms);
  CHECK(breaker->StateAt(clock.Now()) == BreakerState::kOpen);
}

// Defect: it was a failure, and the breaker opened anew; so the calls at the end of their time, who
// had waited for the breaker, kept it open for ever.
TEST_CASE("a probe that its caller cuts off is neutral, and its place is free at once") {
  FakeClock clock;
  const Service service{.clock = &clock};
  const auto breaker = TouchyBreaker();
  const auto call = Stack(CircuitBreak(breaker), Timeout(100ms)).Around(service, &clock);
  *service.takes = 1h;
  CallFor(call, clock, 1s);
  REQUIRE(breaker->StateAt(clock.Now()) == BreakerState::kOpen);
  *service.takes = 20ms;
  clock.Advance(10s + 1ns);
  CallFor(call, clock, 5ms);
  CHECK(breaker->StateAt(clock.Now()) == BreakerState::kHalfOpen);
  CallFor(call, clock, 1s);
  CHECK(breaker->StateAt(clock.Now()) == BreakerState::kClosed);
}

TEST_CASE("the same rule holds for each key's breaker, for throttles and for adaptive limits") {
  FakeClock clock;
  const Service service{.clock = &clock};
  SECTION("keyed breakers") {
    const auto breakers = std::make_shared<KeyedCircuitBreaker>(
        KeyedCircuitBreaker::Options{.breaker = {.rules = {ConsecutiveFailures(1)}}});
    const auto call = Stack(KeyedCircuitBreak(breakers), Timeout(100ms)).Around(service, &clock);
    for (int i = 0; i < 10; ++i) CallFor(call, clock, 5ms);
    CHECK(breakers->GetAt(clock.Now(), "")->StateAt(clock.Now()) == BreakerState::kClosed);
  }
  SECTION("throttles") {
    const auto throttler =
        std::make_shared<AdaptiveThrottler>(AdaptiveThrottler::Options{.min_requests = 1});
    const auto call = Stack(AdaptiveThrottle(throttler), Timeout(100ms)).Around(service, &clock);
    for (int i = 0; i < 100; ++i) CallFor(call, clock, 5ms);
    CHECK(throttler->StatsAt(clock.Now()).requests == 0);
    *service.takes = 1h;
    CallFor(call, clock, 1s);
    CHECK(throttler->StatsAt(clock.Now()).requests == 1);
  }
  SECTION("adaptive limits") {
    const auto limiter = std::make_shared<AdaptiveLimiter>(
        AdaptiveLimiter::Options{.algorithm = Aimd{}, .initial = 20, .minimum = 1});
    const auto call = Stack(AdaptiveLimit(limiter), Timeout(100ms)).Around(service, &clock);
    for (int i = 0; i < 1000; ++i) CallFor(call, clock, 5ms);
    CHECK(limiter->limit() == 20);
    *service.takes = 1h;
    for (int i = 0; i < 100; ++i) CallFor(call, clock, 1s);
    CHECK(limiter->limit() < 20);
  }
}

TEST_CASE("the slowest tenth of recent successes") {
  internal::SuccessTimes times;
  CHECK(times.SlowTenth() == Duration::max());
  times.Record(7ms);
  CHECK(times.SlowTenth() == 7ms);
  for (int i = 1; i <= 20; ++i) times.Record(i * 1ms);
  CHECK(times.SlowTenth() == 19ms);
  for (int i = 0; i < 20; ++i) times.Record(1ms);  // only recent ones count
  CHECK(times.SlowTenth() == 1ms);
}

TEST_CASE("what is below a policy, in time") {
  FakeClock clock;
  struct Asks {
    struct State {};
    Verdict Before(Call& call, State&) {
      *below = call.time_below();
      return Verdict::Proceed();
    }
    Next After(Call& call, State&, absl::Status&) {
      CHECK(call.time_below().attempt == below->attempt);
      return Next::Done();
    }
    std::shared_ptr<TimeBelow> below = std::make_shared<TimeBelow>();
  };
  const Asks asks;
  const auto ok = [] { return absl::OkStatus(); };
  const auto ask = [&](const auto& stack) {
    CHECK(stack.Around(ok, &clock)().ok());
    return *asks.below;
  };
  constexpr Duration kNone = Duration::max();
  CHECK(ask(Stack(Timeout(1s), asks)).attempt == kNone);
  TimeBelow below = ask(Stack(asks, Timeout(3s), Timeout(2s)));
  CHECK(below.attempt == 2s);
  CHECK(below.call == 2s);
  below = ask(Stack(asks, Retry({}), Timeout(2s)));
  CHECK(below.attempt == 2s);
  CHECK(below.call == kNone);
  below = ask(Stack(asks, Timeout(9s), Retry({}), Timeout(2s)));
  CHECK(below.attempt == 2s);
  CHECK(below.call == 9s);
  const auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{});
  CHECK(ask(Stack(asks, Timeout(5s, pool), Timeout(4s))).attempt == 4s);
}

}  // namespace
}  // namespace holdfast::cut_off_test
