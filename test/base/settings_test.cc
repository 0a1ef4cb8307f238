#include "holdfast/base/settings.h"

#include <absl/status/status.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/holdfast.h"
#include "holdfast/testing.h"
#include "test/support/catch.h"

namespace holdfast::settings_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using testing::FakeClock;

const auto kDown = [] { return absl::UnavailableError("down"); };
const auto kFine = [] { return absl::OkStatus(); };

template <class Options>
std::shared_ptr<Settings<Options>> Make(Options options) {
  return std::make_shared<Settings<Options>>(std::move(options));
}

int AttemptsOf(const auto& call) {
  Report report;
  (void)call.With({.report = &report});
  return report.attempts;
}

TEST_CASE("a Retry follows its settings from the next call on") {
  FakeClock clock;
  const auto settings =
      Make(RetryOptions{.max_attempts = 3, .backoff = Backoff::Constant(1s), .budget = nullptr});
  const auto call = Stack(Retry(settings)).Around(kDown, &clock);
  CHECK(AttemptsOf(call) == 3);
  CHECK(clock.Now() == TimePoint{2s});
  RetryOptions options = settings->options();
  SECTION("attempts and backoff") {
    options.max_attempts = 2;
    options.backoff = Backoff::Constant(5s);
    REQUIRE(settings->Update(options).ok());
    CHECK(AttemptsOf(call) == 2);
    CHECK(clock.Now() == TimePoint{7s});
  }
  SECTION("how late a retry may be") {
    options.max_elapsed = 500ms;
    REQUIRE(settings->Update(options).ok());
    CHECK(AttemptsOf(call) == 1);
  }
  SECTION("hooks") {
    int told = 0;
    options.on_attempt = [&told](const Call&, const RetryEvent&) { ++told; };
    REQUIRE(settings->Update(options).ok());
    CHECK(AttemptsOf(call) == 3);
    CHECK(told == 3);
  }
}

TEST_CASE("a call keeps to the options that it found, however often they change meanwhile") {
  FakeClock clock;
  const auto settings = Make(RetryOptions{.max_attempts = 4, .backoff = Backoff::Constant(1s)});
  int runs = 0;
  const auto call = Stack(Retry(settings))
                        .Around(
                            [&] {
                              ++runs;
                              CHECK(settings->Update({.max_attempts = 1}).ok());
                              return absl::UnavailableError("down");
                            },
                            &clock);
  (void)call();
  CHECK(runs == 4);
  (void)call();
  CHECK(runs == 5);
}

TEST_CASE("objects among the options stay, and others are refused") {
  const auto budget = std::make_shared<RetryBudget>(RetryBudget::Options{.capacity = 7});
  const auto latencies = std::make_shared<LatencyQuantile>(LatencyQuantile::Options{});
  const auto retry = Make(RetryOptions{.budget = budget});
  const auto hedge = Make(HedgeOptions{.latencies = latencies, .budget = budget});
  CHECK(retry->Update({.max_attempts = 2}).ok());
  CHECK(retry->options().budget == budget);
  CHECK(hedge->Update({.max_hedges = 2}).ok());
  CHECK(hedge->options().latencies == latencies);
  CHECK(hedge->options().budget == budget);
  CHECK(absl::IsInvalidArgument(retry->Update({.budget = RetryBudget::MakeDefault()})));
  CHECK(absl::IsInvalidArgument(retry->Update({.pause = std::make_shared<RetryPause>()})));
  CHECK(absl::IsInvalidArgument(hedge->Update({.budget = RetryBudget::MakeDefault()})));
  CHECK(absl::IsInvalidArgument(
      hedge->Update({.pool = std::make_shared<ThreadPool>(ThreadPool::Options{})})));
  CHECK(retry->options().max_attempts == 2);
  // Its own, where it was given none.
  const auto own = Make(RetryOptions{});
  const auto before = own->options().budget;
  REQUIRE(before != nullptr);
  CHECK(own->Update({.max_attempts = 1}).ok());
  CHECK(own->options().budget == before);
}

TEST_CASE("what Validate refuses changes nothing") {
  const auto settings = Make(RetryOptions{.max_attempts = 3});
  CHECK(absl::IsInvalidArgument(settings->Update({.max_attempts = 0})));
  CHECK(settings->options().max_attempts == 3);
  CHECK_THROWS_AS(Settings<TimeoutOptions>(TimeoutOptions{}), std::invalid_argument);
  CHECK_THROWS_AS(Retry(std::shared_ptr<Settings<RetryOptions>>()), std::invalid_argument);
  CHECK_THROWS_AS(Timeout(std::shared_ptr<Settings<TimeoutOptions>>()), std::invalid_argument);
}

