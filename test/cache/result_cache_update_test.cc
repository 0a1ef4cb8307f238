#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "holdfast/cache/cache.h"
#include "holdfast/cache/result_cache.h"
#include "holdfast/stack/stack.h"
#include "holdfast/stack/update_all.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"
#include "test/support/threads.h"

namespace holdfast::result_cache_update_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

using Result = absl::StatusOr<std::string>;
using Results = ResultCache<Result>;
using Options = Results::Options;

// A stack with a cache, whose service fails while it is down.
struct Scene {
  explicit Scene(Options options) : cache(std::make_shared<Results>(std::move(options))) {}

  Result Ask(std::string_view key = "key") {
    return Stack(Cache(cache))
        .Around(
            [this]() -> Result {
              ++asked;
              if (down) return absl::UnavailableError("down");
              return "answer " + std::to_string(asked);
            },
            &clock)
        .With({.key = key});
  }

  FakeClock clock;
  std::shared_ptr<Results> cache;
  bool down = false;
  int asked = 0;
};

TEST_CASE("a cache keeps what comes after a change by its new ttl") {
  Scene scene({.ttl = 10s});
  REQUIRE(scene.Ask("old").ok());
  REQUIRE(scene.cache->Update({.ttl = 60s}).ok());
  REQUIRE(scene.Ask("new").ok());
  scene.cache->Put("put", "by hand");
  scene.clock.Advance(10s);
  CHECK_FALSE(scene.cache->Get("old").has_value());
  CHECK(scene.cache->Get("new").has_value());
  CHECK(scene.cache->Get("put").has_value());
  scene.clock.Advance(50s);
  CHECK_FALSE(scene.cache->Get("new").has_value());
  SECTION("and what was kept stays fresh for as long as it was to be") {
    REQUIRE(scene.Ask("long").ok());
    REQUIRE(scene.cache->Update({.ttl = 1s}).ok());
    scene.clock.Advance(59s);
    CHECK(scene.cache->Get("long").has_value());
  }
}

TEST_CASE("a cache keeps failures by its new negative_ttl") {
  Scene scene({.ttl = 10s});
  scene.down = true;
  CHECK_FALSE(scene.Ask().ok());
  CHECK_FALSE(scene.Ask().ok());
  CHECK(scene.asked == 2);
  REQUIRE(scene.cache->Update({.ttl = 10s, .negative_ttl = 5s}).ok());
  CHECK_FALSE(scene.Ask().ok());
  CHECK_FALSE(scene.Ask().ok());
  CHECK(scene.asked == 3);
  REQUIRE(scene.cache->Update({.ttl = 10s}).ok());
  scene.clock.Advance(5s);
  CHECK_FALSE(scene.Ask().ok());
  CHECK_FALSE(scene.Ask().ok());
  CHECK(scene.asked == 5);
}

TEST_CASE("what a cache has kept stands in for failures for as long as it is now told to") {
  Scene scene({.ttl = 10s});
  REQUIRE(scene.Ask().ok());
  scene.clock.Advance(20s);
  scene.down = true;
  CHECK_FALSE(scene.Ask().ok());
  REQUIRE(scene.cache->Update({.ttl = 10s, .stale_if_error = 30s}).ok());
  CHECK(scene.Ask().ok());
  CHECK(scene.Ask().ok());
  CHECK(scene.asked == 4);
  SECTION("before there is another try after its new negative_ttl") {
    REQUIRE(scene.cache->Update({.ttl = 10s, .negative_ttl = 5s, .stale_if_error = 30s}).ok());
    CHECK(scene.Ask().ok());
    CHECK(scene.Ask().ok());
    CHECK(scene.asked == 5);
  }
  REQUIRE(scene.cache->Update({.ttl = 10s}).ok());
  scene.clock.Advance(6s);
  CHECK_FALSE(scene.Ask().ok());
}

