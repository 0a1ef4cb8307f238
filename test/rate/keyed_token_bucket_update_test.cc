// New options of a KeyedTokenBucket while its keys are in use.
#include <absl/status/status.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/rate/keyed_token_bucket.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"
#include "test/support/rate_oracle.h"
#include "test/support/threads.h"

namespace holdfast::keyed_token_bucket_update_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;
using Options = KeyedTokenBucket::Options;
using Limits = KeyedTokenBucket::Limits;
using WhenFull = KeyedTokenBucket::WhenFull;

TEST_CASE("new limits hold for keys in use and for new ones") {
  FakeClock clock;
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 10}, .clock = &clock});
  CHECK(buckets.Allow("known", 4));
  Options options = buckets.options();
  options.limits = {.rate = 2, .burst = 3};
  CHECK(buckets.Update(options).ok());
  CHECK_FALSE(buckets.Allow("known", 4));
  CHECK(buckets.Tokens("known") == 3);
  CHECK_FALSE(buckets.Allow("new", 4));
  CHECK(buckets.Allow("known", 3));
  CHECK(buckets.Allow("new", 3));
  clock.Advance(1s);
  CHECK(buckets.Tokens("known") == 2);
  CHECK(buckets.options().limits == Limits{.rate = 2, .burst = 3});
}

TEST_CASE("a function takes the place of limits, and limits that of a function") {
  FakeClock clock;
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 10}, .clock = &clock});
  CHECK(buckets.Allow("known"));
  int asked = 0;
  const auto by_name = [&asked](std::string_view key) {
    ++asked;
    return Limits{.rate = 1, .burst = key == "gold" ? 5 : 2};
  };
  CHECK(buckets.Update({.limits = {.rate = 1, .burst = 10}, .limits_for = by_name}).ok());
  CHECK_FALSE(buckets.Allow("known", 3));
  CHECK(buckets.Allow("known", 2));
  CHECK_FALSE(buckets.Allow("gold", 6));
  CHECK(buckets.Allow("gold", 5));
  CHECK(asked >= 2);
  CHECK(buckets.Update({.limits = {.rate = 1, .burst = 10}}).ok());
  CHECK(buckets.options().limits_for == nullptr);
  asked = 0;
  CHECK(buckets.Allow("a third", 10));
  clock.Advance(7s);
  CHECK(buckets.Allow("gold", 7));
  CHECK(asked == 0);
}

TEST_CASE("the function of options() is the one that is there, and nobody is asked again") {
  FakeClock clock;
  std::map<std::string, int, std::less<>> asked;
  const auto alive = std::make_shared<int>(0);
  {
    KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 1},
                              .limits_for =
                                  [&asked, alive](std::string_view key) {
                                    ++asked[std::string(key)];
                                    return Limits{.rate = 1, .burst = 2};
                                  },
                              .max_keys = 1,
                              .clock = &clock});
    CHECK(buckets.Allow("a"));
    for (int i = 0; i < 10; ++i) {
      Options options = buckets.options();
      options.when_full = i % 2 == 0 ? WhenFull::kShare : WhenFull::kAdmit;
      options.limits.burst = 1 + i;
      CHECK(buckets.Update(options).ok());
      CHECK(buckets.options().limits_for("b").burst == 2);
    }
    CHECK(buckets.Allow("a"));
    CHECK_FALSE(buckets.Allow("a"));
    CHECK(asked["a"] == 1);
    CHECK(alive.use_count() == 2);  // not one in another
  }
  CHECK(alive.use_count() == 1);
}

TEST_CASE("a function that is replaced may call the object when it is destroyed") {
  FakeClock clock;
  KeyedTokenBucket* object = nullptr;
  struct Calls {
    explicit Calls(KeyedTokenBucket** o) : of(o) {}
    Calls(const Calls&) = delete;
    ~Calls() {
      if (*of != nullptr) (void)(*of)->Allow("a");
    }
    KeyedTokenBucket** of;
  };
  KeyedTokenBucket buckets(
      {.limits_for = [calls = std::make_shared<Calls>(&object)](
                         std::string_view) { return Limits{.rate = 1, .burst = 1}; },
       .clock = &clock});
  object = &buckets;
  CHECK(buckets.Update({.limits = {.rate = 1, .burst = 1}}).ok());
  CHECK_FALSE(buckets.Allow("a"));
  object = nullptr;
}

TEST_CASE("what becomes of keys without room can change") {
  FakeClock clock;
  Options options = {.limits = {.rate = 1, .burst = 2}, .max_keys = 1, .clock = &clock};
  KeyedTokenBucket buckets(options);
  CHECK(buckets.Allow("a"));
  CHECK_FALSE(buckets.Allow("b"));
  options.when_full = WhenFull::kShare;
  CHECK(buckets.Update(options).ok());
  CHECK(buckets.Allow("b"));
  CHECK(buckets.Allow("c"));
  CHECK_FALSE(buckets.Allow("d"));
  Reservation waits = buckets.Reserve("d");
  CHECK(waits.Delay() == 1s);
  options.when_full = WhenFull::kAdmit;
  CHECK(buckets.Update(options).ok());
  for (int i = 0; i < 10; ++i) CHECK(buckets.Allow("d"));
  options.when_full = WhenFull::kRefuse;
  CHECK(buckets.Update(options).ok());
  CHECK_FALSE(buckets.Allow("d"));
  options.when_full = WhenFull::kShare;
  options.limits.burst = 3;
  CHECK(buckets.Update(options).ok());
  CHECK_FALSE(buckets.Allow("d"));  // it is still in debt
  waits.Cancel();
  clock.Advance(1s);
  CHECK(buckets.Allow("a", 2));  // so that there is no room
  CHECK(buckets.Allow("d"));
  CHECK_FALSE(buckets.Allow("e"));
}