TEST_CASE("a Timeout follows its settings, as those outside of it see") {
  FakeClock clock;
  const auto limit = Make(TimeoutOptions{.limit = 2s});
  Duration had{};
  Duration below{};
  const auto call = Stack(Timeout(10s), Timeout(limit))
                        .Around(
                            [&](Call& inner) {
                              had = inner.deadline() - clock.Now();
                              below = inner.time_below().attempt;
                              return absl::OkStatus();
                            },
                            &clock);
  CHECK(call().ok());
  CHECK(had == 2s);
  REQUIRE(limit->Update({.limit = 500ms}).ok());
  CHECK(call().ok());
  CHECK(had == 500ms);
  CHECK(below == Duration::max());
  CHECK(Stack(Timeout(limit)).Describe() == "Timeout(500ms)");
  CHECK(Stack(Timeout(limit)).Around(kFine).TimeBelowAt(clock.Now()).attempt == 500ms);
}

TEST_CASE("an AdaptiveTimeout follows its settings") {
  FakeClock clock;
  const auto latencies =
      std::make_shared<LatencyQuantile>(LatencyQuantile::Options{.min_samples = 1});
  const auto settings = Make(AdaptiveTimeoutOptions{.multiplier = 2, .min = 1ms, .max = 10s});
  const AdaptiveTimeout policy(latencies, settings);
  CHECK(policy.LimitAt(clock.Now()) == 10s);
  REQUIRE(settings->Update({.multiplier = 2, .min = 1ms, .max = 3s}).ok());
  CHECK(policy.LimitAt(clock.Now()) == 3s);
  latencies->RecordAt(clock.Now(), 64ns);
  REQUIRE(settings->Update({.multiplier = 10, .min = 1ns, .max = 3s}).ok());
  CHECK(policy.LimitAt(clock.Now()) >= 640ns);
  CHECK(policy.LimitAt(clock.Now()) < 670ns);
  REQUIRE(settings->Update({.multiplier = 10, .min = 1s, .max = 3s}).ok());
  CHECK(policy.LimitAt(clock.Now()) == 1s);
}

TEST_CASE("a Bulkhead and an AdaptiveLimit follow their settings") {
  FakeClock clock;
  const auto settings = Make(BulkheadOptions{.max_wait = 0s});
  const auto refused = [&](const auto& stack) {
    const TimePoint before = clock.Now();
    const auto call = stack.Around(kFine, &clock);
    CHECK(absl::IsResourceExhausted(call()));
    return clock.Now() - before;
  };
  const auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  const auto taken = semaphore->TryAcquire();
  const auto limiter =
      std::make_shared<AdaptiveLimiter>(AdaptiveLimiter::Options{.initial = 1, .maximum = 1});
  const auto ticket = limiter->AdmitAt(clock.Now());
  const auto fixed = Stack(Bulkhead(semaphore, settings));
  const auto adaptive = Stack(AdaptiveLimit(limiter, settings));
  CHECK(refused(fixed) == 0s);
  CHECK(refused(adaptive) == 0s);
  REQUIRE(settings->Update({.max_wait = 3s}).ok());
  CHECK(refused(fixed) == 3s);
  CHECK(refused(adaptive) == 3s);
  REQUIRE(settings->Update({.max_wait = 3s, .max_queue = 0}).ok());
  CHECK(refused(fixed) == 0s);
  CHECK(refused(adaptive) == 0s);
}