TEST_CASE("what a cache has kept answers while it is asked anew, if it is now told to") {
  FakeClock clock;
  auto cache = std::make_shared<Results>(Options{.ttl = 10s});
  Result inner = absl::UnknownError("");
  int depth = 0;
  const auto ask = [&](const auto& self) -> Result {
    return Stack(Cache(cache))
        .Around(
            [&]() -> Result {
              if (++depth == 2) inner = self(self);  // another, while this one asks
              return "answer";
            },
            &clock)
        .With({.key = "key"});
  };
  REQUIRE(ask(ask).ok());
  clock.Advance(15s);
  REQUIRE(cache->Update({.ttl = 10s, .stale_while_revalidate = 30s}).ok());
  REQUIRE(ask(ask).ok());
  CHECK(inner.ok());
  CHECK(depth == 2);
  CHECK(cache->stats().stale == 1);
}

TEST_CASE("a cache evicts at once what its new bounds have no room for") {
  ResultCache<int> cache({.ttl = 10s, .size_of = [](const int&) { return 9; }});
  for (const char key : {'a', 'b', 'c', 'd', 'e'}) cache.Put(std::string(1, key), key);
  REQUIRE(cache.stats().bytes == 50);
  REQUIRE(cache.Get("a").has_value());  // it is the newest now
  auto options = cache.options();
  if (GENERATE(true, false)) {
    options.max_entries = 2;
  } else {
    options.max_bytes = 29;
  }
  REQUIRE(cache.Update(options).ok());
  CHECK(cache.stats().entries == 2);
  CHECK(cache.stats().evicted == 3);
  CHECK(cache.stats().bytes == 20);
  CHECK(cache.Get("a").has_value());
  CHECK(cache.Get("e").has_value());
  cache.Put("f", 'f');
  CHECK(cache.stats().entries == 2);
  // And it has room again under larger ones.
  REQUIRE(cache.Update({.ttl = 10s, .size_of = [](const int&) { return 4; }}).ok());
  cache.Put("g", 'g');
  CHECK(cache.stats().entries == 3);
  CHECK(cache.stats().bytes == 25);  // by its new size_of
}

TEST_CASE("a cache asks its new ttl_of") {
  Scene scene({.ttl = 10s});
  auto alive = std::make_shared<int>(0);
  REQUIRE(scene.cache
              ->Update({.ttl = 10s,
                        .ttl_of = [alive](const Call&, const Result&) { return TimeSpan(1s); }})
              .ok());
  REQUIRE(scene.Ask().ok());
  scene.clock.Advance(1s);
  CHECK_FALSE(scene.cache->Get("key").has_value());
  REQUIRE(scene.cache->Update({.ttl = 10s}).ok());
  CHECK(alive.use_count() == 1);
  REQUIRE(scene.Ask().ok());
  scene.clock.Advance(5s);
  CHECK(scene.cache->Get("key").has_value());
}

// Asks the cache as it dies.
TEST_CASE("what a cache evicts and replaces dies outside of its mutex") {
  using Kept = std::shared_ptr<int>;
  ResultCache<Kept> cache({.ttl = 10s});
  int asked = 0;
  const auto asks = [&](int*) {
    cache.Erase("other");
    asked += cache.Update({.ttl = 20s}).ok() ? 1 : 0;
  };
  cache.Put("key", Kept(nullptr, asks));
  cache.Put("other", nullptr);
  REQUIRE(cache.Update({.ttl = 10s, .max_entries = 1}).ok());
  CHECK(asked == 1);
  {
    Kept guard(nullptr, asks);
    REQUIRE(cache.Update({.ttl = 10s, .size_of = [guard](const Kept&) { return 1; }}).ok());
  }
  REQUIRE(cache.Update({.ttl = 10s}).ok());
  CHECK(asked == 2);
}

