// What latencies, limits and pools tell a registry of metrics.
#include <absl/status/status.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "holdfast/base/settings.h"
#include "holdfast/base/thread_pool.h"
#include "holdfast/call/internal/collect_pool.h"
#include "holdfast/hedge/hedge.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/adaptive_timeout.h"
#include "holdfast/timeout/latency_quantile.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"
#include "test/support/collected.h"
#include "test/support/collected_objects.h"
#include "test/support/threads.h"

namespace holdfast::timeout_metrics_test {
namespace {

using namespace std::chrono_literals;
using test::Collected;
using test::CollectedOf;
using test::ObjectsOf;
using test::TitlesOf;
using testing::FakeClock;

using Titles = std::vector<std::string>;

constexpr auto kValue = "holdfast.latency_quantile.value";
constexpr auto kLimit = "holdfast.timeout.limit";
constexpr auto kThreads = "holdfast.pool.threads";
constexpr auto kQueued = "holdfast.pool.queued";
constexpr auto kRefusals = "holdfast.pool.refusals";

double Seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

// What latencies say at this moment; 0: nothing.
double ValueOf(const LatencyQuantile& latencies) {
  const Collected told = CollectedOf(latencies);
  return told.has(kValue, "holdfast.quantile=0.9") ? told.at(kValue, "holdfast.quantile=0.9") : 0;
}
double ValueOf(std::optional<Duration> value) { return value ? Seconds(*value) : 0; }

Collected CollectedOfPool(const ThreadPool& pool) {
  Collected collected;
  internal::CollectPool(pool, collected);
  return collected;
}

TEST_CASE("latencies tell their quantile once they have one") {
  FakeClock clock;
  LatencyQuantile latencies({.quantile = 0.9, .min_samples = 10, .clock = &clock});
  CHECK(CollectedOf(latencies).all().empty());
  for (int i = 1; i < 10; ++i) latencies.Record(i * 10ms);
  CHECK(CollectedOf(latencies).all().empty());
  latencies.Record(100ms);
  CHECK(CollectedOf(latencies).all().size() == 1);
  CHECK(ValueOf(latencies) == ValueOf(latencies.Value()));
  CHECK(ValueOf(latencies) >= 0.09);
  CHECK(ValueOf(latencies) < 0.09 * (1 + 1.0 / 32));
}

TEST_CASE("the attribute of a quantile is its shortest decimal") {
  const auto told = [](double quantile) {
    LatencyQuantile latencies({.quantile = quantile, .min_samples = 1});
    latencies.Record(1s);
    return CollectedOf(latencies);
  };
  CHECK(told(0.5).has(kValue, "holdfast.quantile=0.5"));
  CHECK(told(0.99).has(kValue, "holdfast.quantile=0.99"));
  CHECK(told(0.9999999).has(kValue, "holdfast.quantile=0.9999999"));
  CHECK(told(1).has(kValue, "holdfast.quantile=1"));
}

// With samples of `n` ms at each time, over several halves and pauses. Where it looks, it checks
// that what is told is what those who ask for the value get.
std::vector<double> TraceOfLatencies(int looks) {
  FakeClock clock;
  LatencyQuantile latencies({.quantile = 0.9, .window = 20s, .min_samples = 5, .clock = &clock});
  std::vector<double> trace;
  for (int i = 0; i < 200; ++i) {
    double looked = 0;
    for (int look = 0; look < looks; ++look) looked = ValueOf(latencies);
    const double value = ValueOf(latencies.Value());
    if (looks > 0) CHECK(looked == value);
    trace.push_back(value);
    for (int n = 0; n < 3; ++n) latencies.Record((1 + (i * 7 + n) % 50) * 1ms);
    clock.Advance(i % 40 == 39 ? 25s : i % 17 == 16 ? 12s : 900ms);
  }
  return trace;
}

TEST_CASE("a look at latencies ends no half, and tells what a call would learn") {
  const std::vector<double> trace = TraceOfLatencies(0);
  CHECK(TraceOfLatencies(5) == trace);
}

TEST_CASE("a look at latencies from long after drops nothing") {
  FakeClock clock;
  LatencyQuantile latencies({.quantile = 0.9, .window = 20s, .min_samples = 5, .clock = &clock});
  for (int i = 0; i < 5; ++i) latencies.Record(10ms);
  const double value = ValueOf(latencies);
  CHECK(value > 0);
  clock.Advance(10s);  // the half is over
  CHECK(ValueOf(latencies) == value);
  clock.Advance(1h);
  CHECK(ValueOf(latencies) == 0);
  clock.Advance(-1h);
  CHECK(ValueOf(latencies) == value);
  CHECK(ValueOf(latencies.Value()) == value);
  clock.Advance(1h);
  CHECK_FALSE(latencies.Value());
}

// A service that becomes slow, behind an AdaptiveTimeout.
std::vector<double> TraceOfLimit(int looks) {
  FakeClock clock(TimePoint(1h));
  const AdaptiveTimeout timeout({.quantile = 0.9, .name = "orders"}, {.max = 2s});
  std::vector<double> trace;
  Duration takes{};
  double looked = 0;
  const auto call = Stack(timeout).Around(
      [&](Call& attempt) {
        const Duration left = attempt.deadline() - clock.Now();
        clock.Advance(std::min(takes, left));
        trace.push_back(Seconds(left));
        if (looks > 0) CHECK(looked == Seconds(left));
        return takes <= left ? absl::OkStatus() : absl::DeadlineExceededError("too slow");
      },
      &clock);
  for (int i = 0; i < 250; ++i) {
    takes = i % 100 < 60 ? Duration(10ms) : Duration(70ms);
    for (int look = 0; look < looks; ++look) looked = CollectedOf(ObjectsOf(timeout)).at(kLimit);
    trace.push_back(call().ok() ? 1 : 0);
    if (i % 90 == 89) clock.Advance(40s);
  }
  return trace;
}

TEST_CASE("an AdaptiveTimeout tells the limit that a call gets, and a look does not change it") {
  const std::vector<double> trace = TraceOfLimit(0);
  CHECK(TraceOfLimit(4) == trace);
}

TEST_CASE("an AdaptiveTimeout tells its limit and its latencies, by their name") {
  FakeClock clock;
  const auto latencies = std::make_shared<LatencyQuantile>(
      LatencyQuantile::Options{.quantile = 0.9, .name = "orders", .clock = &clock});
  const AdaptiveTimeout timeout(latencies, {.max = 5s});
  CHECK(TitlesOf(ObjectsOf(timeout)) == Titles{"AdaptiveTimeout orders", "AdaptiveTimeout orders"});
  CHECK(CollectedOf(ObjectsOf(timeout)).all().size() == 1);
  CHECK(CollectedOf(ObjectsOf(timeout)).at(kLimit) == 5);
  for (int i = 0; i < 20; ++i) latencies->Record(100ms);
  const Collected told = CollectedOf(ObjectsOf(timeout));
  CHECK(told.at(kLimit) == test::Approx(2 * told.at(kValue, "holdfast.quantile=0.9")));
}

TEST_CASE("a Timeout tells a limit that may change") {
  CHECK(TitlesOf(ObjectsOf(Timeout(3s))).empty());
  const auto settings = std::make_shared<Settings<TimeoutOptions>>(TimeoutOptions{.limit = 3s});
  const Timeout timeout(settings);
  CHECK(TitlesOf(ObjectsOf(timeout)) == Titles{"Timeout "});
  CHECK(CollectedOf(ObjectsOf(timeout)).at(kLimit) == 3);
  REQUIRE(settings->Update({.limit = 1500ms}).ok());
  CHECK(CollectedOf(ObjectsOf(timeout)).at(kLimit) == 1.5);
}

TEST_CASE("a pool counts what it refuses, and tells its threads and its queue") {
  std::latch open(1);
  ThreadPool pool({.max_threads = 2, .max_queue = 1});
  CHECK(CollectedOfPool(pool).at(kThreads) == 0);
  CHECK(CollectedOfPool(pool).at(kRefusals) == 0);
  for (int i = 0; i < 5; ++i) CHECK(pool.TryRun([&open] { open.wait(); }) == (i < 3));
  const Collected told = CollectedOfPool(pool);
  CHECK(told.at(kThreads) == 2);
  CHECK(told.at(kQueued) == 1);
  CHECK(told.at(kRefusals) == 2);
  CHECK(pool.refused() == 2);
  open.count_down();
}

TEST_CASE("policies with a pool tell it") {
  const auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{.name = "io"});
  const auto settings = std::make_shared<Settings<TimeoutOptions>>(TimeoutOptions{.limit = 3s});
  CHECK(TitlesOf(ObjectsOf(Timeout(3s, pool))) == Titles{"Timeout io"});
  CHECK(TitlesOf(ObjectsOf(Timeout(settings, pool))) == Titles{"Timeout io", "Timeout "});
  CHECK(CollectedOf(ObjectsOf(Timeout(3s, pool))).at(kRefusals) == 0);

