#include "holdfast/cache/cache.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <iterator>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/breaker/circuit_break.h"
#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/call/report.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing.h"
#include "test/support/catch.h"

namespace holdfast::cache_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

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
  CHECK(report.ended_by == EndReason::kSuccess);
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
    const auto hidden =
        Stack(Cache(scene.cache)).Around([&]() -> Result { return inner(); }, &scene.clock);
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

TEST_CASE("a cache says what it is") {
  const Stack stack(Cache<Result>({.ttl = 10s, .stale_if_error = 1h, .name = "orders"}));
  CHECK(stack.Describe() ==
        "Cache(\"orders\", fresh for 10s, stale if error for 1h, 10000 keys, "
        "104857600 bytes, waits up to 30s)");
  CHECK(Validate(stack).ok());
  const Stack forever(Cache<Result>({.ttl = 10s}, {.max_wait = Duration::max()}));
  CHECK_THAT(std::string(Validate(forever).message()),
             test::ContainsSubstring("may keep a call waiting for ever"));
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
}  // namespace holdfast::cache_test
