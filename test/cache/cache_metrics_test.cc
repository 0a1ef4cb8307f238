// What a ResultCache tells a registry of metrics.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/cache/cache.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/collected.h"
#include "test/support/collected_objects.h"
#include "test/support/threads.h"

namespace holdfast::cache_metrics_test {
namespace {

using namespace std::chrono_literals;
using test::Collected;
using test::CollectedOf;
using test::ObjectsOf;
using testing::FakeClock;

using Result = absl::StatusOr<std::string>;
using Results = ResultCache<Result>;

constexpr auto kLookups = "holdfast.cache.lookups";
constexpr auto kEvictions = "holdfast.cache.evictions";
constexpr auto kEntries = "holdfast.cache.entries";
constexpr auto kSize = "holdfast.cache.size";

const absl::Status kDown = absl::UnavailableError("down");

struct Lookups {
  explicit Lookups(const Results& cache) {
    const Collected told = CollectedOf(cache);
    hit = told.at(kLookups, "holdfast.result=hit");
    stale = told.at(kLookups, "holdfast.result=stale");
    shared = told.at(kLookups, "holdfast.result=shared");
    miss = told.at(kLookups, "holdfast.result=miss");
  }
  Lookups(double hits, double stales, double shares, double misses)
      : hit(hits), stale(stales), shared(shares), miss(misses) {}

  double sum() const { return hit + stale + shared + miss; }
  friend bool operator==(const Lookups&, const Lookups&) = default;

  double hit = 0;
  double stale = 0;
  double shared = 0;
  double miss = 0;
};

// A stack with a cache, whose service says what it is told to, then "answer".
struct Scene {
  explicit Scene(Results::Options options) : cache(std::make_shared<Results>(std::move(options))) {}

  Result Ask(std::string_view key) {
    return Stack(Cache(cache))
        .Around(
            [this]() -> Result {
              if (answers.empty()) return "answer";
              Result answer = answers.front();
              answers.pop_front();
              return answer;
            },
            &clock)
        .With({.key = key});
  }