TEST_CASE("a RateLimit follows its settings") {
  FakeClock clock;
  const auto bucket =
      std::make_shared<TokenBucket>(TokenBucket::Options{.rate = 1, .burst = 10, .clock = &clock});
  const auto settings = Make(RateLimitOptions{.max_wait = 0s});
  const auto call = Stack(RateLimit(bucket, settings)).Around(kFine, &clock);
  CHECK(call().ok());
  CHECK(bucket->Tokens() == 9);
  SECTION("what a call costs") {
    REQUIRE(settings->Update({.max_wait = 0s, .cost = [](const Call&) { return 4; }}).ok());
    CHECK(call().ok());
    CHECK(bucket->Tokens() == 5);
  }
  SECTION("how long it waits") {
    REQUIRE(bucket->AllowAt(clock.Now(), 9));
    CHECK(absl::IsResourceExhausted(call()));
    REQUIRE(settings->Update({.max_wait = 2s}).ok());
    CHECK(call().ok());
    CHECK(clock.Now() == TimePoint{1s});
  }
  SECTION("whether it refuses") {
    REQUIRE(bucket->AllowAt(clock.Now(), 9));
    REQUIRE(settings->Update({.max_wait = 0s, .dry_run = true}).ok());
    CHECK(call().ok());
    REQUIRE(settings->Update({.max_wait = 0s}).ok());
    CHECK_FALSE(call().ok());
  }
  SECTION("whether it gives back what is refused inside") {
    const auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{});
    const auto inner =
        Stack(RateLimit(bucket, settings), CircuitBreak(breaker)).Around(kFine, &clock);
    breaker->SetMode(BreakerMode::kForcedOpen);
    CHECK_FALSE(inner().ok());
    CHECK(bucket->Tokens() == 8);
    REQUIRE(settings->Update({.max_wait = 0s, .refund_refused = true}).ok());
    CHECK_FALSE(inner().ok());
    CHECK(bucket->Tokens() == 8);
  }
}

TEST_CASE("a KeyedRateLimit follows its settings, and a call keeps its key") {
  FakeClock clock;
  const auto buckets = std::make_shared<KeyedTokenBucket>(
      KeyedTokenBucket::Options{.limits = {.rate = 1, .burst = 10}, .clock = &clock});
  const auto settings = Make(KeyedRateLimitOptions{.key = [](const Call&) { return "a"; }});
  const auto to_b = [&] {
    KeyedRateLimitOptions options = settings->options();
    options.key = [](const Call&) { return "b"; };
    REQUIRE(settings->Update(options).ok());
  };
  const auto call = Stack(KeyedRateLimit(buckets, settings, [&](const Call&, const absl::Status&) {
                      to_b();
                      return 3;
                    })).Around(kFine, &clock);
  CHECK(call().ok());
  CHECK(buckets->TokensAt(clock.Now(), "a") == 7);
  CHECK(call().ok());
  CHECK(buckets->TokensAt(clock.Now(), "a") == 7);
  CHECK(buckets->TokensAt(clock.Now(), "b") == 7);
}

TEST_CASE("a call's key is what its key function said, also when that has gone") {
  FakeClock clock;
  const auto buckets = std::make_shared<KeyedTokenBucket>(
      KeyedTokenBucket::Options{.limits = {.rate = 1, .burst = 100}, .clock = &clock});
  const auto owner = [](std::string name) {
    auto owned = std::make_shared<const std::string>(std::move(name));
    return KeyedRateLimitOptions{
        .key = [owned](const Call&) -> std::string_view { return *owned; }};
  };
  const std::string long_name(100, 'a');
  const auto settings = Make(owner(long_name));
  const auto change = [&](const Call&, const absl::Status&) {
    CHECK(settings->Update(owner("b")).ok());
    return 11;
  };
  const auto call = Stack(KeyedRateLimit(buckets, settings, change)).Around(kFine, &clock);
  CHECK(call().ok());
  CHECK(buckets->TokensAt(clock.Now(), long_name) == 89);
  CHECK(buckets->TokensAt(clock.Now(), "b") == 100);
}

TEST_CASE("with the same seed an Update lets the jitter go on") {
  const auto delays = [](bool updates) {
    FakeClock clock;
    const auto settings = Make(RetryOptions{.max_attempts = 3, .seed = 7});
    const auto call = Stack(Retry(settings)).Around(kDown, &clock);
    (void)call();
    if (updates) CHECK(settings->Update(settings->options()).ok());
    const TimePoint before = clock.Now();
    (void)call();
    return clock.Now() - before;
  };
  CHECK(delays(true) == delays(false));
}

