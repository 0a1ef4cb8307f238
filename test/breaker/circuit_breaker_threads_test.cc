// Threads over one breaker. Meant for TSan as well.
#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/breaker/internal/breaker_lane.h"
#include "test/support/breaker.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::circuit_breaker_threads_test {
namespace {

using namespace std::chrono_literals;
using Options = CircuitBreaker::Options;

constexpr TimePoint kNow{100s};

Outcome OutcomeOf(int call) {
  return call % 10 == 0   ? Outcome::kFailure
         : call % 10 == 1 ? Outcome::kIgnored
                          : Outcome::kSuccess;
}

TEST_CASE("ten threads with mixed outcomes lose no count, whatever the window") {
  constexpr int kThreads = 10;
  constexpr int kCalls = 100'000;
  constexpr std::uint64_t kAll = std::uint64_t{kThreads} * kCalls;
  Options options =
      GENERATE(Options{}, Options{.interval = 1h}, Options{.interval = 1h, .bucket_period = 1s},
               Options{.last_calls = 100'000});
  options.ready_to_trip = [](const BreakerCounts&) { return false; };
  CircuitBreaker breaker(options);
  const bool rolls = options.bucket_period > 0s;
  test::InThreads(kThreads, [&](int thread) {
    for (int i = 0; i < kCalls; ++i) {
      // Of a rolling window a period in each 1,000 calls.
      const TimePoint now = rolls ? kNow + i * 1ms : kNow;
      auto ticket = breaker.AdmitAt(now);
      if (ticket.ok()) ticket->DoneAt(now, OutcomeOf(thread + i));
    }
  });
  const BreakerCounts counts = breaker.CountsAt(kNow);
  if (options.last_calls > 0) {
    CHECK(counts.requests == 100'000);
    CHECK(counts.judged() == 100'000);
    return;
  }
  CHECK(counts.requests == kAll);
  CHECK(counts.successes == kAll / 10 * 8);
  CHECK(counts.failures == kAll / 10);
  CHECK(counts.ignored == kAll / 10);
}

TEST_CASE("no outcome is counted in a generation that did not admit its call") {
  CircuitBreaker breaker({.ready_to_trip = [](const BreakerCounts&) { return false; }});
  std::atomic<int> wrong = 0;
  std::jthread by_hand([&](const std::stop_token& stop) {
    for (int i = 0; !stop.stop_requested(); ++i) {
      switch (i % 3) {
        case 0:
          breaker.ResetAt(kNow);
          break;
        case 1:
          breaker.SetModeAt(kNow, BreakerMode::kForcedOpen);
          break;
        default:
          breaker.SetModeAt(kNow, BreakerMode::kForcedClosed);
      }
      std::this_thread::yield();
    }
  });
  test::InThreads(3, [&](int thread) {
    for (int i = 0; i < 20'000; ++i) {
      auto late = breaker.AdmitAt(kNow);
      if (i % 64 == 0) std::this_thread::yield();
      if (late.ok()) late->DoneAt(kNow, OutcomeOf(thread + i));
      const BreakerCounts counts = breaker.CountsAt(kNow);
      if (counts.judged() + counts.ignored > counts.requests) ++wrong;
    }
  });
  by_hand = {};
  CHECK(wrong == 0);
  breaker.ResetAt(kNow);
  CHECK(breaker.CountsAt(kNow) == BreakerCounts{});
  breaker.AdmitAt(kNow)->DoneAt(kNow, Outcome::kSuccess);
  CHECK(breaker.CountsAt(kNow).requests == 1);
  CHECK(breaker.CountsAt(kNow).successes == 1);
}

TEST_CASE("who comes after a breaker opened is refused") {
  for (int round = 0; round < 200; ++round) {
    CircuitBreaker breaker({.ready_to_trip = [](const BreakerCounts&) { return true; }});
    std::atomic<bool> open = false;
    std::atomic<int> passed = 0;
    test::InThreads(3, [&](int thread) {
      for (int i = 0; i < 100; ++i) {
        const bool was_open = open;
        auto ticket = breaker.AdmitAt(kNow);
        if (ticket.ok() && was_open) ++passed;
        if (!ticket.ok()) continue;
        const bool fails = thread == 0 && i == 20;
        ticket->DoneAt(kNow, fails ? Outcome::kFailure : Outcome::kSuccess);
        if (fails) open = true;
      }
    });
    REQUIRE(passed == 0);
  }
}

TEST_CASE("a rolling breaker counts each call once while its periods fly by") {
  constexpr int kCalls = 50'000;
  constexpr std::uint64_t kAll = std::uint64_t{4} * kCalls;
  CircuitBreaker breaker({.interval = 100s, .bucket_period = 10ms});
  const auto started = std::chrono::steady_clock::now();
  test::InThreads(4, [&](int) {
    std::optional<Ticket>
        before;  // ends a call later: now and then in the next period, or after it
    for (int i = 0; i < kCalls; ++i) {
      auto ticket = breaker.Admit();
      if (before) before->Done(Outcome::kSuccess);
      before = *std::move(ticket);
      if (i % 10'000 == 0) std::this_thread::sleep_for(25ms);  // periods have to pass
    }
    before->Done(Outcome::kSuccess);
  });
  REQUIRE(std::chrono::steady_clock::now() - started < 100s);
  const BreakerCounts counts = breaker.counts();
  CHECK(counts.requests == kAll);
  CHECK(counts.successes == kAll);
  CHECK(counts.consecutive_successes == kAll);
}

TEST_CASE("what a lane counts is taken once, by the era it belongs to") {
  internal::BreakerLane lane;
  std::uint64_t era = 1;
  lane.Open(era, TimePoint::max());
  std::atomic<std::uint64_t> admitted = 0;
  std::atomic<std::uint64_t> succeeded = 0;
  std::atomic<int> running = 3;
  std::uint64_t admitted_taken = 0;
  std::uint64_t succeeded_taken = 0;
  std::uint64_t more_succeeded = 0;  // than were admitted, at any time
  std::jthread taker([&] {
    const auto take = [&] {
      const internal::BreakerLane::Count count = lane.Take();
      admitted_taken += count.admitted;
      succeeded_taken += count.succeeded + count.succeeded_before;
      if (succeeded_taken > admitted_taken) ++more_succeeded;
    };
    for (int round = 0; running > 0; ++round) {
      for (int i = 0; i < 50; ++i) take();
      lane.Shut();
      take();
      lane.Open(era += round % 3 == 0 ? 2 : 1, TimePoint::max());  // now and then a generation
    }
    lane.Shut();
    take();
  });
  test::InThreads(3, [&](int) {
    for (int i = 0; i < 50'000 || succeeded == 0; ++i) {
      std::uint64_t mine = 0;
      if (!lane.TryAdmit(kNow, mine)) continue;
      ++admitted;
      if (lane.TrySucceed(kNow, mine)) ++succeeded;
    }
    --running;
  });
  taker.join();
  CHECK(more_succeeded == 0);
  CHECK(admitted_taken == admitted);
  CHECK(succeeded_taken == succeeded);
  CHECK(succeeded > 0);
}

TEST_CASE("counts are of a moment: with one call out at a time there is never more than one") {
  CircuitBreaker breaker({});
  std::atomic<bool> done = false;
  std::uint64_t wrong = 0;
  std::jthread worker([&] {
    for (int i = 0; i < 300'000; ++i) breaker.AdmitAt(kNow)->DoneAt(kNow, Outcome::kSuccess);
    done = true;
  });
  while (!done) {
    const BreakerCounts counts = breaker.CountsAt(kNow);
    if (counts.requests - counts.judged() > 1) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("no success is lost where a fixed window ends and the run goes on") {
  constexpr int kRounds = 100'000;
  CircuitBreaker breaker({.interval = 10s});
  TimePoint begin = kNow;
  Ticket succeeds;
  Ticket later;
  std::atomic<int> begun = 0;
  std::atomic<int> ended = 0;
  const auto pause = [](int turns) {
    for (std::atomic<int> i = 0; i < turns;) ++i;
  };
  const std::jthread worker([&] {
    for (int round = 1; round <= kRounds; ++round) {
      while (begun < round) std::this_thread::yield();
      pause(round % 16);
      succeeds.DoneAt(begin, Outcome::kSuccess);
      later = *breaker.AdmitAt(begin);
      ended = round;
    }
  });
  std::uint64_t lost = 0;
  for (int round = 1; round <= kRounds; ++round) {
    begin += 20s;
    test::Record(breaker, begin, Outcome::kSuccess);
    test::Record(breaker, begin, Outcome::kFailure);
    succeeds = *breaker.AdmitAt(begin);
    begun = round;
    pause(round * 7 % 32);
    (void)breaker.StateAt(begin + 11s);  // the window ends
    while (ended < round) std::this_thread::yield();
    const BreakerCounts counts = breaker.CountsAt(begin + 11s);
    later.DoneAt(begin + 11s, Outcome::kIgnored);
    // If even what came after the success came before the end of the window, so did the success.
    const bool before_the_end = breaker.CountsAt(begin + 11s).ignored == 0;
    if (before_the_end && counts.consecutive_failures != 0) ++lost;
  }
  CHECK(lost == 0);
}

}  // namespace
}  // namespace holdfast::circuit_breaker_threads_test
