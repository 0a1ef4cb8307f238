// What buckets and pacers tell a registry of metrics.
#include <absl/status/status.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <vector>

#include "holdfast/call/collector.h"
#include "holdfast/rate/keyed_rate_limit.h"
#include "holdfast/rate/pace.h"
#include "holdfast/rate/rate_limit.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/caller.h"
#include "test/support/catch.h"
#include "test/support/collected.h"
#include "test/support/sanitizers.h"

namespace holdfast::rate_metrics_test {
namespace {

using namespace std::chrono_literals;
using test::Caller;
using test::Collected;
using testing::FakeClock;
using WhenFull = KeyedTokenBucket::WhenFull;

constexpr TimePoint At(Duration d) { return TimePoint{d}; }
constexpr double kInfinity = std::numeric_limits<double>::infinity();

const auto kSucceed = [] { return absl::OkStatus(); };

std::shared_ptr<TokenBucket> Bucket(double rate, std::int64_t burst, const char* name = "") {
  return std::make_shared<TokenBucket>(
      TokenBucket::Options{.rate = rate, .burst = burst, .name = name});
}

std::shared_ptr<KeyedTokenBucket> Buckets(std::int64_t max_keys = 100,
                                          WhenFull when_full = WhenFull::kRefuse) {
  return std::make_shared<KeyedTokenBucket>(KeyedTokenBucket::Options{
      .limits = {.rate = 1, .burst = 1}, .max_keys = max_keys, .when_full = when_full});
}

template <class Object>
Collected Collect(const Object& object) {
  Collected collected;
  object.Collect(collected);
  return collected;
}

template <class Object>
double Told(const Object& object, std::string_view metric) {
  return Collect(object).at(metric);
}

// By reason: rate_limited, deadline, cancelled and exceeds_capacity, as far as there are these.
using Refusals = std::vector<double>;

template <class Object>
Refusals RefusalsOf(const Object& object) {
  const Collected collected = Collect(object);
  Refusals refusals;
  for (const std::string reason : {"rate_limited", "deadline", "cancelled", "exceeds_capacity"}) {
    const std::string attributes = "holdfast.reason=" + reason;
    if (!collected.has("holdfast.rate_limit.refusals", attributes)) continue;
    refusals.push_back(collected.at("holdfast.rate_limit.refusals", attributes));
  }
  return refusals;
}

// Stops who waits: `wait(token)` blocks on the clock.
template <class Wait>
absl::Status Stopped(FakeClock& clock, const Wait& wait) {
  clock.set_auto_advance(false);
  std::stop_source stop;
  absl::Status status;
  std::jthread waiter([&] { status = wait(stop.get_token()); });
  clock.AwaitWaiters(1);
  stop.request_stop();
  waiter.join();
  clock.set_auto_advance(true);
  return status;
}

TEST_CASE("a bucket counts what it refuses by hand, by reason and once") {
  FakeClock clock;
  TokenBucket bucket({.rate = 1, .burst = 2, .clock = &clock});
  CHECK(bucket.Allow(2));
  CHECK(bucket.Allow(0));
  CHECK(RefusalsOf(bucket) == Refusals{0, 0, 0, 0});
  CHECK_FALSE(bucket.Allow());
  CHECK_FALSE(bucket.Allow(3));
  CHECK_FALSE(bucket.Allow(-1));
  CHECK(RefusalsOf(bucket) == Refusals{1, 0, 0, 2});
  CHECK_FALSE(bucket.ReserveAt(clock.Now(), 1, 500ms).ok());
  CHECK_FALSE(bucket.Reserve(3).ok());
  CHECK(RefusalsOf(bucket) == Refusals{2, 0, 0, 3});
  CHECK(bucket.Wait(1, {.deadline = At(500ms)}).code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(bucket.Wait(3).code() == absl::StatusCode::kInvalidArgument);
  CHECK(Stopped(clock, [&](auto stop) { return bucket.Wait(1, {.stop = stop}); }).code() ==
        absl::StatusCode::kCancelled);
  CHECK(RefusalsOf(bucket) == Refusals{2, 1, 1, 4});
  CHECK(bucket.Wait().ok());
  bucket.Reserve().Cancel();
  bucket.SetRate(0);
  CHECK(bucket.Wait().code() == absl::StatusCode::kResourceExhausted);
  CHECK(RefusalsOf(bucket) == Refusals{3, 1, 1, 4});
}

TEST_CASE("a bucket that one word does not describe counts as well") {
  TokenBucket bucket({.rate = 1, .burst = 1});
  CHECK(bucket.AllowAt(At(0s)));
  Reservation cancelled = bucket.ReserveAt(At(0s));
  CHECK(bucket.ReserveAt(At(0s)).ok());
  cancelled.CancelAt(At(0s));
  CHECK_FALSE(bucket.AllowAt(At(0s)));
  CHECK_FALSE(bucket.AllowAt(At(0s), 2));
  CHECK_FALSE(bucket.ReserveAt(At(0s), 1, 100ms).ok());
  CHECK(RefusalsOf(bucket) == Refusals{2, 0, 0, 1});
}

TEST_CASE("a bucket tells its limits, its tokens and what calls cost in the end") {
  FakeClock clock;
  TokenBucket bucket({.rate = 2, .burst = 10, .clock = &clock});
  CHECK(Told(bucket, "holdfast.rate_limit.rate") == 2);
  CHECK(Told(bucket, "holdfast.rate_limit.burst") == 10);
  CHECK(Told(bucket, "holdfast.rate_limit.tokens") == 10);
  CHECK(bucket.Reserve(10).ok());
  bucket.Charge(5);
  bucket.Refund(1);
  clock.Advance(250ms);
  CHECK(Told(bucket, "holdfast.rate_limit.tokens") == -3.5);
  CHECK(Told(bucket, "holdfast.rate_limit.charged") == 5);
  CHECK(Told(bucket, "holdfast.rate_limit.refunded") == 1);
  bucket.SetLimits(kInfiniteRate, 7);
  CHECK(Told(bucket, "holdfast.rate_limit.rate") == kInfinity);
  CHECK(Told(bucket, "holdfast.rate_limit.burst") == 7);
}

TEST_CASE("a bucket counts the calls of stacks that it refuses") {
  FakeClock clock;
  const auto bucket = Bucket(1, 2);
  const auto cost = [](const Call& call) { return call.key().empty() ? 1 : 3; };
  const auto call = Stack(RateLimit(bucket, {.cost = cost})).Around(kSucceed, &clock);
  CHECK(call().ok());
  CHECK(call().ok());
  CHECK(call.With({.deadline = At(500ms)}).code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(call.With({.key = "large"}).code() == absl::StatusCode::kInvalidArgument);
  CHECK(Stopped(clock, [&](auto stop) { return call.With({.stop = stop}); }).code() ==
        absl::StatusCode::kCancelled);
  const auto strict = Stack(RateLimit(bucket, {.max_wait = 0s})).Around(kSucceed, &clock);
  CHECK(strict().code() == absl::StatusCode::kResourceExhausted);
  CHECK(RefusalsOf(*bucket) == Refusals{1, 1, 1, 1});
  const auto tried = Stack(RateLimit(bucket, {.max_wait = 0s, .dry_run = true}));
  CHECK(tried.Around(kSucceed, &clock)().ok());
  CHECK(call().ok());
  CHECK(RefusalsOf(*bucket) == Refusals{1, 1, 1, 1});
}

TEST_CASE("a true cost that differs is charged or refunded") {
  FakeClock clock;
  const auto bucket = Bucket(1, 5);
  std::int64_t took = 3;
  const auto call = Stack(RateLimit(bucket, {.cost = [](const Call&) { return 2; }},
                                    [&](const Call&, const absl::Status&) { return took; }))
                        .Around(kSucceed, &clock);
  CHECK(call().ok());
  took = 0;
  CHECK(call().ok());
  CHECK(Told(*bucket, "holdfast.rate_limit.charged") == 1);
  CHECK(Told(*bucket, "holdfast.rate_limit.refunded") == 2);
}

TEST_CASE("of several buckets the one for which a call would wait counts its refusal") {
  FakeClock clock;
  const auto second = Bucket(10, 10);
  const auto hour = Bucket(0.001, 1);
  std::tuple limit(RateLimit(std::vector{second, hour}, {.max_wait = 1h}));
  using One = Caller<RateLimit<>>;
  CHECK(One(limit, clock).ran());
  CHECK(One(limit, clock, {.deadline = At(1s)}).result().code() ==
        absl::StatusCode::kDeadlineExceeded);
  CHECK(One(limit, clock).Stop().code() == absl::StatusCode::kCancelled);
  CHECK(RefusalsOf(*hour) == Refusals{0, 1, 1, 0});
  CHECK(RefusalsOf(*second) == Refusals{0, 0, 0, 0});
}

TEST_CASE("buckets of keys count together") {
  FakeClock clock;
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 1}, .max_keys = 50, .clock = &clock});
  CHECK(buckets.Allow("a"));
  CHECK(buckets.Allow("b"));
  CHECK_FALSE(buckets.Allow("a"));
  CHECK_FALSE(buckets.Allow("b"));
  CHECK_FALSE(buckets.Allow("a", 2));
  CHECK_FALSE(buckets.Allow("new", 2));
  CHECK_FALSE(buckets.ReserveAt(clock.Now(), "a", 1, 1ms).ok());
  CHECK_FALSE(buckets.Reserve("new", -1).ok());
  CHECK(buckets.Wait("a", 1, {.deadline = At(1ms)}).code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(Stopped(clock, [&](auto stop) { return buckets.Wait("a", 1, {.stop = stop}); }).code() ==
        absl::StatusCode::kCancelled);
  CHECK(buckets.Wait("new", 2).code() == absl::StatusCode::kInvalidArgument);
  CHECK(RefusalsOf(buckets) == Refusals{3, 1, 1, 4});
  buckets.Charge("a", 4);
  buckets.Refund("b", 2);
  const Collected told = Collect(buckets);
  CHECK(told.at("holdfast.rate_limit.rate") == 1);
  CHECK(told.at("holdfast.rate_limit.burst") == 1);
  CHECK(told.at("holdfast.rate_limit.charged") == 4);
  CHECK(told.at("holdfast.rate_limit.refunded") == 2);
  CHECK(told.at("holdfast.keys", "holdfast.kind=rate_limit") == 2);
  CHECK(told.at("holdfast.keys.limit", "holdfast.kind=rate_limit") == 50);
  CHECK(told.at("holdfast.keys.turned_away") == 0);
}

TEST_CASE("calls for whose key there is no room are counted, whatever becomes of them") {
  FakeClock clock;
  const WhenFull when_full = GENERATE(WhenFull::kRefuse, WhenFull::kShare, WhenFull::kAdmit);
  const auto buckets = Buckets(1, when_full);
  const auto for_all = Bucket(kInfiniteRate, 1);
  const auto call =
      Stack(KeyedRateLimit(buckets, for_all, {.max_wait = 0s})).Around(kSucceed, &clock);
  CHECK(buckets->AllowAt(At(0s), "in use"));
  double refused = 0;
  for (int i = 0; i < 2; ++i) {  // the second finds no token in the bucket that keys share
    refused += buckets->AllowAt(At(0s), "a") ? 0 : 1;
    refused += buckets->ReserveAt(At(0s), "a", 1, 0s).ok() ? 0 : 1;
    refused += call.With({.key = "a"}).ok() ? 0 : 1;
  }
  CHECK(refused == (when_full == WhenFull::kAdmit ? 0 : when_full == WhenFull::kShare ? 5 : 6));
  CHECK(Told(*buckets, "holdfast.keys.turned_away") == 6);
  CHECK(RefusalsOf(*buckets) == Refusals{refused, 0, 0, 0});
  CHECK(RefusalsOf(*for_all) == Refusals{0, 0, 0, 0});
}

TEST_CASE("a call that looks again for its key and for all is turned away once") {
  FakeClock clock;
  const auto buckets = Buckets(1, WhenFull::kAdmit);
  const auto for_all = Bucket(1, 1);
  std::tuple limit(KeyedRateLimit{buckets, for_all, {.max_wait = 1min}});
  using One = Caller<KeyedRateLimit<>>;
  CHECK(One(limit, clock, {.key = "a"}).ran());
  One waiter(limit, clock, {.key = "b"});
  clock.Advance(500ms);
  for_all->SetRateAt(clock.Now(), 1.25);
  CHECK(waiter.Look().goes_at() == At(900ms));
  CHECK(Told(*buckets, "holdfast.keys.turned_away") == 1);
  CHECK(waiter.Stop().code() == absl::StatusCode::kCancelled);
  CHECK(RefusalsOf(*for_all) == Refusals{0, 0, 1, 0});
  CHECK(RefusalsOf(*buckets) == Refusals{0, 0, 0, 0});
}

TEST_CASE("a million keys give as many series as ten") {
  const auto names = [](std::int64_t keys) {
    KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 1}, .max_keys = 1'000'000});
    for (std::int64_t i = 0; i < keys; ++i) {
      (void)buckets.AllowAt(At(0s), {reinterpret_cast<const char*>(&i), sizeof i});
    }
    const Collected told = Collect(buckets);
    CHECK(told.at("holdfast.keys", "holdfast.kind=rate_limit") == static_cast<double>(keys));
    std::vector<Collected::Series> series;
    for (const auto& [name, value] : told.all()) series.push_back(name);
    return series;
  };
  CHECK(names(HOLDFAST_SANITIZED != 0 ? 10'000 : 1'000'000) == names(10));
}

TEST_CASE("where a function says the limits of a key none are told, and it is not asked") {
  int asked = 0;
  KeyedTokenBucket buckets({.limits_for = [&](std::string_view) {
    ++asked;
    return KeyedTokenBucket::Limits{.rate = 1, .burst = 1};
  }});
  CHECK(buckets.AllowAt(At(0s), "a"));
  CHECK(asked == 1);
  const Collected told = Collect(buckets);
  CHECK_FALSE(told.has("holdfast.rate_limit.rate"));
  CHECK_FALSE(told.has("holdfast.rate_limit.burst"));
  CHECK(told.has("holdfast.keys.turned_away"));
  CHECK(asked == 1);
}

TEST_CASE("a pacer counts what it refuses") {
  FakeClock clock;
  const auto pacer =
      std::make_shared<Pacer>(Pacer::Options{.rate = 1, .slack = 0, .clock = &clock});
  CHECK(pacer->TakeAt(clock.Now()) == clock.Now());
  CHECK_FALSE(pacer->TryTake(500ms).has_value());
  CHECK(pacer->Take({.deadline = At(500ms)}).code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(Stopped(clock, [&](auto stop) { return pacer->Take({.stop = stop}); }).code() ==
        absl::StatusCode::kCancelled);
  CHECK(RefusalsOf(*pacer) == Refusals{1, 1, 1});
  const auto call = Stack(Pace(pacer, {.max_wait = 500ms})).Around(kSucceed, &clock);
  CHECK(call().code() == absl::StatusCode::kResourceExhausted);
  CHECK(call.With({.deadline = At(100ms)}).code() == absl::StatusCode::kDeadlineExceeded);
  const auto patient = Stack(Pace(pacer, {.refund_refused = true})).Around(kSucceed, &clock);
  CHECK(Stopped(clock, [&](auto stop) { return patient.With({.stop = stop}); }).code() ==
        absl::StatusCode::kCancelled);
  CHECK(patient().ok());
  CHECK(RefusalsOf(*pacer) == Refusals{2, 2, 2});
  CHECK(pacer->TakeAt(TimePoint::max()) == TimePoint::max());
  CHECK(RefusalsOf(*pacer) == Refusals{3, 2, 2});
}

TEST_CASE("a pacer tells what a bucket with the same bound would") {
  FakeClock clock;
  Pacer pacer({.rate = 10, .slack = 2, .clock = &clock});
  const auto tokens = [&] { return Told(pacer, "holdfast.rate_limit.tokens"); };
  CHECK(Told(pacer, "holdfast.rate_limit.rate") == 10);
  CHECK(Told(pacer, "holdfast.rate_limit.burst") == 3);
  CHECK(tokens() == 1);
  CHECK(pacer.TakeAt(At(0s)) == At(0s));
  CHECK(tokens() == 0);
  CHECK(pacer.TakeAt(At(0s)) == At(100ms));
  CHECK(tokens() == -1);
  clock.Advance(150ms);
  CHECK(tokens() == 0.5);
  clock.Advance(1h);
  CHECK(tokens() == 3);
  for (const double left : {2.0, 1.0, 0.0}) {
    CHECK(pacer.TakeAt(clock.Now()) == clock.Now());
    CHECK(tokens() == left);
  }
  CHECK(pacer.Update({.rate = kInfiniteRate, .slack = 0}).ok());
  CHECK(Told(pacer, "holdfast.rate_limit.rate") == kInfinity);
  CHECK(tokens() == 1);
}

TEST_CASE("policies tell which objects they use") {
  const auto kinds = [](const CollectedObjects& objects) {
    std::string text;
    for (const CollectedObject& one : objects.all().subspan(1)) {  // without the stack itself
      const auto object = one.object.lock();
      Collected told;
      one.collect(object.get(), told);
      CHECK(told.has("holdfast.rate_limit.refusals", "holdfast.reason=rate_limited"));
      text.append(one.kind).append(" ").append(one.name(object.get())).append(";");
    }
    return text;
  };
  const auto a = Bucket(1, 1, "a");
  const auto b = Bucket(1, 1, "b");
  const auto keys = std::make_shared<KeyedTokenBucket>(
      KeyedTokenBucket::Options{.limits = {.rate = 1}, .name = "keys"});
  const auto pacer = std::make_shared<Pacer>(Pacer::Options{.rate = 1, .name = "pacer"});
  CHECK(kinds(Stack(RateLimit(a), KeyedRateLimit(keys), Pace(pacer)).Objects()) ==
        "RateLimit a;KeyedRateLimit keys;Pace pacer;");
  CHECK(kinds(Stack(RateLimit(a, b)).Objects()) == "RateLimit a;RateLimit b;");
  CHECK(kinds(Stack(RateLimit(b, a)).Objects()) == "RateLimit b;RateLimit a;");
  CHECK(kinds(Stack(KeyedRateLimit(keys, std::vector{b, a})).Objects()) ==
        "KeyedRateLimit keys;KeyedRateLimit b;KeyedRateLimit a;");
}

}  // namespace
}  // namespace holdfast::rate_metrics_test