TEST_CASE("a rate limit with settings lets simple calls through as one without") {
  FakeClock clock;
  const auto bucket = std::make_shared<TokenBucket>(TokenBucket::Options{.rate = 1, .burst = 2});
  const auto settings = Make(RateLimitOptions{.max_wait = 0s});
  int asked = 0;
  const auto call = Stack(RateLimit(bucket, settings, [&asked](const Call&, const absl::Status&) {
                      ++asked;
                      return 1;
                    })).Around(kFine, &clock);
  CHECK(call().ok());
  REQUIRE(settings->Update({.max_wait = 0s, .dry_run = true}).ok());
  CHECK(call().ok());
  CHECK(call().ok());
  CHECK(asked == 3);
  REQUIRE(settings->Update({.max_wait = 1s}).ok());
  CHECK(call().ok());
  CHECK(clock.Now() == TimePoint{1s});
}

TEST_CASE("a Pace follows its settings") {
  FakeClock clock;
  const auto pacer = std::make_shared<Pacer>(Pacer::Options{.rate = 1, .slack = 0});
  const auto settings = Make(PaceOptions{.max_wait = 0s});
  const auto call = Stack(Pace(pacer, settings)).Around(kFine, &clock);
  CHECK(call().ok());
  CHECK(absl::IsResourceExhausted(call()));
  REQUIRE(settings->Update({.max_wait = 1s}).ok());
  CHECK(call().ok());
  CHECK(clock.Now() == TimePoint{1s});
}

TEST_CASE("a Hedge follows its settings") {
  FakeClock clock;
  const auto settings = Make(HedgeOptions{.delay = 1s});
  const Hedge hedge(settings, HedgeAll());
  CHECK(hedge.NextBranch(clock.Now(), 1) == TimePoint{1s});
  CHECK(hedge.NextBranch(clock.Now(), 2) == TimePoint::max());
  REQUIRE(settings->Update({.delay = 2s, .max_hedges = 2}).ok());
  CHECK(hedge.NextBranch(clock.Now(), 1) == TimePoint{2s});
  CHECK(hedge.NextBranch(clock.Now(), 2) == TimePoint{2s});
  CHECK(Stack(hedge).Describe() == "Hedge(up to 2 more, after 2s each)");
}

TEST_CASE("UpdateAll changes all or none, as Validate says of the whole") {
  const auto total = Make(TimeoutOptions{.limit = 10s});
  const auto retry = Make(RetryOptions{.max_attempts = 3, .backoff = Backoff::Constant(100ms)});
  const auto attempt = Make(TimeoutOptions{.limit = 2s});
  const auto stack = Stack(Timeout(total), Retry(retry), Timeout(attempt));
  REQUIRE(Validate(stack).ok());
  const auto unchanged = [&] {
    return total->options().limit == 10s && retry->options().max_attempts == 3 &&
           attempt->options().limit == 2s;
  };
  SECTION("each by itself would not fit") {
    CHECK(absl::IsInvalidArgument(UpdateAll(stack, Change(total, {.limit = 1s}))));
    CHECK(unchanged());
    CHECK(UpdateAll(stack, Change(total, {.limit = 1s}), Change(attempt, {.limit = 200ms})).ok());
    CHECK(total->options().limit == 1s);
    CHECK(attempt->options().limit == 200ms);
    CHECK(Validate(stack).ok());
  }
  SECTION("one that is not valid") {
    CHECK(absl::IsInvalidArgument(
        UpdateAll(stack, Change(total, {.limit = 20s}), Change(retry, {.max_attempts = 0}))));
    CHECK(unchanged());
  }
  SECTION("one that is not in the stack") {
    const auto stranger = Make(TimeoutOptions{.limit = 1s});
    const absl::Status status =
        UpdateAll(stack, Change(total, {.limit = 20s}), Change(stranger, {.limit = 2s}));
    CHECK(absl::IsInvalidArgument(status));
    CHECK(std::string(status.message()).find("number 2") != std::string::npos);
    CHECK(unchanged());
    CHECK(stranger->options().limit == 1s);
  }
  SECTION("one twice") {
    CHECK(absl::IsInvalidArgument(
        UpdateAll(stack, Change(total, {.limit = 20s}), Change(total, {.limit = 30s}))));
    CHECK(unchanged());
  }
  CHECK_THROWS_AS(Change(std::shared_ptr<Settings<TimeoutOptions>>(), {.limit = 1s}),
                  std::invalid_argument);
}