TEST_CASE("a cache refuses a change that it can't make, and nothing changes") {
  FakeClock clock;
  FakeClock other;
  ResultCache<int> cache({.ttl = 10s, .max_entries = 3, .name = "orders", .clock = &clock});
  cache.Put("a", 1);
  using Ints = ResultCache<int>::Options;
  for (const Ints& wrong :
       {Ints{}, Ints{.ttl = 1s, .negative_ttl = -1s}, Ints{.ttl = 1s, .stale_if_error = -1s},
        Ints{.ttl = 1s, .stale_while_revalidate = -1s}, Ints{.ttl = 1s, .max_entries = 0},
        Ints{.ttl = 1s, .max_bytes = -1}, Ints{.ttl = 1s, .name = "payments"},
        Ints{.ttl = 1s, .clock = &other}}) {
    CHECK(absl::IsInvalidArgument(cache.Update(wrong)));
  }
  CHECK(cache.Update({}).message() == "ResultCache orders: ttl must be > 0; it has no default");
  CHECK(cache.options().max_entries == 3);
  CHECK(cache.options().ttl == Duration(10s));
  CHECK(cache.Get("a") == 1);
  CHECK(cache.Update({.ttl = 5s, .name = "orders", .clock = &clock}).ok());
  CHECK(cache.Update({.ttl = 4s}).ok());
  CHECK(cache.options().name == "orders");
  CHECK(cache.options().clock == &clock);
  CHECK(cache.options().ttl == Duration(4s));
}

TEST_CASE("the same options change nothing in a cache") {
  Scene scene({.ttl = 10s, .max_entries = 2});
  for (const std::string_view key : {"a", "b", "c"}) REQUIRE(scene.Ask(key).ok());
  const CacheStats before = scene.cache->stats();
  REQUIRE(scene.cache->Update(scene.cache->options()).ok());
  const CacheStats after = scene.cache->stats();
  CHECK(after.entries == before.entries);
  CHECK(after.bytes == before.bytes);
  CHECK(after.evicted == before.evicted);
  CHECK(scene.Ask("c").ok());
  CHECK(scene.asked == 3);
}

TEST_CASE("those who wait for a key when its cache changes get what is asked for") {
  FakeClock clock;
  clock.set_auto_advance(false);
  auto cache = std::make_shared<Results>(Options{.ttl = 10s});
  std::atomic<bool> go{false};
  std::atomic<int> asked{0};
  const auto ask = Stack(Cache(cache))
                       .Around(
                           [&]() -> Result {
                             ++asked;
                             go.wait(false);
                             return "answer";
                           },
                           &clock);
  std::atomic<int> got{0};
  const auto call = [&] { got += ask.With({.key = "key"}).ok() ? 1 : 0; };
  std::jthread first(call);
  while (asked == 0) std::this_thread::yield();
  std::jthread second(call);
  clock.AwaitWaiters(1);
  REQUIRE(cache->Update({.ttl = 20s, .max_entries = 1, .max_bytes = 0}).ok());
  go = true;
  go.notify_all();
  first.join();
  second.join();
  CHECK(got == 2);
  CHECK(asked == 1);
  CHECK(cache->stats().entries == 0);  // there is no room for it now
}

// A list of what is kept, the last used first.
TEST_CASE("whatever its changes, a cache keeps what a list of its entries would") {
  struct Kept {
    std::string key;
    int value;
    TimePoint expires;
    std::int64_t bytes;
  };
  test::Property([] {
    ResultCache<int>::Options options{.ttl = 10s, .max_entries = 5};
    std::int64_t size = sizeof(int);
    ResultCache<int> cache(options);
    std::list<Kept> model;
    TimePoint now{};
    const auto bytes = [&] {
      std::int64_t sum = 0;
      for (const Kept& kept : model) sum += kept.bytes;
      return sum;
    };
    const auto evict = [&](std::int64_t entries, std::int64_t most) {
      while (!model.empty() && (std::ssize(model) > entries || bytes() > most)) model.pop_back();
    };
    for (int steps = *rc::gen::inRange(1, 150); steps > 0; --steps) {
      now += Duration(*rc::gen::inRange(0, 2000)) * 1'000'000;
      const std::string key(1, static_cast<char>('a' + *rc::gen::inRange(0, 8)));
      const auto at = std::find_if(model.begin(), model.end(),
                                   [&](const Kept& kept) { return kept.key == key; });
      switch (*rc::gen::inRange(0, 5)) {
        case 0: {
          size = *rc::gen::inRange(1, 20);
          options.ttl = Duration(*rc::gen::inRange(1, 20)) * 1'000'000'000;
          options.max_entries = *rc::gen::inRange(1, 8);
          options.max_bytes = *rc::gen::inRange(0, 100);
          options.size_of = [size](const int&) { return size; };
          RC_ASSERT(cache.Update(options).ok());
          evict(options.max_entries, options.max_bytes);
          break;
        }
        case 1:
        case 2: {
          cache.PutAt(now, key, steps);
          if (at != model.end()) model.erase(at);
          if (size + 1 > options.max_bytes) break;
          evict(options.max_entries - 1, options.max_bytes - size - 1);
          model.push_front({key, steps, now + options.ttl, size + 1});
          break;
        }
        default: {
          const std::optional<int> got = cache.GetAt(now, key);
          const bool fresh = at != model.end() && now < at->expires;
          RC_ASSERT(got == (fresh ? std::optional(at->value) : std::nullopt));
          if (fresh) model.splice(model.begin(), model, at);
        }
      }
      const CacheStats stats = cache.stats();
      RC_ASSERT(stats.entries == std::ssize(model));
      RC_ASSERT(stats.bytes == bytes());
    }
  });
}

