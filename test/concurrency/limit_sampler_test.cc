// Which calls count, and when.
#include "src/concurrency/limit_sampler.h"

#include <algorithm>
#include <cstdint>

#include "test/support/catch.h"

namespace holdfast::internal::limit_sampler_test {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{1h};

// Asks for `n` calls at `now`; the window of the first.
std::uint64_t Join(LimitSampler& sampler, TimePoint now, int n, std::int64_t in_flight = 1) {
  const std::uint64_t window = sampler.Join(now, in_flight);
  for (int i = 1; i < n; ++i) (void)sampler.Join(now, in_flight);
  return window;
}

void End(LimitSampler& sampler, std::uint64_t window, int n, Duration latency,
         Outcome outcome = Outcome::kSuccess) {
  for (int i = 0; i < n; ++i) sampler.End(window, latency, outcome);
}

TEST_CASE("a window opens with its first call and takes calls for its length") {
  LimitSampler sampler(100ms, 10);
  const std::uint64_t window = Join(sampler, kStart, 10);
  CHECK(window != 0);
  CHECK(sampler.Join(kStart + 99ms, 1) == window);
  CHECK(sampler.Join(kStart + 100ms, 1) == 0);
  End(sampler, window, 11, 20ms);
  CHECK(!sampler.Ready(kStart + 99ms));
  CHECK(sampler.Ready(kStart + 100ms));
  CHECK(sampler.Take(0).latency == 20e6);
  CHECK(!sampler.Ready(kStart + 200ms));
  CHECK(sampler.Join(kStart + 1h, 1) != 0);
}

TEST_CASE("a window waits for enough calls, and for nineteen of twenty to end") {
  LimitSampler sampler(100ms, 10);
  const std::uint64_t window = Join(sampler, kStart, 9);
  End(sampler, window, 9, 20ms);
  CHECK(!sampler.Ready(kStart + 1h));
  CHECK(sampler.Join(kStart + 150ms, 1) == window);
  CHECK(sampler.Join(kStart + 150ms, 1) == 0);
  CHECK(!sampler.Ready(kStart + 150ms));
  End(sampler, window, 1, 20ms);
  CHECK(sampler.Ready(kStart + 150ms));
  (void)sampler.Take(0);

  const std::uint64_t next = Join(sampler, kStart + 1h, 40);
  End(sampler, next, 37, 20ms);
  CHECK(!sampler.Ready(kStart + 1h + 150ms));
  End(sampler, next, 1, 20ms);
  CHECK(sampler.Ready(kStart + 1h + 150ms));
}

TEST_CASE("calls that hang are waited for four mean latencies long, and then never counted") {
  LimitSampler sampler(100ms, 10);
  const std::uint64_t window = Join(sampler, kStart, 20);
  End(sampler, window, 15, 50ms);
  CHECK(sampler.Join(kStart + 100ms, 1) == 0);
  CHECK(sampler.busy_until() == kStart + 300ms);
  CHECK(!sampler.Ready(kStart + 299ms));
  CHECK(sampler.Ready(kStart + 300ms));
  CHECK(sampler.Take(0).succeeded == 15);
  const std::uint64_t next = Join(sampler, kStart + 300ms, 10);
  End(sampler, window, 5, 10s);
  End(sampler, next, 10, 50ms);
  const LimitWindow taken = sampler.Take(0);
  CHECK(taken.succeeded == 10);
  CHECK(taken.latency == 50e6);
}

TEST_CASE("where nearly all calls of a window hang, others come in their place") {
  LimitSampler sampler(100ms, 10);
  std::uint64_t window = Join(sampler, kStart, 12);
  End(sampler, window, 1, 10ms);
  CHECK(sampler.Join(kStart + 150ms, 1) == 0);
  CHECK(Join(sampler, kStart + 250ms, 9) == window);
  End(sampler, window, 9, 10ms);
  CHECK(sampler.Ready(kStart + 250ms));
}

TEST_CASE("a window full of calls that hang is given up") {
  LimitSampler sampler(100ms, 10);
  const std::uint64_t window = Join(sampler, kStart, 4096);
  CHECK(sampler.Join(kStart + 10ms, 1) == 0);
  CHECK(sampler.Join(kStart + 150ms, 1) == 0);
  CHECK(sampler.Join(kStart + 250ms, 1) > window);
}

TEST_CASE("what is ignored is as if it had never been") {
  LimitSampler sampler(100ms, 10);
  const std::uint64_t window = Join(sampler, kStart, 10'000);  // some of them too many
  End(sampler, window, 4096, 1h, Outcome::kIgnored);
  CHECK(!sampler.Ready(kStart + 1s));
  CHECK(Join(sampler, kStart + 1s, 10) == window);
  End(sampler, window, 10, 30ms);
  CHECK(sampler.Ready(kStart + 1s));
  const LimitWindow taken = sampler.Take(0);
  CHECK(taken.latency == 30e6);
  CHECK(!taken.dropped);
}

TEST_CASE("drops have no latency, and are too many above their share") {
  const auto dropped = [](int drops, double share) {
    LimitSampler sampler(100ms, 10);
    const std::uint64_t window = Join(sampler, kStart, 100);
    End(sampler, window, 100 - drops, 30ms);
    End(sampler, window, drops, 10s, Outcome::kFailure);
    const LimitWindow taken = sampler.Take(share);
    CHECK(taken.latency == 30e6);
    return taken.dropped;
  };
  CHECK(!dropped(0, 0));
  CHECK(dropped(1, 0));
  CHECK(!dropped(5, 0.05));
  CHECK(dropped(6, 0.05));
}

TEST_CASE("a window is as long as two mean latencies, from its shortest to ten seconds") {
  const auto length_after = [](Duration latency) {
    LimitSampler sampler(100ms, 10);
    End(sampler, Join(sampler, kStart, 10), 10, latency);
    (void)sampler.Take(0);
    const std::uint64_t window = Join(sampler, kStart, 10);
    Duration length = 0ms;
    while (sampler.Join(kStart + length, 1) == window) length += 10ms;
    return length;
  };
  CHECK(length_after(0ms) == 100ms);
  CHECK(length_after(-1h) == 100ms);
  CHECK(length_after(40ms) == 100ms);
  CHECK(length_after(400ms) == 800ms);
  CHECK(length_after(1h) == 10s);
  CHECK(length_after(Duration::max()) == 10s);
}

TEST_CASE("of more calls than are needed only a part is asked to join, and of fewer again all") {
  LimitSampler sampler(100ms, 10);
  TimePoint now = kStart;
  // The calls that the window is taken to stand for.
  const auto run = [&](std::int64_t calls_in_window) {
    std::uint64_t window = 0;
    int joined = 0;
    for (std::int64_t i = 0; i < calls_in_window; i += std::int64_t{1} << sampler.shift()) {
      const std::uint64_t joins = sampler.Join(now + 100ms * i / calls_in_window, 1);
      window = std::max(window, joins);
      joined += joins != 0 ? 1 : 0;
    }
    (void)sampler.Join(now + 100ms, 1);
    End(sampler, window, joined, 1ms);
    now += 200ms;
    REQUIRE(sampler.Ready(now));
    return sampler.Take(0).calls;
  };
  for (int i = 0; i < 10; ++i) (void)run(1'000'000);
  CHECK(sampler.shift() >= 10);
  CHECK(sampler.shift() <= 11);
  CHECK(static_cast<double>(run(1'000'000)) == test::Approx(1e6).epsilon(0.01));
  (void)run(40'960);
  CHECK(sampler.shift() <= 8);
  for (int i = 0; i < 3; ++i) (void)run(40'960);
  CHECK(sampler.shift() >= 5);
  (void)run(2'000);
  (void)run(2'000);
  CHECK(sampler.shift() <= 3);
}

TEST_CASE("a clock that goes back does not keep a window open, and little disorder does no harm") {
  LimitSampler sampler(100ms, 10);
  const std::uint64_t window = Join(sampler, kStart, 5);
  CHECK(sampler.Join(kStart - 500ms, 1) == window);
  const std::uint64_t other = sampler.Join(kStart - 2s, 1);
  CHECK(other > window);
  CHECK(sampler.Join(kStart - 1901ms, 1) == other);
  End(sampler, window, 6, 1h);
  End(sampler, other, 2, 1ms);
  CHECK(sampler.Take(0).latency == 1e6);
}

TEST_CASE("times at the ends of time overflow nothing") {
  LimitSampler sampler(Duration::max(), 10);
  for (const TimePoint now : {TimePoint::max(), TimePoint::min(), TimePoint::max()}) {
    const std::uint64_t window = Join(sampler, now, 10);
    End(sampler, window, 10, Duration::max());
    (void)sampler.Ready(now);
    CHECK(sampler.busy_from() <= now);
    (void)sampler.busy_until();
  }
  CHECK(sampler.Take(0).latency > 9e18);
}

}  // namespace
}  // namespace holdfast::internal::limit_sampler_test
