// What becomes of calls that wait for tokens when the limits change.
#include <absl/status/status.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "holdfast/rate/keyed_rate_limit.h"
#include "holdfast/rate/keyed_token_bucket.h"
#include "holdfast/rate/rate_limit.h"
#include "holdfast/rate/token_bucket.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/caller.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"
#include "test/support/rate_oracle.h"
#include "test/support/threads.h"

namespace holdfast::waiters_of_tokens_test {
namespace {

using namespace std::chrono_literals;
using test::Caller;
using testing::FakeClock;
using testing::RateStep;

constexpr TimePoint At(Duration d) { return TimePoint{d}; }

std::shared_ptr<TokenBucket> Empty(double rate, std::int64_t burst) {
  auto bucket = std::make_shared<TokenBucket>(TokenBucket::Options{.rate = rate, .burst = burst});
  CHECK(bucket->AllowAt(At(0s), burst));
  return bucket;
}

const RateLimitOptions kPatient{.max_wait = Duration::max()};

using One = Caller<RateLimit<>>;
using Keyed = Caller<KeyedRateLimit<>>;

TEST_CASE("a call that waits for a token goes as soon as a new rate lets it") {
  FakeClock clock;
  const auto bucket = Empty(0.1, 1);
  std::tuple limit(RateLimit{bucket, kPatient});
  One waiter(limit, clock);
  CHECK(waiter.goes_at() == At(10s));
  clock.Advance(1s);
  bucket->SetRateAt(clock.Now(), 1000);
  CHECK(waiter.Look().goes_at() == At(1s + 900us));
  One newcomer(limit, clock);
  CHECK(newcomer.goes_at() == At(1s + 1900us));
  clock.Advance(900us);
  CHECK(waiter.Look().ran());
  CHECK(newcomer.Look().waits());
}

TEST_CASE("a call that waits never goes later than it was to") {
  FakeClock clock;
  const auto bucket = Empty(10, 1);
  std::tuple limit(RateLimit{bucket, kPatient});
  One first(limit, clock);
  One second(limit, clock);
  bucket->SetRateAt(clock.Now(), 1);
  CHECK(first.Look().goes_at() == At(100ms));
  CHECK(second.Look().goes_at() == At(200ms));
  One newcomer(limit, clock);
  CHECK(newcomer.goes_at() == At(3s));
  // And once more: what has come meanwhile counts.
  clock.Advance(50ms);
  bucket->SetRateAt(clock.Now(), 100);
  CHECK(first.Look().goes_at() == At(50ms + 9500us));
  CHECK(second.Look().goes_at() == At(50ms + 19'500us));
  CHECK(newcomer.Look().goes_at() == At(50ms + 29'500us));
}

TEST_CASE("a rate of none leaves waiting calls their times, and the next rate finds them") {
  FakeClock clock;
  const auto bucket = Empty(1, 1);
  std::tuple limit(RateLimit{bucket, kPatient});
  One waiter(limit, clock);
  bucket->SetRateAt(clock.Now(), 0);
  CHECK(waiter.Look().goes_at() == At(1s));
  bucket->SetRateAt(clock.Now(), 1000);
  CHECK(waiter.Look().goes_at() == At(1ms));
}

TEST_CASE("an infinite rate lets all go that wait") {
  FakeClock clock;
  const auto bucket = Empty(0.1, 1);
  std::tuple limit(RateLimit{bucket, kPatient});
  One first(limit, clock);
  One second(limit, clock);
  clock.Advance(1s);
  bucket->SetRateAt(clock.Now(), kInfiniteRate);
  bucket->SetRateAt(clock.Now(), 0.1);
  CHECK(first.Look().ran());
  CHECK(second.Look().ran());
}

TEST_CASE("what a larger burst adds goes to those who wait, in their order") {
  FakeClock clock;
  const auto bucket = Empty(1, 5);
  std::tuple limit(RateLimit{bucket, kPatient});
  std::tuple three(
      RateLimit{bucket, {.max_wait = Duration::max(), .cost = [](const Call&) { return 3; }}});
  One first(limit, clock);
  One second(three, clock);
  One third(limit, clock);
  CHECK(third.goes_at() == At(5s));
  bucket->SetLimitsAt(clock.Now(), 1, 8, TokenCarryOver::kAdditive);
  CHECK(first.Look().ran());
  CHECK(second.Look().goes_at() == At(1s));
  CHECK(third.Look().goes_at() == At(2s));
  CHECK(One(limit, clock).goes_at() == At(3s));
}

TEST_CASE("a bucket that is filled anew gives first to those who wait") {
  FakeClock clock;
  const auto bucket = Empty(1, 5);
  std::tuple limit(RateLimit{bucket, kPatient});
  std::deque<One> waiters;
  for (int i = 0; i < 5; ++i) waiters.emplace_back(limit, clock);
  const Reservation promised = bucket->ReserveAt(clock.Now(), 2);
  CHECK(promised.ready_at() == At(7s));
  bucket->SetLimitsAt(clock.Now(), 1, 4, TokenCarryOver::kReset);
  for (int i = 0; i < 4; ++i) CHECK(waiters[static_cast<std::size_t>(i)].Look().ran());
  CHECK(waiters[4].Look().goes_at() == At(1s));
  CHECK(bucket->TokensAt(clock.Now()) == -1);
  CHECK(One(limit, clock).goes_at() == At(2s));
  CHECK(promised.ready_at() == At(7s));
}

TEST_CASE("a reservation keeps its time, and who waits behind it goes earlier all the same") {
  FakeClock clock;
  const auto bucket = Empty(1, 1);
  std::tuple limit(RateLimit{bucket, kPatient});
  const Reservation reserved = bucket->ReserveAt(clock.Now());
  One waiter(limit, clock);
  bucket->SetRateAt(clock.Now(), 1000);
  CHECK(reserved.ready_at() == At(1s));
  CHECK(waiter.Look().goes_at() == At(2ms));
}

TEST_CASE("a call that is stopped after it was to go earlier gives its token back once") {
  FakeClock clock;
  const auto bucket = Empty(0.1, 1);
  std::tuple limit(RateLimit{bucket, kPatient});
  One waiter(limit, clock);
  One behind(limit, clock);
  bucket->SetRateAt(clock.Now(), 10);
  CHECK(waiter.Stop().code() == absl::StatusCode::kCancelled);
  CHECK(bucket->TokensAt(clock.Now()) == -1);
  clock.Advance(200ms);
  CHECK(behind.Look().ran());
  // One that was not told yet, and whose time has passed by now.
  One late(limit, clock);
  bucket->SetRateAt(clock.Now(), 1000);
  clock.Advance(1ms);
  CHECK(bucket->TokensAt(clock.Now()) == 0);
  clock.Advance(1ms);
  CHECK(late.Stop().code() == absl::StatusCode::kCancelled);
  CHECK(bucket->TokensAt(clock.Now()) == 1);
}

TEST_CASE("a call that waits for several limits goes as soon as all let it") {
  FakeClock clock;
  const auto slow = Empty(0.1, 1);
  const auto fast = Empty(10, 1);
  std::tuple limit(RateLimit{std::vector{slow, fast}, kPatient});
  One first(limit, clock);
  One second(limit, clock);
  CHECK(first.goes_at() == At(10s));
  CHECK(second.goes_at() == At(20s));
  slow->SetRateAt(clock.Now(), 5);
  CHECK(first.Look().goes_at() == At(200ms));
  CHECK(second.Look().goes_at() == At(400ms));
  // What they left of the fast one meanwhile is there for others.
  CHECK(fast->AllowAt(At(100ms)));
  CHECK_FALSE(fast->AllowAt(At(100ms)));
  clock.Advance(200ms);
  CHECK(first.Look().ran());
  CHECK_FALSE(fast->AllowAt(clock.Now()));
  // Slower again: they keep their times.
  slow->SetRateAt(clock.Now(), 0.1);
  CHECK(second.Look().goes_at() == At(400ms));
  fast->SetRateAt(clock.Now(), kInfiniteRate);
  CHECK(second.Look().goes_at() == At(400ms));
  slow->SetRateAt(clock.Now(), kInfiniteRate);
  CHECK(second.Look().ran());
}

TEST_CASE("calls that wait for a key go as soon as its new limits let them") {
  FakeClock clock;
  const auto buckets = std::make_shared<KeyedTokenBucket>(
      KeyedTokenBucket::Options{.limits = {.rate = 0.1, .burst = 1}, .max_keys = 100});
  std::tuple limit(KeyedRateLimit{buckets, {.max_wait = Duration::max()}});
  const CallOptions a{.key = "a"};
  CHECK(Keyed(limit, clock, a).ran());
  Keyed first(limit, clock, a);
  Keyed second(limit, clock, a);
  CHECK(first.goes_at() == At(10s));

  SECTION("at once where they are values") {
    buckets->SetLimitsAt(clock.Now(), {.rate = 10, .burst = 1});
    CHECK(first.Look().goes_at() == At(100ms));
  }
  SECTION("once the function has been asked, by whoever comes first") {
    buckets->SetLimitsAt(clock.Now(), [](std::string_view) {
      return KeyedTokenBucket::Limits{.rate = 10, .burst = 1};
    });
    CHECK(Keyed(limit, clock, a).goes_at() == At(300ms));
    CHECK(first.Look().goes_at() == At(100ms));
  }
  SECTION("where nobody else comes") {
    buckets->SetLimitsAt(clock.Now(), [](std::string_view) {
      return KeyedTokenBucket::Limits{.rate = 10, .burst = 1};
    });
    CHECK(second.Look().goes_at() == At(200ms));
    CHECK(first.Look().goes_at() == At(100ms));
  }
  SECTION("not later, if they are slower") {
    buckets->SetLimitsAt(clock.Now(), {.rate = 0.01, .burst = 1});
    CHECK(first.Look().goes_at() == At(10s));
    CHECK(Keyed(limit, clock, a).goes_at() == At(300s));
  }
  SECTION("all at once, if there are none") {
    buckets->SetLimitsAt(clock.Now(), {.rate = kInfiniteRate, .burst = 0});
    CHECK(first.Look().ran());
    CHECK(second.Look().ran());
  }
  SECTION("from the bucket that is filled anew") {
    CHECK(buckets->AllowAt(clock.Now(), "b"));
    buckets->SetLimitsAt(clock.Now(), {.rate = 0.1, .burst = 1}, TokenCarryOver::kReset);
    CHECK(first.Look().ran());
    CHECK(second.Look().goes_at() == At(10s));
    CHECK(Keyed(limit, clock, a).goes_at() == At(20s));
    CHECK(buckets->TokensAt(clock.Now(), "b") == 1);
    CHECK(buckets->size() == 1);
  }
  SECTION("from the bucket that is filled anew by a function") {
    CHECK(buckets->AllowAt(clock.Now(), "b"));
    buckets->SetLimitsAt(
        clock.Now(),
        [](std::string_view) { return KeyedTokenBucket::Limits{.rate = 0.1, .burst = 1}; },
        TokenCarryOver::kReset);
    CHECK(buckets->TokensAt(clock.Now(), "b") == 1);
    CHECK(Keyed(limit, clock, a).goes_at() == At(20s));
    CHECK(first.Look().ran());
    CHECK(second.Look().goes_at() == At(10s));
  }
}

TEST_CASE("a key whose limits can't be asked for leaves the call that waits for it as it was") {
  FakeClock clock;
  const auto buckets = std::make_shared<KeyedTokenBucket>(
      KeyedTokenBucket::Options{.limits = {.rate = 0.1, .burst = 1}, .max_keys = 100});
  std::tuple limit(KeyedRateLimit{buckets, {.max_wait = Duration::max()}});
  CHECK(Keyed(limit, clock).ran());
  std::optional<Keyed> waiter(std::in_place, limit, clock);
  buckets->SetLimitsAt(clock.Now(), [](std::string_view) -> KeyedTokenBucket::Limits {
    throw std::runtime_error("no limits");
  });
  CHECK_THROWS_AS(waiter->Look(), std::runtime_error);
  waiter.reset();
  buckets->SetLimitsAt(clock.Now(), {.rate = 0.1, .burst = 1});
  CHECK(buckets->TokensAt(clock.Now(), "") == 0);
}

TEST_CASE("keys that share a bucket wait for its new limits as well") {
  FakeClock clock;
  const auto buckets = std::make_shared<KeyedTokenBucket>(
      KeyedTokenBucket::Options{.limits = {.rate = 0.1, .burst = 1},
                                .max_keys = 1,
                                .when_full = KeyedTokenBucket::WhenFull::kShare});
  std::tuple limit(KeyedRateLimit{buckets, {.max_wait = Duration::max()}});
  CHECK(Keyed(limit, clock, {.key = "a"}).ran());
  CHECK(Keyed(limit, clock, {.key = "b"}).ran());
  Keyed waiter(limit, clock, {.key = "c"});
  CHECK(waiter.goes_at() == At(10s));
  buckets->SetLimitsAt(clock.Now(), {.rate = 10, .burst = 1});
  CHECK(waiter.Look().goes_at() == At(100ms));
}

// As if they had come again at the moment of the change, in the order of their places; but never
// later.
TEST_CASE("calls that wait go when the oracle says, however often the rate changes") {
  test::Property(5, [] {
    constexpr std::array<std::int64_t, 7> kRates = {1, 3, 7, 10, 1000, 12'345, 1'000'000'000};
    struct Waiter {
      std::unique_ptr<One> call;
      std::int64_t n;
      TimePoint ready_at;
      TimePoint place_at;  // later than ready_at where a rate became slower
      std::int64_t place;
    };
    const std::int64_t burst = *rc::gen::inRange<std::int64_t>(1, 6);
    FakeClock clock(At(1h));
    const auto bucket =
        std::make_shared<TokenBucket>(TokenBucket::Options{.rate = 1, .burst = burst});
    testing::RateOracle oracle(1, burst);
    std::int64_t cost = 1;
    std::tuple limit(RateLimit{
        bucket, {.max_wait = Duration::max(), .cost = [&](const Call&) { return cost; }}});
    std::vector<Waiter> waiters;
    const auto steps = *rc::gen::container<std::vector<RateStep>>(rc::gen::build<RateStep>(
        rc::gen::set(&RateStep::kind,
                     rc::gen::elementOf(std::vector{RateStep::kReserve, RateStep::kReserve,
                                                    RateStep::kAllow, RateStep::kAdvance,
                                                    RateStep::kSetRate, RateStep::kCancel})),
        rc::gen::set(&RateStep::which), rc::gen::set(&RateStep::span)));
    for (const RateStep& step : steps) {
      const TimePoint now = clock.Now();
      if (step.kind == RateStep::kReserve) {
        cost = 1 + step.which % burst;
        auto call = std::make_unique<One>(limit, clock);
        const auto answer = oracle.ReserveAt(now, cost);
        RC_ASSERT(answer.ok);
        // It may have got a place that was given up, before others.
        const auto behind = std::ranges::find_if(waiters, [&](const Waiter& other) {
          return std::pair(other.ready_at, other.place_at) >
                 std::pair(answer.ready_at, answer.ready_at);
        });
        waiters.insert(behind,
                       {std::move(call), cost, answer.ready_at, answer.ready_at, *answer.place});
      } else if (step.kind == RateStep::kAllow) {
        RC_ASSERT(bucket->AllowAt(now) == oracle.ReserveAt(now, 1, Duration::zero()).ok);
      } else if (step.kind == RateStep::kAdvance) {
        clock.Advance(testing::SpanOf(step.span, oracle.rate(), burst));
      } else if (step.kind == RateStep::kSetRate) {
        const std::int64_t rate = kRates[step.which % kRates.size()];
        for (const Waiter& waiter : waiters) oracle.CancelAt(now, waiter.place);
        oracle.SetAt(now, rate, burst);
        for (Waiter& waiter : waiters) {
          const auto answer = oracle.ReserveAt(now, waiter.n);
          waiter.ready_at = std::min(waiter.ready_at, answer.ready_at);
          waiter.place_at = answer.ready_at;
          waiter.place = *answer.place;
        }
        bucket->SetRateAt(now, static_cast<double>(rate));
      } else if (!waiters.empty()) {
        const auto one = waiters.begin() + step.which % static_cast<int>(waiters.size());
        oracle.CancelAt(now, one->place);
        RC_ASSERT(one->call->Stop().code() == absl::StatusCode::kCancelled);
        waiters.erase(one);
      }
      for (const Waiter& waiter : waiters) {
        waiter.call->Look();
        RC_ASSERT(waiter.call->ran() == (waiter.ready_at <= clock.Now()));
        if (waiter.call->waits()) RC_ASSERT(waiter.call->goes_at() == waiter.ready_at);
      }
      std::erase_if(waiters, [](const Waiter& waiter) { return waiter.call->ran(); });
      RC_ASSERT(std::abs(bucket->TokensAt(clock.Now()) - oracle.TokensAt(clock.Now())) < 1e-6);
    }
  });
}

// At the slow rate none of them would come back while the test lasts.
TEST_CASE("threads that wait for tokens come back while others change the rate") {
  constexpr double kFast = 100'000;
  constexpr int kThreads = 3;
  constexpr int kWaits = 40;
  TokenBucket bucket({.rate = 0.001, .burst = 1});
  KeyedTokenBucket buckets({.limits = {.rate = 0.001, .burst = 1}});
  std::atomic<int> at_work{kThreads};
  std::atomic<int> acted{0};
  const TimePoint begin = SteadyClock()->Now();
  test::InThreads(kThreads + 1, [&](int thread) {
    if (thread == kThreads) {
      for (int i = 0; at_work.load() > 0; ++i) {
        const double rate = i % 2 == 0 ? kFast : 0.001;
        bucket.SetRate(rate);
        buckets.SetLimits({.rate = rate, .burst = 1});
        std::this_thread::yield();
      }
      return;
    }
    std::stop_source stop;
    for (int i = 0; i < kWaits; ++i) {
      if (bucket.Wait().ok()) acted.fetch_add(1);
      (void)buckets.Wait("key");
      if (i == kWaits / 2) stop.request_stop();
      (void)bucket.Wait(1, {.deadline = SteadyClock()->Now() + 1ms, .stop = stop.get_token()});
    }
    at_work.fetch_sub(1);
  });
  const std::chrono::duration<double> took = SteadyClock()->Now() - begin;
  CHECK(acted.load() == kThreads * kWaits);
  CHECK(acted.load() <= 1 + kFast * took.count());
}

TEST_CASE("a thread that waits for tokens learns of a new rate") {
  FakeClock clock;
  clock.set_auto_advance(false);
  TokenBucket bucket({.rate = 0.1, .burst = 1, .clock = &clock});
  KeyedTokenBucket buckets({.limits = {.rate = 0.1, .burst = 1}, .clock = &clock});
  CHECK(bucket.Allow());
  CHECK(buckets.Allow("a"));
  absl::Status of_bucket;
  absl::Status of_key;
  {
    std::jthread one([&] { of_bucket = bucket.Wait(); });
    std::jthread other([&] { of_key = buckets.Wait("a"); });
    clock.AwaitWaiters(2);
    bucket.SetRate(kInfiniteRate);
    buckets.SetLimits({.rate = kInfiniteRate});
  }
  CHECK(of_bucket.ok());
  CHECK(of_key.ok());
  CHECK(clock.Now() == At(0s));
}

}  // namespace
}  // namespace holdfast::waiters_of_tokens_test