TEST_CASE("threads that change a cache lose none of its answers") {
  constexpr int kCalls = 1500;
  auto cache = std::make_shared<Results>(Options{.ttl = 10s});
  std::atomic<std::int64_t> asked{0};
  std::atomic<std::int64_t> answered{0};
  const auto ask = Stack(Cache(cache)).Around([&]() -> Result {
    ++asked;
    return "answer";
  });
  test::InThreads(4, [&](int thread) {
    for (int i = 0; i < kCalls; ++i) {
      if (thread == 0) {
        Options next{.ttl = i % 2 == 0 ? Duration(10s) : Duration(1ns),
                     .max_entries = 1 + i % 5,
                     .max_bytes = i % 3 == 0 ? 200 : std::numeric_limits<std::int64_t>::max()};
        if (i % 2 == 0) next.size_of = [i](const Result&) { return 1 + i % 7; };
        if (i % 4 < 2) next.ttl_of = [](const Call&, const Result&) { return TimeSpan(1s); };
        CHECK(cache->Update(std::move(next)).ok());
        if (cache->options().max_entries > 5) asked = -1'000'000;
        continue;
      }
      answered +=
          ask.With({.key = std::string_view("abcdef").substr(i % 6)}) == Result("answer") ? 1 : 0;
    }
  });
  CHECK(answered == 3 * kCalls);
  const CacheStats stats = cache->stats();
  CHECK(stats.misses == asked);
  CHECK(stats.hits + stats.stale + stats.shared + stats.misses == 3 * kCalls);
  REQUIRE(cache->Update({.ttl = 1s, .max_bytes = 0}).ok());
  CHECK(cache->stats().entries == 0);
  CHECK(cache->stats().bytes == 0);
}

TEST_CASE("UpdateAll changes a cache with what else is in its stack, or neither") {
  auto cache = std::make_shared<Results>(Options{.ttl = 60s, .name = "orders"});
  auto limit = std::make_shared<Settings<TimeoutOptions>>(TimeoutOptions{.limit = 10s});
  auto stack = Stack(Cache(cache), Timeout(limit));
  REQUIRE(UpdateAll(stack, Change(cache, {.ttl = 30s}), Change(limit, {.limit = 5s})).ok());
  CHECK(cache->options().ttl == Duration(30s));
  CHECK_FALSE(UpdateAll(stack, Change(cache, {.ttl = 0s}), Change(limit, {.limit = 6s})).ok());
  CHECK_FALSE(UpdateAll(stack, Change(cache, {.ttl = 20s}), Change(limit, {.limit = 0s})).ok());
  CHECK(cache->options().ttl == Duration(30s));
  CHECK(limit->options().limit == Duration(5s));

  const Cache policy(cache);
  internal::Changes changes;
  const Options next = {.ttl = 20s, .max_entries = 7};
  changes.Add(*cache, next);
  CHECK(policy.Info(changes).settings ==
        "\"orders\", fresh for 20s, 7 keys, 104857600 bytes, waits up to 30s");
  CHECK(policy.Info().settings ==
        "\"orders\", fresh for 30s, 10000 keys, 104857600 bytes, waits up to 30s");
}

}  // namespace
}  // namespace holdfast::result_cache_update_test
