// Calls that are out for longer than slow_call are slow, before they come back.
#include <absl/status/status.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/breaker/trip_rule.h"
#include "test/support/breaker.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::hung_calls_test {
namespace {

using namespace std::chrono_literals;
using test::At;

std::vector<Ticket> Out(CircuitBreaker& breaker, TimePoint now, int calls) {
  std::vector<Ticket> tickets;
  for (int i = 0; i < calls; ++i) {
    auto ticket = breaker.AdmitAt(now);
    REQUIRE(ticket.ok());
    tickets.push_back(*std::move(ticket));
  }
  return tickets;
}

// Counts, and never opens.
TripRule Watched() { return {.name = "watched", .tripped = test::Never, .needs_slow_call = true}; }

TEST_CASE("fifty calls that hang open the breaker, though none of them ends") {
  const auto window = GENERATE(
      CircuitBreaker::Options{}, CircuitBreaker::Options{.interval = 10s, .bucket_period = 1s},
      CircuitBreaker::Options{.interval = 60s}, CircuitBreaker::Options{.last_calls = 100});
  CircuitBreaker::Options options = window;
  options.rules = {SlowCallRate(0.8, 20)};
  options.slow_call = 1s;
  CircuitBreaker breaker(options);
  const std::vector<Ticket> hung = Out(breaker, At(0s), 50);
  CHECK(breaker.AdmitAt(At(2s - 1ms)).ok());
  SECTION("found by the next call") { CHECK_FALSE(breaker.AdmitAt(At(2s + 1ms)).ok()); }
  SECTION("found by a question") {
    CHECK(breaker.CountsAt(At(2s - 1ms)).hung == 0);
    CHECK(breaker.StateAt(At(2s + 1ms)) == BreakerState::kOpen);
  }
  SECTION("found after thirty seconds in which nobody called") {
    CHECK_FALSE(breaker.AdmitAt(At(30s)).ok());
  }
  REQUIRE(breaker.last_trip());
  CHECK(breaker.last_trip()->rule == "slow call rate");
  CHECK(breaker.last_trip()->counts.hung >= 50);
  CHECK(breaker.last_trip()->counts.slow == breaker.last_trip()->counts.hung);
}

TEST_CASE("a steady stream of calls that hang opens the breaker within twice slow_call") {
  CircuitBreaker breaker({.rules = {SlowCallRate(0.5, 20)}, .slow_call = 1s});
  std::vector<Ticket> hung;
  TimePoint now = At(0s);
  for (; now < At(10s); now += 10ms) {
    auto ticket = breaker.AdmitAt(now);
    if (!ticket.ok()) break;
    hung.push_back(*std::move(ticket));
  }
  CHECK(now <= At(2s + 20ms));
}

TEST_CASE("a call that hung is counted once, whenever it ends") {
  CircuitBreaker breaker({.rules = {Watched()}, .slow_call = 1s});
  std::vector<Ticket> out = Out(breaker, At(0s), 4);
  out[0].DoneAt(At(1s), Outcome::kSuccess);
  out[1].DoneAt(At(1500ms), Outcome::kFailure);  // slow before anybody said that it hangs
  BreakerCounts counts = breaker.CountsAt(At(1500ms));
  CHECK(counts.slow == 1);
  CHECK(counts.hung == 0);
  counts = breaker.CountsAt(At(3s));
  CHECK(counts.slow == 3);
  CHECK(counts.hung == 2);
  CHECK(counts.slow_rate() == 0.75);
  CHECK(counts.failure_rate() == 0.5);
  out[2].DoneAt(At(4s), Outcome::kSuccess);
  counts = breaker.CountsAt(At(4s));
  CHECK(counts.slow == 3);
  CHECK(counts.hung == 1);
  out[3].DoneAt(At(5s), Outcome::kIgnored);
  counts = breaker.CountsAt(At(5s));
  CHECK(counts.slow == 2);
  CHECK(counts.hung == 0);
}

TEST_CASE("calls that hang count until they end, also when their bucket is forgotten") {
  CircuitBreaker breaker(
      {.interval = 4s, .bucket_period = 1s, .rules = {Watched()}, .slow_call = 2s});
  std::vector<Ticket> out = Out(breaker, At(0s), 3);
  CHECK(breaker.CountsAt(At(2s)).hung == 0);
  CHECK(breaker.CountsAt(At(3s)).hung == 3);
  CHECK(breaker.CountsAt(At(60s)).hung == 3);
  out.clear();
  CHECK(breaker.CountsAt(At(60s)) == BreakerCounts{});
}

TEST_CASE("calls that hang count until they end, also when a fixed window is renewed") {
  CircuitBreaker breaker({.interval = 4s, .rules = {Watched()}, .slow_call = 2s});
  std::vector<Ticket> out = Out(breaker, At(0s), 1);
  for (Ticket& ticket : Out(breaker, At(3s), 3)) out.push_back(std::move(ticket));
  CHECK(breaker.CountsAt(At(4s)).requests == 4);
  CHECK(breaker.CountsAt(At(4s)).hung == 0);
  CHECK(breaker.CountsAt(At(5s)).requests == 0);
  CHECK(breaker.CountsAt(At(5s)).hung == 1);
  CHECK(breaker.CountsAt(At(7s)).hung == 4);
  CHECK(breaker.CountsAt(At(60s)).hung == 4);
  out[1].DoneAt(At(60s), Outcome::kSuccess);  // dropped: it began before this window
  CHECK(breaker.CountsAt(At(60s)).hung == 3);
  CHECK(breaker.CountsAt(At(60s)).slow == 3);
  out.clear();
  CHECK(breaker.CountsAt(At(60s)) == BreakerCounts{});
}

TEST_CASE("clients that all hang at the end of a fixed window open the breaker") {
  CircuitBreaker breaker({.interval = 60s, .rules = {SlowCallRate(0.8, 20)}, .slow_call = 1s});
  test::Record(breaker, At(0s), Outcome::kSuccess);
  const std::vector<Ticket> hung = Out(breaker, At(59500ms), 50);
  CHECK(breaker.StateAt(At(60s + 1ms)) == BreakerState::kClosed);
  CHECK_FALSE(breaker.AdmitAt(At(61500ms + 1ms)).ok());
}

TEST_CASE("a call that is no longer out than slow_call is never said to hang") {
  const auto period = GENERATE(values<Duration>({0s, 1ms, 20ms, 100ms, 1s, 3s}));
  const bool fixed = GENERATE(false, true);
  const Duration interval = fixed ? period : std::min<Duration>(period * 1000, 30s);
  CircuitBreaker breaker({.interval = interval,
                          .bucket_period = fixed ? 0s : period,
                          .rules = {Watched()},
                          .slow_call = 1s});
  struct Call {
    TimePoint began;
    Ticket ticket;
  };
  std::vector<Call> calls;
  const Duration most = 1s + std::max<Duration>(1s, period);
  for (int i = 0; i < 2000; ++i) {
    const TimePoint now = At(i * 17ms);
    auto ticket = breaker.AdmitAt(now);
    calls.push_back({now, *std::move(ticket)});
    if (i % 3 != 0) calls.erase(calls.begin() + i % static_cast<int>(calls.size()));
    const std::uint64_t hung = breaker.CountsAt(now).hung;
    std::uint64_t may = 0;
    std::uint64_t must = 0;
    for (const Call& call : calls) {
      if (now - call.began > 1s) ++may;
      if (now - call.began > most) ++must;
    }
    REQUIRE(hung <= may);
    REQUIRE(hung >= must);
  }
}

TEST_CASE("a generation knows nothing of what hung in the one before") {
  CircuitBreaker breaker({.timeout = 10s, .rules = {SlowCallRate(1, 2)}, .slow_call = 1s});
  std::vector<Ticket> hung = Out(breaker, At(0s), 2);
  CHECK(breaker.StateAt(At(3s)) == BreakerState::kOpen);
  test::Record(breaker, At(14s), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(14s)) == BreakerState::kClosed);
  hung.clear();
  CHECK(breaker.CountsAt(At(30s)) == BreakerCounts{});
}