  const auto latencies = std::make_shared<LatencyQuantile>(LatencyQuantile::Options{.name = "ask"});
  CHECK(TitlesOf(ObjectsOf(Hedge({.latencies = latencies, .pool = pool}, HedgeAll()))) ==
        Titles{"Hedge io", "Hedge ", "Hedge ask"});
  const Hedge hedge({}, HedgeAll());
  CHECK(TitlesOf(ObjectsOf(hedge)) == Titles{"Hedge "});
  CHECK(CollectedOf(ObjectsOf(hedge)).at("holdfast.retry_budget.balance") == 100);
}

TEST_CASE("a look beside threads that record tells only what they record") {
  constexpr int kRecorders = 3;
  FakeClock clock;
  const auto latencies = std::make_shared<LatencyQuantile>(
      LatencyQuantile::Options{.quantile = 0.9, .window = 1ms, .min_samples = 1, .clock = &clock});
  const AdaptiveTimeout timeout(latencies);
  std::atomic<int> at_work{kRecorders};
  bool strange = false;
  test::InThreads(kRecorders + 1, [&](int thread) {
    if (thread == kRecorders) {
      while (at_work.load(std::memory_order_acquire) > 0) {
        const double value = ValueOf(*latencies);
        strange |= value != 0 && (value < 0.01 || value > 0.01 * (1 + 1.0 / 32));
        (void)CollectedOf(ObjectsOf(timeout));
      }
      return;
    }
    for (int i = 0; i < 3'000; ++i) {
      latencies->Record(10ms);
      if (i % 10 == 0) clock.Advance(50us);
    }
    at_work.fetch_sub(1, std::memory_order_release);
  });
  CHECK_FALSE(strange);
  latencies->Record(10ms);
  CHECK(ValueOf(*latencies) == ValueOf(latencies->Value()));
}

TEST_CASE("refusals of a pool that threads use never shrink, and add up") {
  constexpr int kCallers = 4;
  constexpr int kTasks = 2'000;
  std::atomic<std::int64_t> ran{0};
  std::atomic<std::int64_t> refused{0};
  std::atomic<int> at_work{kCallers};
  bool shrank = false;
  {
    ThreadPool pool({.max_threads = 1, .max_queue = 2});
    test::InThreads(kCallers + 1, [&](int thread) {
      if (thread == kCallers) {
        double last = 0;
        while (at_work.load(std::memory_order_acquire) > 0) {
          const double refusals = CollectedOfPool(pool).at(kRefusals);
          shrank |= refusals < last;
          last = refusals;
        }
        return;
      }
      for (int i = 0; i < kTasks; ++i) {
        if (!pool.TryRun([&ran] { ran.fetch_add(1, std::memory_order_relaxed); })) {
          refused.fetch_add(1, std::memory_order_relaxed);
        }
      }
      at_work.fetch_sub(1, std::memory_order_release);
    });
    CHECK(CollectedOfPool(pool).at(kRefusals) == static_cast<double>(refused));
  }
  CHECK_FALSE(shrank);
  CHECK(ran + refused == kCallers * kTasks);
}

}  // namespace
}  // namespace holdfast::timeout_metrics_test