// The defect: it went by the steady clock.
TEST_CASE("a reservation from what keys share goes by the object's clock") {
  FakeClock clock(TimePoint(1000h));
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 1},
                            .max_keys = 1,
                            .when_full = WhenFull::kShare,
                            .clock = &clock});
  CHECK(buckets.Allow("a"));
  CHECK(buckets.Allow("b"));
  Reservation reservation = buckets.Reserve("b");
  CHECK(reservation.Delay() == 1s);
  clock.Advance(400ms);
  CHECK(reservation.Delay() == 600ms);
}

TEST_CASE("the same options change nothing of the buckets") {
  FakeClock clock;
  KeyedTokenBucket buckets({.limits = {.rate = 7, .burst = 3}, .name = "api", .clock = &clock});
  KeyedTokenBucket untouched({.limits = {.rate = 7, .burst = 3}, .clock = &clock});
  for (int i = 0; i < 1000; ++i) {
    CHECK(buckets.Update(buckets.options()).ok());
    CHECK(buckets.Allow("a") == untouched.Allow("a"));
    CHECK(buckets.Tokens("a") == untouched.Tokens("a"));
    clock.Advance(37'000'001ns);
  }
  CHECK(buckets.options().name == "api");
  CHECK(buckets.options().clock == &clock);
  CHECK(buckets.options().max_keys == 100'000);
}

TEST_CASE("what a keyed bucket refuses changes nothing of it") {
  FakeClock clock;
  FakeClock other;
  const Options good = {.limits = {.rate = 1, .burst = 2}, .max_keys = 10};
  KeyedTokenBucket buckets(good);
  Options named = good;
  named.name = "web";
  Options clocked = good;
  clocked.clock = &other;
  Options wrong = good;
  wrong.limits.rate = -1;
  Options larger = good;
  larger.max_keys = 11;
  larger.limits = {.rate = 5, .burst = 5};
  for (const Options& options : {named, clocked, wrong, larger}) {
    CHECK(buckets.Update(options).code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK_THAT(std::string(buckets.Update(larger).message()),
             test::ContainsSubstring("max_keys cannot change from 10 to 11"));
  CHECK(buckets.options().limits == good.limits);
  CHECK(buckets.Update(good).ok());
}

TEST_CASE("each key answers what its oracle does while the options change") {
  test::Property([] {
    FakeClock clock;
    Options options = {.limits = {.rate = 10, .burst = 5}, .clock = &clock};
    KeyedTokenBucket buckets(options);
    const std::vector<std::string> keys = {"a", "b", "c"};
    std::map<std::string, testing::RateOracle> oracles;
    for (const std::string& key : keys) oracles.emplace(key, testing::RateOracle(10, 5));
    const int steps = *rc::gen::inRange(1, 100);
    for (int step = 0; step < steps; ++step) {
      clock.Advance(Duration(*rc::gen::inRange<std::int64_t>(0, 300'000'000)));
      const std::string key = *rc::gen::elementOf(keys);
      if (*rc::gen::inRange(0, 4) == 0) {
        const auto rate = static_cast<std::int64_t>(*rc::gen::inRange(1, 50));
        const auto burst = static_cast<std::int64_t>(*rc::gen::inRange(1, 10));
        options.limits = {.rate = static_cast<double>(rate), .burst = burst};
        RC_ASSERT(buckets.Update(options).ok());
        for (auto& [name, oracle] : oracles) {
          if (buckets.Tokens(name) == static_cast<double>(burst)) {
            oracle = testing::RateOracle(rate, burst);  // unused, or as good as that
          } else {
            oracle.SetAt(clock.Now(), rate, burst);
          }
        }
      } else {
        const auto n = static_cast<std::int64_t>(*rc::gen::inRange(0, 8));
        const bool allowed = oracles.at(key).ReserveAt(clock.Now(), n, 0ns).ok;
        RC_ASSERT(buckets.Allow(key, n) == allowed);
      }
    }
  });
}

TEST_CASE("threads that use keys while the options change mint no tokens and lose none") {
  FakeClock clock;
  constexpr std::int64_t kAll = 1'000'000;
  KeyedTokenBucket buckets({.limits = {.rate = 0, .burst = kAll}, .max_keys = 4, .clock = &clock});
  std::atomic<std::int64_t> taken[2] = {0, 0};
  const std::string keys[2] = {"a", "b"};
  for (const std::string& key : keys) CHECK(buckets.Allow(key, 1000));
  std::atomic<int> wrong = 0;
  test::InThreads(4, [&](int thread) {
    const auto key = static_cast<std::size_t>(thread % 2);
    for (int i = 0; i < 3'000; ++i) {
      if (thread < 2) {
        taken[key] += buckets.Allow(keys[key], 3) ? 3 : 0;
        continue;
      }
      Options options = buckets.options();
      options.limits = {.rate = static_cast<double>((i + thread) % 5),
                        .burst = kAll + (i + thread) % 7};
      options.when_full = i % 2 == 0 ? WhenFull::kShare : WhenFull::kRefuse;
      const Limits limits = options.limits;
      if (i % 3 == 0) options.limits_for = [limits](std::string_view) { return limits; };
      if (i % 3 == 1) options.limits_for = nullptr;
      wrong += buckets.Update(options).ok() ? 0 : 1;
    }
  });
  CHECK(wrong == 0);
  for (const std::size_t key : {0u, 1u}) {
    CHECK(taken[key] == std::int64_t{3} * 3'000);
    CHECK(buckets.Tokens(keys[key]) == static_cast<double>(kAll - 1000 - taken[key]));
  }
}

}  // namespace
}  // namespace holdfast::keyed_token_bucket_update_test