TEST_CASE("UpdateAll finds what each policy has") {
  const auto timeout = Make(TimeoutOptions{.limit = 10s});
  const auto bulkhead = Make(BulkheadOptions{.max_wait = 900ms});
  const auto rate = Make(RateLimitOptions{.max_wait = 900ms});
  const auto keyed_rate = Make(KeyedRateLimitOptions{.max_wait = 900ms});
  const auto pace = Make(PaceOptions{.max_wait = 900ms});
  const auto hedge =
      Make(HedgeOptions{.latencies = std::make_shared<LatencyQuantile>(LatencyQuantile::Options{}),
                        .pool = std::make_shared<ThreadPool>(ThreadPool::Options{})});
  const auto adaptive = Make(AdaptiveTimeoutOptions{.max = 1s});
  const auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  const auto limiter = std::make_shared<AdaptiveLimiter>(AdaptiveLimiter::Options{});
  const auto first = std::make_shared<TokenBucket>(TokenBucket::Options{.rate = 1});
  const auto second = std::make_shared<TokenBucket>(TokenBucket::Options{.rate = 1});
  const auto keyed = std::make_shared<KeyedTokenBucket>(
      KeyedTokenBucket::Options{.limits = {.rate = 1, .burst = 1}});
  const auto pacer = std::make_shared<Pacer>(Pacer::Options{.rate = 1});
  const auto latencies = std::make_shared<LatencyQuantile>(LatencyQuantile::Options{});
  const auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{});
  const auto breakers = std::make_shared<KeyedCircuitBreaker>(KeyedCircuitBreaker::Options{});
  const auto throttler = std::make_shared<AdaptiveThrottler>(AdaptiveThrottler::Options{});
  const auto results =
      std::make_shared<ResultCache<absl::Status>>(ResultCache<absl::Status>::Options{.ttl = 1s});
  const auto stack =
      Stack(Timeout(timeout), Cache(results), Bulkhead(semaphore, bulkhead),
            AdaptiveLimit(limiter, bulkhead), RateLimit(std::vector{first, second}, rate),
            KeyedRateLimit(keyed, keyed_rate), Pace(pacer, pace), AdaptiveThrottle(throttler),
            CircuitBreak(breaker), KeyedCircuitBreak(breakers), Hedge(hedge, HedgeAll()),
            AdaptiveTimeout(latencies, adaptive));
  const auto same = [](const auto& object) { return Change(object, object->options()); };
  const absl::Status changed = UpdateAll(
      stack, same(timeout), same(bulkhead), same(rate), same(keyed_rate), same(pace), same(hedge),
      same(adaptive), same(semaphore), same(limiter), same(first), same(second), same(keyed),
      same(pacer), same(latencies), same(breaker), same(breakers), same(throttler), same(results),
      same(hedge->options().budget), same(hedge->options().latencies), same(hedge->options().pool));
  CHECK(changed == absl::OkStatus());
  // Of what comes out, and not of what there is.
  const absl::Status refused =
      UpdateAll(stack, same(breaker), Change(timeout, {.limit = 500ms}), same(bulkhead));
  CHECK(std::string(refused.message()).find("Timeout(500ms)") != std::string::npos);
}

TEST_CASE("settings change while many threads call") {
  const auto retry = Make(RetryOptions{.max_attempts = 1, .backoff = Backoff::Constant(0s)});
  const auto limit = Make(TimeoutOptions{.limit = 1h});
  const auto bulkhead = Make(BulkheadOptions{});
  const auto call =
      Stack(Timeout(limit), Retry(retry), Bulkhead(Semaphore::Options{.limit = 100}, {}))
          .Around(kDown);
  const auto queued =
      Stack(Bulkhead(std::make_shared<Semaphore>(Semaphore::Options{.limit = 2}), bulkhead))
          .Around(kFine);
  constexpr int kCalls = 5'000;
  std::atomic<int> wrong{0};
  std::atomic<int> running{3};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kCalls; ++i) {
        const int attempts = AttemptsOf(call);
        // The budget may end it sooner.
        if (attempts < 1 || attempts > 3) wrong.fetch_add(1);
        (void)queued();
      }
      running.fetch_sub(1);
    });
  }
  for (int i = 0; running.load() > 0; ++i) {
    if (!retry->Update({.max_attempts = 1 + i % 3, .backoff = Backoff::Constant(0s)}).ok() ||
        !limit->Update({.limit = std::chrono::hours(1 + i % 2)}).ok() ||
        !bulkhead->Update({.max_wait = std::chrono::hours(i % 2)}).ok()) {
      wrong.fetch_add(1);
    }
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace holdfast::settings_test