TEST_CASE("calls of a ramp that hang open the breaker again") {
  CircuitBreaker breaker({.timeout = 10s,
                          .ramp = {1.0},
                          .ramp_step = 1min,
                          .rules = {SlowCallRate(0.5, 5)},
                          .slow_call = 1s});
  std::vector<Ticket> hung = Out(breaker, At(0s), 5);
  CHECK(breaker.StateAt(At(3s)) == BreakerState::kOpen);
  test::Record(breaker, At(14s), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(14s)) == BreakerState::kHalfOpen);
  hung = Out(breaker, At(14s), 5);
  CHECK(breaker.StateAt(At(17s)) == BreakerState::kOpen);
}

TEST_CASE("a rule that is asked about hung calls may ask the breaker, and throw") {
  CircuitBreaker* self = nullptr;
  int asked = 0;
  CircuitBreaker breaker({.rules = {{.name = "curious",
                                     .tripped =
                                         [&](const BreakerCounts& counts) {
                                           ++asked;
                                           CHECK(self->CountsAt(At(3s)).hung == counts.hung);
                                           if (asked == 1) throw 1;
                                           return true;
                                         },
                                     .needs_slow_call = true}},
                          .slow_call = 1s});
  self = &breaker;
  const std::vector<Ticket> hung = Out(breaker, At(0s), 1);
  CHECK(breaker.StateAt(At(3s)) == BreakerState::kClosed);
  CHECK(asked == 1);
  CHECK(breaker.StateAt(At(5s)) == BreakerState::kOpen);
}

