// What a rate limit makes of options that are left out, and of those with which nothing could pass.
#include <absl/status/status.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "holdfast/rate/keyed_rate_limit.h"
#include "holdfast/rate/pace.h"
#include "holdfast/rate/rate_limit.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"

namespace holdfast::options_left_out_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;
using Limits = KeyedTokenBucket::Limits;
using WhenFull = KeyedTokenBucket::WhenFull;

constexpr char kRateMissing[] =
    "TokenBucket api: rate is missing: set it to tokens per second, or to kInfiniteRate for "
    "no limit";
constexpr char kNeverAdmits[] =
    "TokenBucket api: a burst of 0 never admits a token: set burst to at least 1, or leave it out "
    "for the tokens of one second";

const auto kSucceed = [] { return absl::OkStatus(); };

TimePoint At(Duration time) { return TimePoint(time); }

// How many of `calls` calls go through at once.
template <class Policy>
int AtOnce(const Policy& policy, int calls) {
  FakeClock clock;
  clock.set_auto_advance(false);
  int passed = 0;
  const auto call = Stack(policy).Around(kSucceed, &clock);
  for (int i = 0; i < calls; ++i) passed += call.With({.deadline = clock.Now()}).ok() ? 1 : 0;
  return passed;
}

TEST_CASE("a burst that is left out is that of one second, rounded up") {
  const auto burst = [](double rate) { return TokenBucket({.rate = rate}).burst(); };
  CHECK(burst(100) == 100);
  CHECK(burst(2.5) == 3);
  CHECK(burst(1) == 1);
  CHECK(burst(Every(1h)) == 1);
  CHECK(burst(1e-300) == 1);
  CHECK(burst(1e18) == TokenBucket::kMaxBurst);
  CHECK(burst(kInfiniteRate) == 1);
}

TEST_CASE("a rate limit needs no more than a rate") {
  CHECK(AtOnce(RateLimit({.rate = 100}), 200) == 100);
  CHECK(AtOnce(RateLimit({.rate = 100, .burst = 20}), 200) == 20);
  CHECK(AtOnce(RateLimit({.rate = 100, .name = "api"}, {.max_wait = 0s}), 200) == 100);
  CHECK(AtOnce(RateLimit({.rate = kInfiniteRate}), 200) == 200);
  CHECK(AtOnce(KeyedRateLimit({.limits = {.rate = 100}}), 200) == 100);
  CHECK(AtOnce(KeyedRateLimit({.limits = {.rate = 100, .burst = 20}, .max_keys = 10}), 200) == 20);
  CHECK(AtOnce(KeyedRateLimit({.limits_for = [](std::string_view) { return Limits{.rate = 50}; }}),
               200) == 50);
  CHECK(AtOnce(Pace({.rate = 100}), 200) == 1);
}

TEST_CASE("a bucket that could never admit a token is refused, with what to do") {
  CHECK_THROWS_WITH(TokenBucket({.name = "api"}), kRateMissing);
  CHECK_THROWS_WITH(TokenBucket({.rate = 0, .name = "api"}), kRateMissing);
  CHECK_THROWS_WITH(TokenBucket({.rate = 10, .burst = 0, .name = "api"}), kNeverAdmits);
  CHECK_THROWS_WITH(TokenBucket({.rate = 0, .burst = 0, .name = "api"}), kNeverAdmits);
  CHECK_THROWS_WITH(RateLimit({.rate = 10, .burst = 0, .name = "api"}), kNeverAdmits);
  CHECK_THROWS_WITH(RateLimit({.name = "api"}), kRateMissing);
  CHECK(Validate(TokenBucket::Options{}).message() ==
        "TokenBucket: rate is missing: set it to tokens per second, or to kInfiniteRate for "
        "no limit");

  CHECK(Validate(TokenBucket::Options{.rate = kInfiniteRate, .burst = 0}).ok());
  CHECK(Validate(TokenBucket::Options{.rate = 0, .burst = 1}).ok());
}

TEST_CASE("a pacer without a rate is refused, with what to do") {
  CHECK_THROWS_WITH(
      Pace({.name = "api"}),
      "Pacer api: rate is missing: set it to events per second, or to kInfiniteRate for no "
      "pacing");
}

TEST_CASE("limits of keys that could never admit a token are refused, where a key has them") {
  const auto check = [](const KeyedTokenBucket::Options& options) {
    return Validate(options).message();
  };
  const auto some = [](std::string_view) { return Limits{.rate = 10}; };
  CHECK_THROWS_WITH(KeyedTokenBucket({.limits = {.rate = 10, .burst = 0}, .name = "users"}),
                    "KeyedTokenBucket users: a burst of 0 never admits a token: set burst to at "
                    "least 1, or leave it out for the tokens of one second");
  CHECK_THROWS_WITH(KeyedRateLimit({.name = "users"}),
                    "KeyedTokenBucket users: rate is missing: set it to tokens per second, "
                    "or to kInfiniteRate for no limit");
  CHECK(check({.limits_for = some}).empty());
  CHECK(check({.limits = {.rate = 1}, .limits_for = some, .when_full = WhenFull::kShare}).empty());
  CHECK_FALSE(check({.limits_for = some, .when_full = WhenFull::kShare}).empty());

  // What the function forgets is said at the first use.
  KeyedTokenBucket forgotten({.limits_for = [](std::string_view) { return Limits{}; }});
  CHECK_THROWS_WITH(forgotten.AllowAt(At(0s), "a"),
                    "KeyedTokenBucket: rate is missing: set it to tokens per second, or to "
                    "kInfiniteRate for no limit");
}

