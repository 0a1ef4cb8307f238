#include "holdfast/cache.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/bulkhead.h"
#include "holdfast/circuit_break.h"
#include "holdfast/circuit_breaker.h"
#include "holdfast/rate_limit.h"
#include "holdfast/report.h"
#include "holdfast/semaphore.h"
#include "holdfast/stack.h"
#include "holdfast/testing.h"
#include "holdfast/timeout.h"
#include "holdfast/token_bucket.h"
#include "test/support/catch.h"

namespace holdfast {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;
using testing::Reply;
using testing::Simulate;
using testing::World;

using Result = absl::StatusOr<std::string>;
using Results = ResultCache<Result>;

std::shared_ptr<Results> MakeCache(Results::Options options) {
  return std::make_shared<Results>(std::move(options));
}

const absl::Status kDown = absl::UnavailableError("down");

// An executor that says what it is told to, and counts.
struct Service {
  std::deque<Result> answers;  // then "answer <n>"
  int asked = 0;

  auto executor() {
    return [this]() -> Result {
      ++asked;
      if (answers.empty()) return "answer " + std::to_string(asked);
      Result answer = answers.front();
      answers.pop_front();
      return answer;
    };
  }
};

// A stack with a cache, on a clock of its own.
struct Scene {
  explicit Scene(Results::Options options) : cache(MakeCache(std::move(options))) {}

  Result Ask(std::string_view key, Report* report = nullptr) {
    return Stack(Cache(cache))
        .Around(service.executor(), &clock)
        .With({.key = key, .report = report});
  }

  FakeClock clock;
  Service service;
  std::shared_ptr<Results> cache;
};

TEST_CASE("a result is kept for its ttl, by its key") {
  Scene scene({.ttl = 10s});
  CHECK(scene.Ask("a").value() == "answer 1");
  CHECK(scene.Ask("b").value() == "answer 2");
  scene.clock.Advance(10s - 1ns);
  Report report;
  CHECK(scene.Ask("a", &report).value() == "answer 1");
  CHECK(report.attempts == 0);
  CHECK(report.stopped == StopReason::kSuccess);
  scene.clock.Advance(1ns);
  CHECK(scene.Ask("a").value() == "answer 3");
  const CacheStats stats = scene.cache->stats();
  CHECK(stats.hits == 1);
  CHECK(stats.misses == 3);
  CHECK(stats.entries == 2);
}

TEST_CASE("a call without a key passes by") {
  Scene scene({.ttl = 10s});
  CHECK(scene.Ask("").value() == "answer 1");
  CHECK(scene.Ask("").value() == "answer 2");
  CHECK(scene.cache->stats().entries == 0);
}

TEST_CASE("the key may be a function of the request") {
  int asked = 0;
  const auto key = FromRequest<std::string>([](const std::string& path) -> std::string_view {
    return path.starts_with("/static") ? path : std::string_view();
  });
  const auto fetch = Stack(Cache<Result>({.ttl = 1h}, {.key = key}))
                         .Around([&asked](const std::string& path) -> Result {
                           ++asked;
                           return path;
                         });
  for (int i = 0; i < 3; ++i) {
    CHECK(fetch(std::string("/static/a")).value() == "/static/a");
    CHECK(fetch(std::string("/live")).value() == "/live");
  }
  CHECK(asked == 4);
}

TEST_CASE("failures are kept for negative_ttl, if at all") {
  SECTION("not by default") {
    Scene scene({.ttl = 10s});
    scene.service.answers = {kDown, "up"};
    CHECK(scene.Ask("a").status() == kDown);
    CHECK(scene.Ask("a").value() == "up");
  }
  SECTION("for a while where that is wanted") {
    Scene scene({.ttl = 10s, .negative_ttl = 1s});
    scene.service.answers = {absl::NotFoundError("no such order"), "found"};
    CHECK(absl::IsNotFound(scene.Ask("a").status()));
    CHECK(absl::IsNotFound(scene.Ask("a").status()));
    CHECK(scene.service.asked == 1);
    scene.clock.Advance(1s);
    CHECK(scene.Ask("a").value() == "found");
  }
  SECTION("but never a refusal, or what was cancelled") {
    Scene scene({.ttl = 10s, .negative_ttl = 10s});
    const auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{});
    breaker->SetMode(BreakerMode::kForcedOpen);
    const auto refused = Stack(Cache(scene.cache), CircuitBreak(breaker))
                             .Around(scene.service.executor(), &scene.clock)
                             .With({.key = "a"});
    CHECK(RejectionOf(refused.status()).has_value());
    const auto inner = Stack(CircuitBreak(breaker)).Around(scene.service.executor(), &scene.clock);
    const auto hidden = Stack(Cache(scene.cache)).Around([&]() -> Result { return inner(); });
    CHECK(RejectionOf(hidden.With({.key = "a"}).status()).has_value());
    scene.service.answers = {absl::CancelledError(""), "asked"};
    CHECK(absl::IsCancelled(scene.Ask("a").status()));
    CHECK(scene.Ask("a").value() == "asked");
  }
}