TEST_CASE("a dry run and a breaker closed by hand only count what hangs") {
  CircuitBreaker breaker({.rules = {SlowCallRate(0.5, 1)}, .slow_call = 1s});
  breaker.SetModeAt(At(0s), BreakerMode::kForcedClosed);
  const std::vector<Ticket> hung = Out(breaker, At(0s), 3);
  CHECK(breaker.AdmitAt(At(10s)).ok());
  CHECK(breaker.CountsAt(At(10s)).hung == 3);
  breaker.SetModeAt(At(10s), BreakerMode::kMetricsOnly);
  CHECK(breaker.AdmitAt(At(12s)).ok());
  CHECK(breaker.StateAt(At(12s)) == BreakerState::kOpen);
}

// Eras fly by, and some calls are out for many of them.
TEST_CASE("what is out is known exactly, whatever threads begin and end meanwhile") {
  CircuitBreaker breaker({.rules = {Watched()}, .slow_call = 200us});
  std::atomic<std::uint64_t> slow = 0;
  std::atomic<int> too_many = 0;
  test::InThreads(4, [&](int) {
    std::vector<std::pair<TimePoint, Ticket>> out;
    for (int i = 0; i < 20'000; ++i) {
      const TimePoint began = SteadyClock()->Now();
      out.emplace_back(began, *breaker.AdmitAt(began));
      if (i % 100 == 0 && breaker.counts().hung > 2000) ++too_many;
      if (i % 100 < 99 && out.size() > 1) {
        std::swap(out[static_cast<std::size_t>(i) % out.size()], out.back());
      }
      if (i % 100 == 99 || out.size() < 5) continue;
      const TimePoint now = SteadyClock()->Now();
      if (now - out.back().first > 200us) ++slow;
      out.back().second.DoneAt(now, Outcome::kSuccess);
      out.pop_back();
    }
    for (auto& [began, ticket] : out) {
      const TimePoint now = SteadyClock()->Now();
      if (now - began > 200us) ++slow;
      ticket.DoneAt(now, Outcome::kFailure);
    }
  });
  const BreakerCounts counts = breaker.counts();
  CHECK(too_many == 0);
  CHECK(counts.hung == 0);
  CHECK(counts.slow == slow.load());
  CHECK(counts.judged() == 80'000);
}

}  // namespace
}  // namespace holdfast::hung_calls_test
