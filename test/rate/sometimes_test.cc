#include "holdfast/rate/sometimes.h"

#include <array>
#include <atomic>
#include <barrier>
#include <cstddef>
#include <deque>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::sometimes_test {
namespace {

using namespace std::chrono_literals;
using Options = Sometimes::Options;

constexpr TimePoint At(Duration d) { return TimePoint{d}; }

// Which of the calls, numbered from 0, run.
std::vector<int> RunsOf(Sometimes& sometimes, const std::vector<Duration>& times) {
  std::vector<int> runs;
  for (int i = 0; i < std::ssize(times); ++i) {
    sometimes.DoAt(At(times[static_cast<std::size_t>(i)]), [&] { runs.push_back(i); });
  }
  return runs;
}

std::vector<int> RunsOf(const Options& options, const std::vector<Duration>& times) {
  Sometimes sometimes(options);
  return RunsOf(sometimes, times);
}

// These five are the documented examples of golang.org/x/time/rate's Sometimes.
TEST_CASE("with no options it runs once") {
  CHECK(RunsOf({}, std::vector<Duration>(3)) == std::vector{0});
}

TEST_CASE("the first calls run") {
  CHECK(RunsOf({.first = 2}, std::vector<Duration>(3)) == std::vector{0, 1});
}

TEST_CASE("every so many calls one runs") {
  CHECK(RunsOf({.every = 2}, std::vector<Duration>(3)) == std::vector{0, 2});
  CHECK(RunsOf({.every = 3}, std::vector<Duration>(8)) == std::vector{0, 3, 6});
  CHECK(RunsOf({.every = 1}, std::vector<Duration>(3)) == std::vector{0, 1, 2});
}

TEST_CASE("once in an interval one runs") {
  CHECK(RunsOf({.interval = 1s}, {0s, 0s, 1s}) == std::vector{0, 2});
  CHECK(RunsOf({.interval = 1s}, {5s, 5999999999ns, 6s, 6s, 6999ms, 9s, 9s}) ==
        std::vector{0, 2, 5});
}

TEST_CASE("one of several reasons is enough") {
  const Options options{.first = 2, .every = 2, .interval = 2s};
  CHECK(RunsOf(options, {0s, 0s, 0s, 0s, 2s}) == std::vector{0, 1, 2, 4});
  CHECK(RunsOf(options, {0s, 0s, 0s, 2s, 2s}) == std::vector{0, 1, 2, 3, 4});
}

TEST_CASE("a run for any reason begins a new interval") {
  CHECK(RunsOf({.first = 2, .interval = 2s}, {0s, 1s, 2s, 3s}) == std::vector{0, 1, 3});
  CHECK(RunsOf({.every = 2, .interval = 2s}, {0s, 1s, 1s, 2s, 3s, 4s}) == std::vector{0, 2, 4});
}

TEST_CASE("Do says whether it ran") {
  Sometimes once({});
  CHECK(once.Do([] {}));
  CHECK_FALSE(once.Do([] {}));
}

TEST_CASE("the clock is read for an interval, and for nothing else") {
  class CountingClock final : public Clock {
   public:
    TimePoint Now() const override { return ++reads, now; }
    void WaitUntil(TimePoint, Parker&) override {}
    mutable int reads = 0;
    TimePoint now;
  };
  CountingClock clock;
  Sometimes by_count({.first = 1, .every = 3, .clock = &clock});
  for (int i = 0; i < 10; ++i) by_count.Do([] {});
  CHECK(clock.reads == 0);
  Sometimes by_time({.interval = 1s, .clock = &clock});
  CHECK(by_time.Do([] {}));
  CHECK_FALSE(by_time.Do([] {}));
  clock.now += 1s;
  CHECK(by_time.Do([] {}));
  CHECK(clock.reads == 3);
}

// In Go this is a deadlock.
TEST_CASE("what runs may ask again, from its thread and from others") {
  Sometimes sometimes({.every = 2});
  std::vector<std::string> runs;
  sometimes.Do([&] {
    runs.emplace_back("outer");
    CHECK_FALSE(sometimes.Do([] {}));
    sometimes.Do([&] { runs.emplace_back("inner"); });
    std::thread([&] { sometimes.Do([] {}); }).join();
    std::thread([&] { sometimes.Do([&] { runs.emplace_back("elsewhere"); }); }).join();
  });
  CHECK(runs == std::vector<std::string>{"outer", "inner", "elsewhere"});
  Sometimes by_time({.interval = 1s});
  CHECK(by_time.DoAt(At(0s), [&] { CHECK_FALSE(by_time.DoAt(At(0s), [] {})); }));
}

TEST_CASE("a run that throws counts as one") {
  const auto fail = [] { throw std::runtime_error("broken"); };
  Sometimes once({});
  CHECK_THROWS_AS(once.Do(fail), std::runtime_error);
  CHECK_FALSE(once.Do(fail));
  Sometimes mixed({.every = 2, .interval = 1s});
  CHECK_THROWS_AS(mixed.DoAt(At(0s), fail), std::runtime_error);
  CHECK_FALSE(mixed.DoAt(At(999ms), fail));
  CHECK_THROWS_AS(mixed.DoAt(At(999ms), fail), std::runtime_error);
  CHECK_FALSE(mixed.DoAt(At(1998ms), fail));
  CHECK_THROWS_AS(mixed.DoAt(At(1998ms), fail), std::runtime_error);
  Sometimes by_time({.interval = 1s});
  CHECK_THROWS_AS(by_time.DoAt(At(0s), fail), std::runtime_error);
  CHECK_FALSE(by_time.DoAt(At(999ms), fail));
  CHECK_THROWS_AS(by_time.DoAt(At(1s), fail), std::runtime_error);
}

// In Go it counts from its end.
TEST_CASE("an interval counts from the beginning of a run") {
  testing::FakeClock clock;
  Sometimes sometimes({.interval = 10s, .clock = &clock});
  CHECK(sometimes.Do([&] { clock.Advance(9s); }));
  CHECK_FALSE(sometimes.Do([] {}));
  clock.Advance(1s);
  CHECK(sometimes.Do([] {}));
}

TEST_CASE("an older now does not run it again") {
  CHECK(RunsOf({.interval = 1s}, {10s, 0s, 9s, 10s, 11s, 0s, 10s, 12s}) == std::vector{0, 4, 7});
  CHECK(RunsOf({.first = 3, .interval = 1s}, {10s, 0s, 5s, 9s, 10s, 11s}) ==
        std::vector{0, 1, 2, 5});
}

TEST_CASE("times at the ends of what can be said do no harm to Sometimes") {
  Sometimes sometimes({.interval = Duration::max()});
  CHECK(sometimes.DoAt(TimePoint::min(), [] {}));
  CHECK_FALSE(sometimes.DoAt(TimePoint::min(), [] {}));
  CHECK_FALSE(sometimes.DoAt(At(-1s), [] {}));
  CHECK(sometimes.DoAt(TimePoint::max(), [] {}));
  CHECK_FALSE(sometimes.DoAt(TimePoint::max(), [] {}));
}

TEST_CASE("negative options are refused") {
  for (const auto& [options, name] : std::vector<std::pair<Options, std::string>>{
           {{.first = -1}, "first"}, {{.every = -1}, "every"}, {{.interval = -1ns}, "interval"}}) {
    CHECK_THROWS_WITH(Sometimes(options), "Sometimes: " + name + " must be >= 0, not -1");
    CHECK_THROWS_AS(Sometimes(options), std::invalid_argument);
  }
  CHECK(Validate(Options{}).ok());
}

TEST_CASE("threads share the first calls exactly") {
  Sometimes sometimes({.first = 100'000});
  std::atomic<int> runs = 0;
  test::InThreads(4, [&](int) {
    for (int i = 0; i < 50'000; ++i) sometimes.Do([&] { ++runs; });
  });
  CHECK(runs == 100'000);
}

TEST_CASE("threads share every so many calls exactly") {
  Sometimes sometimes({.first = 10, .every = 7});
  std::atomic<int> runs = 0;
  test::InThreads(4, [&](int) {
    for (int i = 0; i < 50'000; ++i) sometimes.Do([&] { ++runs; });
  });
  // Numbers 0 and 7 are among the first 10, and are every seventh as well.
  CHECK(runs == 10 - 2 + (200'000 + 6) / 7);
}

// All threads come to each time together, the very first included.
TEST_CASE("each interval has one winner") {
  constexpr int kIntervals = 2'000;
  Sometimes sometimes({.interval = 1s});
  std::vector<std::atomic<int>> winners(kIntervals);
  std::barrier<> together(4);
  test::InThreads(4, [&](int) {
    for (int i = 0; i < kIntervals; ++i) {
      together.arrive_and_wait();
      const auto win = [&] { ++winners[static_cast<std::size_t>(i)]; };
      sometimes.DoAt(At(i * 1s), win);
      sometimes.DoAt(At(i * 1s - 1ns), win);
    }
  });
  int wrong = 0;
  for (const std::atomic<int>& each : winners) wrong += each == 1 ? 0 : 1;
  CHECK(wrong == 0);
}

// Two threads come to each at the same moment, as nearly as it can be had.
TEST_CASE("nobody wins an interval before the first call has begun it") {
  constexpr int kTimes = 100'000;
  std::deque<Sometimes> all;
  for (int i = 0; i < kTimes; ++i) all.emplace_back(Options{.interval = 1s});
  std::array<std::vector<int>, 2> runs;
  std::array<std::atomic<int>, 2> reached{};
  test::InThreads(2, [&](int thread) {
    const auto me = static_cast<std::size_t>(thread);
    for (int i = 0; i < kTimes; ++i) {
      reached[me] = i;
      while (reached[1 - me] < i) std::this_thread::yield();
      all[static_cast<std::size_t>(i)].DoAt(At(1h), [&] { runs[me].push_back(i); });
    }
  });
  CHECK(runs[0].size() + runs[1].size() == kTimes);
}

}  // namespace
}  // namespace holdfast::sometimes_test