TEST_CASE("how long a result is fresh may depend on it") {
  Scene scene({.ttl = 10s, .ttl_of = [](const Call&, const Result& result) -> Duration {
                 return result.ok() ? std::chrono::seconds(result->size()) : 5s;
               }});
  scene.service.answers = {"four", "", "six..."};
  CHECK(scene.Ask("a").value() == "four");
  scene.clock.Advance(4s);
  CHECK(scene.Ask("a").value().empty());
  CHECK(scene.Ask("a").value() == "six...");
  scene.clock.Advance(5s);
  CHECK(scene.Ask("a").value() == "six...");
}

TEST_CASE("a stale result stands in for a failure, and for a while nobody asks again") {
  Scene scene({.ttl = 10s, .negative_ttl = 2s, .stale_if_error = 60s});
  scene.service.answers = {"good", kDown, kDown, "better"};
  CHECK(scene.Ask("a").value() == "good");
  scene.clock.Advance(10s);
  CHECK(scene.Ask("a").value() == "good");
  CHECK(scene.service.asked == 2);
  CHECK(scene.Ask("a").value() == "good");
  CHECK(scene.service.asked == 2);
  scene.clock.Advance(2s);
  CHECK(scene.Ask("a").value() == "good");
  CHECK(scene.service.asked == 3);
  scene.clock.Advance(2s);
  CHECK(scene.Ask("a").value() == "better");
  CHECK(scene.cache->stats().stale == 3);
  SECTION("until it is too old") {
    scene.service.answers = {kDown};
    scene.clock.Advance(70s);
    CHECK(scene.Ask("a").status() == kDown);
  }
  SECTION("refusals included") {
    scene.clock.Advance(10s);
    const auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{});
    breaker->SetMode(BreakerMode::kForcedOpen);
    CHECK(Stack(Cache(scene.cache), CircuitBreak(breaker))
              .Around(scene.service.executor(), &scene.clock)
              .With({.key = "a"})
              .value() == "better");
  }
}

TEST_CASE("a failure that was kept is no answer once it is stale") {
  Scene scene({.ttl = 10s, .negative_ttl = 1s, .stale_if_error = 1h});
  scene.service.answers = {absl::NotFoundError(""), kDown};
  CHECK(absl::IsNotFound(scene.Ask("a").status()));
  scene.clock.Advance(1s);
  CHECK(scene.Ask("a").status() == kDown);
}

TEST_CASE("the entries are bounded, and those that were not used for longest go") {
  Scene scene({.ttl = 1h, .max_entries = 2});
  (void)scene.Ask("a");
  (void)scene.Ask("b");
  (void)scene.Ask("a");
  (void)scene.Ask("c");
  CHECK(scene.service.asked == 3);
  (void)scene.Ask("a");
  CHECK(scene.service.asked == 3);
  (void)scene.Ask("b");
  CHECK(scene.service.asked == 4);
  CHECK(scene.cache->stats().entries == 2);
  CHECK(scene.cache->stats().evicted == 2);
}

TEST_CASE("the bytes are bounded") {
  Scene scene({.ttl = 1h, .max_bytes = 100, .size_of = [](const Result& result) {
                 return std::ssize(result.value_or(""));
               }});
  scene.service.answers = {std::string(49, 'a'), std::string(49, 'b'), std::string(50, 'c'),
                           std::string(100, 'd')};
  (void)scene.Ask("a");
  (void)scene.Ask("b");
  CHECK(scene.cache->stats().bytes == 100);
  (void)scene.Ask("c");
  CHECK(scene.cache->stats().bytes == 51);
  SECTION("and what is more than all of them is not kept") {
    CHECK(scene.Ask("d").value().size() == 100);
    CHECK(scene.cache->stats().entries == 1);
  }
  SECTION("whatever a size is said to be") {
    Scene odd({.ttl = 1h, .size_of = [](const Result& result) {
                 return result->size() > 1 ? std::numeric_limits<std::int64_t>::max() : -5;
               }});
    odd.service.answers = {"x", "xx"};
    (void)odd.Ask("a");
    CHECK(odd.cache->stats().bytes == 1);
    (void)odd.Ask("b");
    CHECK(odd.cache->stats().entries == 1);
  }
}