TEST_CASE("an update has the same default as a new bucket, and refuses the same") {
  TokenBucket bucket({.rate = 10, .burst = 3, .name = "api"});
  CHECK(bucket.Update({.rate = 200}).ok());
  CHECK(bucket.options().burst == 200);
  CHECK(bucket.Update({.rate = 10, .burst = 0}).message() == kNeverAdmits);
  CHECK(bucket.Update({}).message() == kRateMissing);
  CHECK(bucket.burst() == 200);

  KeyedTokenBucket buckets({.limits = {.rate = 10, .burst = 3}});
  CHECK(buckets.Update({.limits = {.rate = 200}}).ok());
  CHECK(buckets.options().limits == Limits{.rate = 200, .burst = 200});
  CHECK_FALSE(buckets.Update({.limits = {.rate = 10, .burst = 0}}).ok());
  CHECK_FALSE(buckets.Update({}).ok());
  CHECK(buckets.options().limits == Limits{.rate = 200, .burst = 200});
}

TEST_CASE("a burst of zero at run time stops a bucket, until there is another") {
  TokenBucket bucket({.rate = 10});
  bucket.SetBurstAt(At(0s), 0);
  CHECK_FALSE(bucket.AllowAt(At(1h)));
  bucket.SetRateAt(At(1h), 20);
  CHECK_FALSE(bucket.AllowAt(At(2h)));
  bucket.SetBurstAt(At(2h), kBurstOfOneSecond);
  CHECK(bucket.burst() == 20);
  CHECK(bucket.AllowAt(At(2h + 1s), 20));
  bucket.SetLimitsAt(At(3h), 5, kBurstOfOneSecond);
  CHECK(bucket.burst() == 5);
  CHECK_THROWS_AS(bucket.SetLimitsAt(At(3h), 0, kBurstOfOneSecond), std::invalid_argument);

  KeyedTokenBucket buckets({.limits = {.rate = 10}});
  CHECK(buckets.AllowAt(At(0s), "a"));
  buckets.SetLimitsAt(At(0s), Limits{.rate = 10, .burst = 0});
  CHECK_FALSE(buckets.AllowAt(At(1h), "a"));
  CHECK_FALSE(buckets.AllowAt(At(1h), "b"));
  buckets.SetLimitsAt(At(1h), Limits{.rate = 10});
  CHECK(buckets.AllowAt(At(2h), "a", 10));
}

TEST_CASE("what a refused cost was too much for is said in words") {
  FakeClock clock;
  const auto refused = [&](const auto& policy) {
    return std::string(Stack(policy).Around(kSucceed, &clock)().message());
  };
  const auto costs = [](const Call&) { return 21; };
  CHECK(refused(RateLimit({.rate = 1, .burst = 20, .name = "api"}, {.cost = costs})) ==
        "RateLimit api: the cost is negative or more than the burst");
  CHECK(refused(KeyedRateLimit({.limits = {.rate = 1, .burst = 20}}, {.cost = costs})) ==
        "KeyedRateLimit: the cost is negative or more than the burst");
}

// A hundred clients a second come to a limit of ten, which has nothing left.
template <class Policy>
void CheckQueue(const Policy& policy) {
  FakeClock clock;
  const auto call = Stack(policy).Around(kSucceed, &clock);
  Report report;
  CHECK(call.With({.report = &report}).ok());
  CHECK(policy.Info().max_wait == 0s);  // it contradicts no Timeout
  Duration longest{0};
  for (int i = 0; i < 20; ++i) {
    if (call.With({.report = &report}).ok()) longest = std::max(longest, report.waited);
  }
  CHECK(longest <= 1s);
}

TEST_CASE("no call waits for longer than a second where no max_wait is given") {
  CheckQueue(RateLimit({.rate = 10, .burst = 1}));
  CheckQueue(KeyedRateLimit({.limits = {.rate = 10, .burst = 1}}));
  CheckQueue(Pace({.rate = 10, .slack = 0}));

  const auto refused = [](const auto& policy) {
    FakeClock clock;
    const auto call = Stack(policy).Around(kSucceed, &clock);
    CHECK(call().ok());
    CHECK(clock.Now() == TimePoint{});
    CHECK(absl::IsResourceExhausted(call()));
    CHECK(clock.Now() == TimePoint{});
  };
  refused(RateLimit({.rate = 0.999, .burst = 1}));
  refused(KeyedRateLimit({.limits = {.rate = 0.999, .burst = 1}}));
  refused(Pace({.rate = 0.999, .slack = 0}));
}

}  // namespace
}  // namespace holdfast::options_left_out_test