  FakeClock clock;
  std::deque<Result> answers;
  std::shared_ptr<Results> cache;
};

TEST_CASE("a cache tells every series from the beginning") {
  const Results cache({.ttl = 10s});
  const Collected told = CollectedOf(cache);
  CHECK(told.all().size() == 7);
  CHECK(Lookups(cache) == Lookups(0, 0, 0, 0));
  for (const auto& [series, value] : told.all()) CHECK(value == 0);
}

TEST_CASE("a cache counts each lookup once, by what it found") {
  Scene scene({.ttl = 10s, .negative_ttl = 2s, .stale_if_error = 60s});
  CHECK(scene.Ask("a").ok());
  CHECK(scene.Ask("a").ok());
  CHECK(Lookups(*scene.cache) == Lookups(1, 0, 0, 1));
  scene.clock.Advance(10s);
  scene.answers = {kDown};
  CHECK(scene.Ask("a").ok());  // it went down, and a stale result replaced the failure
  CHECK(Lookups(*scene.cache) == Lookups(1, 0, 0, 2));
  CHECK(scene.Ask("a").ok());  // stale, without going down
  CHECK(Lookups(*scene.cache) == Lookups(1, 1, 0, 2));
  CHECK(scene.cache->stats().stale == 2);
  CHECK(scene.Ask("").ok());  // without a key there is no lookup
  CHECK(Lookups(*scene.cache).sum() == 4);
}

TEST_CASE("a stale result for a failure is counted, even if its key was erased meanwhile") {
  FakeClock clock;
  const auto cache = std::make_shared<Results>(Results::Options{.ttl = 10s, .stale_if_error = 60s});
  const auto ask = Stack(Cache(cache))
                       .Around(
                           [&]() -> Result {
                             if (clock.Now() == TimePoint{}) return "good";
                             cache->Erase("a");
                             return kDown;
                           },
                           &clock);
  CHECK(ask.With({.key = "a"}) == Result("good"));
  clock.Advance(10s);
  CHECK(ask.With({.key = "a"}) == Result("good"));
  CHECK(cache->stats().stale == 1);
  CHECK(Lookups(*cache) == Lookups(0, 0, 0, 2));
}

TEST_CASE("a cache counts lookups by hand") {
  Results cache({.ttl = 10s, .max_entries = 2});
  CHECK_FALSE(cache.GetAt(TimePoint{}, "a"));
  cache.PutAt(TimePoint{}, "a", "result");
  CHECK(cache.GetAt(TimePoint{}, "a"));
  CHECK_FALSE(cache.GetAt(TimePoint(10s), "a"));
  CHECK(Lookups(cache) == Lookups(1, 0, 0, 2));
  CHECK(cache.stats().misses == 2);
}

TEST_CASE("a cache tells its entries, their size, and what was evicted") {
  Results cache({.ttl = 10s, .max_entries = 2, .size_of = [](const Result&) { return 9; }});
  for (const std::string_view key : {"a", "b", "c"}) cache.PutAt(TimePoint{}, key, "result");
  CHECK(CollectedOf(cache).at(kEntries) == 2);
  CHECK(CollectedOf(cache).at(kSize) == 20);
  CHECK(CollectedOf(cache).at(kEvictions) == 1);
  cache.Erase("b");  // no eviction
  CHECK(CollectedOf(cache).at(kEntries) == 1);
  CHECK(CollectedOf(cache).at(kEvictions) == 1);
  REQUIRE(cache.Update({.ttl = 10s, .max_bytes = 0}).ok());
  CHECK(CollectedOf(cache).at(kEntries) == 0);
  CHECK(CollectedOf(cache).at(kSize) == 0);
  CHECK(CollectedOf(cache).at(kEvictions) == 2);
}

TEST_CASE("calls that share a result are counted as that") {
  constexpr int kWaiters = 3;
  FakeClock clock;
  clock.set_auto_advance(false);
  const auto cache = std::make_shared<Results>(Results::Options{.ttl = 10s});
  std::atomic<bool> below{false};
  std::atomic<bool> go{false};
  const auto ask = Stack(Cache(cache))
                       .Around(
                           [&]() -> Result {
                             below.store(true, std::memory_order_release);
                             below.notify_all();
                             go.wait(false, std::memory_order_acquire);
                             return "answer";
                           },
                           &clock);
  std::vector<std::jthread> threads;
  threads.emplace_back([&] { (void)ask.With({.key = "a"}); });
  below.wait(false, std::memory_order_acquire);
  for (int i = 0; i < kWaiters; ++i) threads.emplace_back([&] { (void)ask.With({.key = "a"}); });
  clock.AwaitWaiters(kWaiters);
  CHECK(Lookups(*cache) == Lookups(0, 0, 0, 1));  // those who wait have found nothing yet
  go.store(true, std::memory_order_release);
  go.notify_all();
  threads.clear();
  CHECK(Lookups(*cache) == Lookups(0, 0, kWaiters, 1));
}

// What a cache answers, with entries that expire and are evicted; and how often it asked for the
// size and the time to live of a result.
std::vector<std::string> TraceOfCache(int looks) {
  int asked = 0;
  Scene scene({.ttl = 7s,
               .negative_ttl = 2s,
               .stale_if_error = 9s,
               .max_entries = 3,
               .size_of = [&](const Result&) { return ++asked; },
               .ttl_of = [&](const Call&, const Result&) -> TimeSpan {
                 ++asked;
                 return 7s;
               }});
  const Cache policy(scene.cache);
  std::vector<std::string> trace;
  for (int i = 0; i < 100; ++i) {
    for (int look = 0; look < looks; ++look) {
      if (!CollectedOf(ObjectsOf(policy)).has(kEntries)) trace.emplace_back("no entries");
    }
    if (i % 5 == 0) scene.answers = {kDown};
    const Result answer = scene.Ask(std::string_view("abcdefgh").substr(i * i % 7, 1));
    trace.push_back(answer.ok() ? *answer : answer.status().ToString());
    trace.push_back(std::to_string(scene.cache->stats().entries));
    trace.push_back(std::to_string(asked));
    scene.clock.Advance(1s);
  }
  const CacheStats stats = scene.cache->stats();
  for (const std::int64_t count : {stats.hits, stats.stale, stats.misses, stats.evicted}) {
    trace.push_back(std::to_string(count));
  }
  return trace;
}

TEST_CASE("a look at a cache drops nothing, refreshes nothing and runs no callback") {
  const std::vector<std::string> trace = TraceOfCache(0);
  CHECK(TraceOfCache(10) == trace);
}

TEST_CASE("a Cache tells the object that it uses") {
  const Cache<Result> policy({.ttl = 10s, .name = "quotes"});
  CHECK(test::TitlesOf(ObjectsOf(policy)) == std::vector<std::string>{"Cache quotes"});
}

TEST_CASE("lookups of threads never shrink, and add up to the calls") {
  constexpr int kCallers = 4;
  constexpr int kCalls = 1'500;
  const auto cache = std::make_shared<Results>(Results::Options{
      .ttl = 1us, .stale_while_revalidate = 1us, .stale_if_error = 1ms, .max_entries = 3});
  std::atomic<std::int64_t> below{0};
  const auto ask = Stack(Cache(cache, {.max_wait = Duration::max()})).Around([&]() -> Result {
    if (below.fetch_add(1, std::memory_order_relaxed) % 7 == 6) return kDown;
    return "answer";
  });
  std::atomic<int> at_work{kCallers};
  bool shrank = false;
  test::InThreads(kCallers + 1, [&](int thread) {
    if (thread == kCallers) {
      Lookups last(0, 0, 0, 0);
      while (at_work.load(std::memory_order_acquire) > 0) {
        const Lookups now(*cache);
        shrank |= now.hit < last.hit || now.stale < last.stale || now.shared < last.shared ||
                  now.miss < last.miss;
        last = now;
      }
      return;
    }
    for (int i = 0; i < kCalls; ++i) {
      const std::string_view key = std::string_view("abcdef").substr(i % 6);
      if (i % 10 == 9) {
        (void)cache->Get(key);
      } else {
        (void)ask.With({.key = key});
      }
    }
    at_work.fetch_sub(1, std::memory_order_release);
  });
  CHECK_FALSE(shrank);
  CHECK(Lookups(*cache).sum() == kCallers * kCalls);
  CHECK(Lookups(*cache).miss >= static_cast<double>(below));
}

}  // namespace
}  // namespace holdfast::cache_metrics_test