TEST_CASE("a cache by itself is a map that forgets") {
  Results cache({.ttl = 10s});
  const TimePoint now{1h};
  CHECK(cache.GetAt(now, "a") == std::nullopt);
  cache.PutAt(now, "a", "one");
  CHECK(cache.GetAt(now + 9s, "a")->value() == "one");
  cache.PutAt(now, "a", "two");
  CHECK(cache.GetAt(now, "a")->value() == "two");
  CHECK(cache.GetAt(now + 10s, "a") == std::nullopt);
  cache.Erase("a");
  CHECK(cache.stats().entries == 0);
  cache.PutAt(now, "b", "three");
  cache.Clear();
  CHECK(cache.GetAt(now, "b") == std::nullopt);
  CHECK(cache.stats().bytes == 0);
}

// A result that looks into its cache when it is destroyed.
struct Curious {
  std::function<void()> look;
  ~Curious() {
    if (look) look();
  }
};

TEST_CASE("no result is destroyed under the mutex") {
  using Pointers = ResultCache<absl::StatusOr<std::shared_ptr<Curious>>>;
  Pointers cache({.ttl = 10s, .max_entries = 1});
  int looked = 0;
  const auto put = [&](std::string_view key) {
    cache.PutAt(TimePoint{}, key, std::make_shared<Curious>([&] {
                  ++looked;
                  (void)cache.stats();
                }));
  };
  put("a");
  put("a");
  CHECK(looked == 1);
  put("b");
  CHECK(looked == 2);
  cache.Erase("b");
  CHECK(looked == 3);
  put("c");
  cache.Clear();
  CHECK(looked == 4);
}

TEST_CASE("a cache by itself keeps what is no result as well") {
  ResultCache<int> cache({.ttl = 10s});
  cache.PutAt(TimePoint{}, "a", 7);
  CHECK(cache.GetAt(TimePoint{}, "a") == 7);
}

TEST_CASE("a cache refuses options that make no sense") {
  CHECK_THROWS_WITH(Results({.name = "x"}), "ResultCache x: ttl must be > 0");
  CHECK_THROWS_AS(Results({.ttl = 1s, .negative_ttl = -1s}), std::invalid_argument);
  CHECK_THROWS_AS(Results({.ttl = 1s, .stale_while_revalidate = -1s}), std::invalid_argument);
  CHECK_THROWS_AS(Results({.ttl = 1s, .stale_if_error = -1s}), std::invalid_argument);
  CHECK_THROWS_AS(Results({.ttl = 1s, .max_entries = 0}), std::invalid_argument);
  CHECK_THROWS_AS(Results({.ttl = 1s, .max_bytes = -1}), std::invalid_argument);
  CHECK_THROWS_AS(Cache<Result>(std::shared_ptr<Results>()), std::invalid_argument);
}

TEST_CASE("a cache says what it is") {
  const Stack stack(Cache<Result>({.ttl = 10s, .stale_if_error = 1h, .name = "orders"}));
  CHECK(stack.Describe() == "Cache(\"orders\", fresh for 10s, stale if error for 1h, 10000 keys)");
}

// Calls for one key in a world, whose executor takes a second and answers as it is told.
class Crowd {
  using Executor = std::function<void(Call&, Reply<Result>)>;

 public:
  explicit Crowd(Results::Options options)
      : cache(MakeCache(std::move(options))),
        ask_(Simulate<Result>(world, Stack(Cache(cache)),
                              Executor([this](Call&, Reply<Result> reply) {
                                ++asked;
                                const Result answer = Next();
                                world.After(1s, [reply, answer] { reply.Done(answer); });
                              }))) {}

  void At(Duration at, const std::string& name, Duration patience = Duration::max(),
          std::stop_token stop = {}) {
    world.At(at, [=, this] {
      ask_.With({.deadline = SaturatingAdd(world.Now(), patience), .stop = stop, .key = "key"},
                [this, name](const Result& result) {
                  ended +=
                      name + ":" +
                      (result.ok() ? *result : absl::StatusCodeToString(result.status().code())) +
                      "@" + std::to_string(world.Now().time_since_epoch() / 1ms) + " ";
                });
    });
  }

  World world;
  std::shared_ptr<Results> cache;
  std::deque<Result> answers;
  int asked = 0;
  std::string ended;

