// A circuit breaker where memory runs out: what was asked for has happened, or has not, and can be
// asked for again.
#include <absl/status/status.h>

#include <utility>

#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/breaker/keyed_circuit_breaker.h"
#include "holdfast/breaker/trip_rule.h"
#include "test/support/allocations.h"
#include "test/support/breaker.h"
#include "test/support/catch.h"
#include "test/support/collected.h"

namespace holdfast::breaker_memory_test {
namespace {

using namespace std::chrono_literals;
using test::At;
using test::Record;
using test::Touchy;
using testing::WithoutMemory;

// Changes of state before it, by which the place for the next one varies.
void Change(CircuitBreaker& breaker, int times) {
  for (int i = 0; i < times; ++i) {
    breaker.SetModeAt(At(0s), i % 2 == 0 ? BreakerMode::kForcedOpen : BreakerMode::kForcedClosed);
  }
  breaker.ResetAt(At(0s));
}

TEST_CASE("without memory a breaker trips, or goes on") {
  for (int changes = 0; changes < 100; ++changes) {
    CircuitBreaker breaker(Touchy());
    Change(breaker, changes);
    auto ticket = breaker.AdmitAt(At(0s));
    WithoutMemory([&] { ticket->DoneAt(At(0s), Outcome::kFailure); });
    const bool open = breaker.StateAt(At(1s)) == BreakerState::kOpen;
    REQUIRE(open != breaker.AdmitAt(At(1s)).ok());
    REQUIRE(breaker.StateAt(At(24h)) != BreakerState::kOpen);
  }
}

TEST_CASE("without memory for what a probe comes to, a breaker still recovers") {
  for (int changes = 0; changes < 100; ++changes) {
    CircuitBreaker breaker(Touchy());
    Change(breaker, changes);
    Record(breaker, At(0s), Outcome::kFailure);
    auto probe = breaker.AdmitAt(At(11s));
    WithoutMemory([&] { probe->DoneAt(At(12s), Outcome::kSuccess); });
    REQUIRE(breaker.AdmitAt(At(24h)).ok());
  }
}

TEST_CASE("without memory for an outcome it still counts in the totals") {
  for (int changes = 0; changes < 100; ++changes) {
    CircuitBreaker breaker(Touchy());
    Change(breaker, changes);
    auto ticket = breaker.AdmitAt(At(0s));
    WithoutMemory([&] { ticket->DoneAt(At(0s), Outcome::kFailure); });
    test::Collected collected;
    breaker.Collect(collected);
    REQUIRE(collected.at("holdfast.breaker.calls", "holdfast.outcome=failure") == 1);
  }
}

TEST_CASE("without memory what is done by hand happens, or not at all") {
  const auto mode = GENERATE(BreakerMode::kForcedOpen, BreakerMode::kAutomatic);
  for (int changes = 0; changes < 100; ++changes) {
    CircuitBreaker breaker(Touchy());
    Change(breaker, changes);
    if (mode == BreakerMode::kAutomatic) breaker.SetModeAt(At(0s), BreakerMode::kForcedOpen);
    const BreakerMode before = breaker.mode();
    const bool happened = WithoutMemory([&] { breaker.SetModeAt(At(0s), mode); });
    REQUIRE(breaker.mode() == (happened ? mode : before));
    REQUIRE((breaker.mode() == BreakerMode::kForcedOpen) != breaker.AdmitAt(At(1s)).ok());
    WithoutMemory([&] { breaker.ResetAt(At(1s)); });
    breaker.ResetAt(At(1s));
    REQUIRE(breaker.AdmitAt(At(1s)).ok());
  }
}

TEST_CASE("without memory an Update changes nothing, and one that is prepared needs none") {
  CircuitBreaker breaker({.timeout = 10s});
  KeyedCircuitBreaker breakers({.breaker = {.timeout = 10s}});
  for (const char* key : {"a", "b"}) breakers.GetAt(At(0s), key);
  CircuitBreaker::Options next = {.interval = 10s, .bucket_period = 1s, .timeout = 5s};
  for (int round = 0; round < 3; ++round) {
    CHECK_FALSE(WithoutMemory([&] { (void)breaker.Update(next); }));
    CHECK_FALSE(WithoutMemory([&] { (void)breakers.Update({.breaker = next}); }));
    CHECK(breaker.options().timeout != next.timeout);
    CHECK(breakers.Find("a")->options().timeout != next.timeout);
    auto update = breaker.PrepareUpdate(next);
    auto update_all = breakers.PrepareUpdate({.breaker = next});
    CHECK(WithoutMemory([&] {
      std::move (*update)();
      std::move (*update_all)();
    }));
    CHECK(breaker.options().timeout == next.timeout);
    CHECK(breakers.Find("a")->options().timeout == next.timeout);
    CHECK(breakers.Find("b")->options().timeout == next.timeout);
    next = {.last_calls = 100, .timeout = next.timeout * 2, .slow_call = 1s};
    next.rules = {SlowCallRate(0.5, 10)};
  }
}

}  // namespace
}  // namespace holdfast::breaker_memory_test