 private:
  Result Next() {
    if (answers.empty()) return "answer" + std::to_string(asked);
    Result answer = answers.front();
    answers.pop_front();
    return answer;
  }

  decltype(Simulate<Result>(std::declval<World&>(), std::declval<Stack<Cache<Result>>>(),
                            std::declval<Executor>())) ask_;
};

TEST_CASE("one call for a key is in the air, and all others get its result or its error") {
  Crowd crowd({.ttl = 10s});
  crowd.At(0ms, "a");
  crowd.At(100ms, "b");
  crowd.At(900ms, "c");
  crowd.At(1100ms, "d");
  SECTION("its result") {
    crowd.world.Run();
    CHECK(crowd.ended == "a:answer1@1000 b:answer1@1000 c:answer1@1000 d:answer1@1100 ");
    CHECK(crowd.asked == 1);
    CHECK(crowd.cache->stats().shared == 2);
  }
  SECTION("its error") {
    crowd.answers = {kDown};
    crowd.world.Run();
    CHECK(crowd.ended ==
          "a:UNAVAILABLE@1000 b:UNAVAILABLE@1000 c:UNAVAILABLE@1000 d:answer2@2100 ");
  }
}

TEST_CASE("who waits for another's answer waits no longer than its own deadline") {
  Crowd crowd({.ttl = 10s});
  crowd.At(0ms, "a");
  crowd.At(100ms, "b", 300ms);
  crowd.world.Run();
  CHECK(crowd.ended == "b:DEADLINE_EXCEEDED@400 a:answer1@1000 ");
}

TEST_CASE("where the one that asks goes, the next asks") {
  Crowd crowd({.ttl = 10s});
  std::stop_source stop;
  SECTION("at its own deadline") {
    crowd.At(0ms, "a", 500ms);
    crowd.At(100ms, "b");
    crowd.At(200ms, "c");
    crowd.world.Run();
    CHECK(crowd.ended == "a:DEADLINE_EXCEEDED@500 b:answer2@1500 c:answer2@1500 ");
  }
  SECTION("stopped by its caller") {
    crowd.At(0ms, "a", Duration::max(), stop.get_token());
    crowd.At(100ms, "b");
    crowd.world.At(300ms, [&] { stop.request_stop(); });
    crowd.world.Run();
    CHECK(crowd.ended == "a:CANCELLED@300 b:answer2@1300 ");
  }
  SECTION("and where it waited itself, it just leaves") {
    crowd.At(0ms, "a");
    crowd.At(100ms, "b", Duration::max(), stop.get_token());
    crowd.At(200ms, "c");
    crowd.world.At(300ms, [&] { stop.request_stop(); });
    crowd.world.Run();
    CHECK(crowd.ended == "b:CANCELLED@300 a:answer1@1000 c:answer1@1000 ");
  }
  CHECK(crowd.cache->stats().entries == 1);
}

TEST_CASE("a refusal for the deadline of the one that asks is not the others'") {
  using Executor = std::function<void(Call&, Reply<Result>)>;
  World world;
  const auto permits = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  const auto bucket = std::make_shared<TokenBucket>(TokenBucket::Options{.rate = 1, .burst = 1});
  auto held = permits->TryAcquire();
  CHECK(bucket->AllowAt(world.Now()));
  auto ask = Simulate<Result>(
      world, Stack(Cache(MakeCache({.ttl = 10s})), Bulkhead(permits), RateLimit(bucket)),
      Executor([](Call&, Reply<Result> reply) { reply.Done("answer"); }));
  std::string ended;
  for (const Duration patience : {Duration(900ms), Duration::max()}) {
    ask.With({.deadline = SaturatingAdd(world.Now(), patience), .key = "key"},
             [&ended](const Result& result) { ended += result.value_or("refused") + " "; });
  }
  world.At(100ms, [&held] { held->Release(); });
  world.Run();
  CHECK(ended == "refused answer ");
}

TEST_CASE("who shares a refusal is told that it is one") {
  using Executor = std::function<void(Call&, Reply<Result>)>;
  World world;
  auto permits = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  const auto held = permits->TryAcquire();
  auto ask = Simulate<Result>(
      world, Stack(Cache(MakeCache({.ttl = 10s})), Bulkhead(permits, {.max_wait = 1s})),
      Executor([](Call&, Reply<Result> reply) { reply.Done("answer"); }));
  std::vector<Report> reports(2);
  for (Report& report : reports) {
    ask.With({.key = "key", .report = &report},
             [](const Result& result) { CHECK(absl::IsResourceExhausted(result.status())); });
  }
  world.Run();
  CHECK(reports[0].stopped == StopReason::kRejected);
  CHECK(reports[1].stopped == StopReason::kRejected);
}

TEST_CASE("while one asks anew the others get what is stale, if they may") {
  Crowd crowd({.ttl = 10s, .stale_while_revalidate = 5s});
  crowd.At(0s, "a");
  crowd.At(12s, "b");      // asks anew
  crowd.At(12500ms, "c");  // gets the stale one
  crowd.At(28100ms, "d");  // too stale for that
  crowd.At(28600ms, "e");
  crowd.world.Run();
  CHECK(crowd.ended ==
        "a:answer1@1000 c:answer1@12500 b:answer2@13000 d:answer3@29100 e:answer3@29100 ");
}

TEST_CASE("what is erased while it is asked for is not kept when it comes") {
  Crowd crowd({.ttl = 10s});
  crowd.At(0ms, "a");
  crowd.At(100ms, "b");
  SECTION("one key") {
    crowd.world.At(500ms, [&] { crowd.cache->Erase("key"); });
  }
  SECTION("all") {
    crowd.world.At(500ms, [&] { crowd.cache->Clear(); });
  }
  SECTION("and who asks after that asks anew") {
    crowd.world.At(500ms, [&] { crowd.cache->Erase("key"); });
    crowd.At(600ms, "c");
    crowd.At(700ms, "d");
    crowd.world.RunFor(1200ms);
    CHECK(crowd.asked == 2);
    crowd.world.Run();
    CHECK(crowd.ended == "a:answer1@1000 b:answer1@1000 c:answer2@1600 d:answer2@1600 ");
    CHECK(crowd.cache->GetAt(TimePoint(2s), "key")->value() == "answer2");
    return;
  }
  crowd.world.Run();
  CHECK(crowd.ended == "a:answer1@1000 b:answer1@1000 ");
  CHECK(crowd.cache->stats().entries == 0);
}

TEST_CASE("whatever throws, the next call asks") {
  FakeClock clock;
  bool throws = true;
  const auto throw_once = [&throws] {
    if (std::exchange(throws, false)) throw std::runtime_error("odd");
  };
  Results::Options options = {.ttl = 10s};
  CacheOptions policy;
  bool executor = false;
  SECTION("the executor") { executor = true; }
  SECTION("size_of") {
    options.size_of = [&](const Result&) {
      throw_once();
      return 1;
    };
  }
  SECTION("ttl_of") {
    options.ttl_of = [&](const Call&, const Result&) {
      throw_once();
      return Duration(10s);
    };
  }
  SECTION("key") {
    policy.key = [&](const Call&) -> std::string_view {
      throw_once();
      return "a";
    };
  }
  const auto cache = MakeCache(options);
  const auto ask = Stack(Cache(cache, policy))
                       .Around(
                           [&]() -> Result {
                             if (executor) throw_once();
                             return "answer";
                           },
                           &clock);
  CHECK_THROWS_AS(ask.With({.key = "a"}), std::runtime_error);
  CHECK(ask.With({.key = "a"}).value() == "answer");
  CHECK(cache->stats().entries == 1);
}

TEST_CASE("threads that ask for a few keys, give up and erase") {
  const auto cache = MakeCache({.ttl = 50us, .stale_while_revalidate = 20us, .max_entries = 3});
  std::atomic<int> in_the_air[4] = {};
  std::atomic<bool> twice = false;
  const auto ask = Stack(Cache(cache)).Around([&](Call& call) -> Result {
    std::atomic<int>& mine = in_the_air[call.key()[0] - 'a'];
    if (++mine > 1 && call.key() != "d") twice = true;  // which is erased
    std::this_thread::yield();
    --mine;
    return std::string(call.key());
  });
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 5'000; ++i) {
          const std::string key(1, static_cast<char>('a' + (t + i) % 4));
          const TimePoint deadline = i % 7 == 0 ? SteadyClock()->Now() + 20us : TimePoint::max();
          const Result result = ask.With({.deadline = deadline, .key = key});
          const bool good = result.ok() ? *result == key
                                        : absl::IsDeadlineExceeded(result.status()) && i % 7 == 0;
          if (!good) ++wrong;
          if (key == "d" && i % 5 == 0) cache->Erase(key);
        }
      });
    }
  }
  CHECK(wrong == 0);
  CHECK_FALSE(twice);
  CHECK(cache->stats().entries <= 3);
}

}  // namespace
}  // namespace holdfast
