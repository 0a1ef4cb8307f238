// The limits that a KeyedTokenBucket has for its keys: by a function, and new ones.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

#include "holdfast/rate/keyed_token_bucket.h"
#include "test/support/catch.h"

namespace holdfast::keyed_token_bucket_limits_test {
namespace {

using namespace std::chrono_literals;
using Limits = KeyedTokenBucket::Limits;

constexpr TimePoint At(Duration d) { return TimePoint{d}; }
std::string Key(std::int64_t i) { return "key " + std::to_string(i); }

TEST_CASE("a function says what a key's limits are, once while it is remembered") {
  std::map<std::string, int, std::less<>> asked;
  KeyedTokenBucket buckets({.limits_for =
                                [&](std::string_view key) {
                                  ++asked[std::string(key)];
                                  return key == "gold" ? Limits{.rate = 10, .burst = 5}
                                                       : Limits{.rate = 1, .burst = 1};
                                },
                            .max_keys = 2});
  CHECK(buckets.AllowAt(At(0s), "gold", 5));
  CHECK_FALSE(buckets.AllowAt(At(100ms), "gold", 2));
  CHECK(buckets.AllowAt(At(100ms), "gold"));
  CHECK(buckets.AllowAt(At(100ms), "tin"));
  CHECK_FALSE(buckets.AllowAt(At(100ms), "tin"));
  CHECK(asked == std::map<std::string, int, std::less<>>{{"gold", 1}, {"tin", 1}});
  // In ten seconds both are idle; two others take their place, and they are asked for again.
  CHECK(buckets.AllowAt(At(10s), "a"));
  CHECK(buckets.AllowAt(At(10s), "b"));
  CHECK(buckets.AllowAt(At(20s), "gold", 5));
  CHECK(asked["gold"] == 2);
  CHECK(buckets.size() == 2);
}

TEST_CASE("limits of as many kinds as keys are kept as long as their keys are") {
  KeyedTokenBucket buckets({.limits_for =
                                [](std::string_view key) {
                                  return Limits{.rate = static_cast<double>(key.size()),
                                                .burst = static_cast<std::int64_t>(key.size())};
                                },
                            .max_keys = 100});
  for (std::int64_t round = 0; round < 3; ++round) {
    for (std::int64_t n = 1; n <= 300; ++n) {
      const TimePoint now = At(2s * (300 * round + n));
      const std::string key(static_cast<std::size_t>(n), 'k');
      CHECK(buckets.AllowAt(now, key, n));
      CHECK_FALSE(buckets.AllowAt(now, key));
      CHECK(buckets.AllowAt(now + 1s, key, n));
    }
  }
  CHECK(buckets.size() == 100);
}

TEST_CASE("what limits_for throws passes, and nothing has happened") {
  int left_to_throw = 1;
  KeyedTokenBucket buckets({.limits_for =
                                [&](std::string_view) {
                                  if (left_to_throw-- > 0) throw std::runtime_error("no limits");
                                  return Limits{.rate = 1, .burst = 2};
                                },
                            .max_keys = 1});
  CHECK_THROWS_WITH(buckets.AllowAt(At(0s), "a"), "no limits");
  CHECK(buckets.size() == 0);
  CHECK(buckets.AllowAt(At(0s), "a", 2));
  left_to_throw = 3;
  CHECK_THROWS_WITH(buckets.ReserveAt(At(5s), "b"), "no limits");
  CHECK_THROWS_WITH(buckets.ChargeAt(At(5s), "b", 1), "no limits");
  CHECK_THROWS_WITH(buckets.TokensAt(At(5s), "b"), "no limits");
  CHECK(buckets.size() == 1);
  CHECK(buckets.AllowAt(At(5s), "b"));  // for which there is room
}

TEST_CASE("limits that make no sense are refused, whoever gives them") {
  const Limits nonsense =
      GENERATE(Limits{std::nan(""), 1}, Limits{-1, 1}, Limits{1.1e9, 1}, Limits{-kInfiniteRate, 1},
               Limits{1, -1}, Limits{1, TokenBucket::kMaxBurst + 1});
  CHECK_THROWS_AS(KeyedTokenBucket({.limits = nonsense}), std::invalid_argument);
  KeyedTokenBucket buckets({.limits_for = [&](std::string_view) { return nonsense; }});
  CHECK_THROWS_AS(buckets.AllowAt(At(0s), "a"), std::invalid_argument);
  CHECK_THROWS_AS(buckets.SetLimitsAt(At(0s), nonsense), std::invalid_argument);
  CHECK(buckets.size() == 0);
}

TEST_CASE("limits_for may call back") {
  KeyedTokenBucket* self = nullptr;
  KeyedTokenBucket buckets({.limits_for = [&self](std::string_view key) {
    if (key == "child") {
      (void)self->AllowAt(At(0s), "parent");
      self->RefundAt(At(0s), "child", 1);
    }
    if (key == "changing") {
      self->SetLimitsAt(At(0s), Limits{.rate = 1, .burst = 7});
    }
    return Limits{.rate = 1, .burst = 2};
  }});
  self = &buckets;
  CHECK(buckets.AllowAt(At(0s), "child"));
  CHECK(buckets.TokensAt(At(0s), "parent") == 1);
  // What it returns is out of date by then.
  CHECK(buckets.AllowAt(At(0s), "changing", 7));
  CHECK(buckets.TokensAt(At(0s), "parent") == 1);
}

// New limits.

TEST_CASE("new limits apply to all keys at once") {
  KeyedTokenBucket buckets({.limits = {.rate = 10, .burst = 10}, .max_keys = 5000});
  for (std::int64_t i = 0; i < 5000; ++i) buckets.ChargeAt(At(0s), Key(i), i % 21);
  const auto [carry_over, of_four, of_twenty] =
      GENERATE(table<TokenCarryOver, double, double>({{TokenCarryOver::kAsIs, 6, -10},
                                                      {TokenCarryOver::kProportional, 12, -10},
                                                      {TokenCarryOver::kAdditive, 16, 0},
                                                      {TokenCarryOver::kReset, 20, 20}}));
  buckets.SetLimitsAt(At(0s), Limits{.rate = 100, .burst = 20}, carry_over);
  CHECK(buckets.TokensAt(At(0s), Key(4)) == of_four);
  CHECK(buckets.TokensAt(At(0s), Key(20)) == of_twenty);
  CHECK(buckets.TokensAt(At(10ms), Key(20)) == std::min(of_twenty + 1, 20.0));
  CHECK(buckets.TokensAt(At(0s), "new") == 20);
  CHECK(buckets.size() == (carry_over == TokenCarryOver::kReset ? 0 : 5000 - 5000 / 21 - 1));
  buckets.SetLimitsAt(At(0s), Limits{.rate = 1, .burst = 3});
  CHECK(buckets.TokensAt(At(0s), Key(4)) == 3);
  CHECK(buckets.AllowAt(At(0s), "newer", 3));
  CHECK_FALSE(buckets.AllowAt(At(0s), "newer", 1));
}

TEST_CASE("a new function is asked about a key when it is next used") {
  std::map<std::string, int, std::less<>> asked;
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 10}});
  buckets.ChargeAt(At(0s), "a", 10);
  buckets.ChargeAt(At(0s), "b", 10);
  Reservation waits = buckets.ReserveAt(At(0s), "b", 4);
  buckets.SetLimitsAt(At(0s), [](std::string_view) { return Limits{.rate = 7, .burst = 7}; });
  buckets.SetLimitsAt(At(1s), [&](std::string_view key) {
    ++asked[std::string(key)];
    return Limits{.rate = 10, .burst = key == "a" ? 5 : 20};
  });
  CHECK(buckets.TokensAt(At(2s), "a") == 2);
  CHECK(asked.empty());
  CHECK_FALSE(buckets.AllowAt(At(2s), "a", 3));
  CHECK_FALSE(buckets.AllowAt(At(2s), "b", 0));
  CHECK(buckets.TokensAt(At(2s), "b") == -2);
  // Not before: the keys may be in one shard, to which a later time is the time.
  CHECK(buckets.AllowAt(At(2100ms), "a", 3));
  CHECK(buckets.TokensAt(At(2300ms), "b") == 1);
  waits.CancelAt(At(2300ms));
  CHECK(buckets.TokensAt(At(2300ms), "b") == 5);
  CHECK(asked == std::map<std::string, int, std::less<>>{{"a", 1}, {"b", 1}});
}

TEST_CASE("a key that a new function has not been asked about may be forgotten") {
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 1}, .max_keys = 2});
  CHECK(buckets.AllowAt(At(0s), "a"));
  CHECK(buckets.AllowAt(At(0s), "b"));
  buckets.SetLimitsAt(At(0s), [](std::string_view) { return Limits{.rate = 1, .burst = 4}; });
  CHECK_FALSE(buckets.AllowAt(At(500ms), "c"));
  CHECK(buckets.AllowAt(At(1s), "c", 4));
  CHECK(buckets.AllowAt(At(1s), "d", 4));
  CHECK_FALSE(buckets.AllowAt(At(1s), "e"));
  CHECK(buckets.ReserveAt(At(1s), "e").too_late_at() == At(5s));
  CHECK(buckets.size() == 2);
}

TEST_CASE("a function that throws about a key in use leaves it as it was") {
  bool throws = true;
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 2}});
  CHECK(buckets.AllowAt(At(0s), "a"));
  buckets.SetLimitsAt(At(0s), [&](std::string_view) {
    if (throws) throw std::runtime_error("no limits");
    return Limits{.rate = 1, .burst = 1};
  });
  CHECK_THROWS_WITH(buckets.AllowAt(At(0s), "a"), "no limits");
  CHECK(buckets.TokensAt(At(1s), "a") == 2);
  throws = false;
  CHECK_FALSE(buckets.AllowAt(At(1s), "a", 2));
  CHECK(buckets.AllowAt(At(1s), "a"));
  CHECK_FALSE(buckets.AllowAt(At(1s), "a"));
}

TEST_CASE("from a function back to limits for all") {
  KeyedTokenBucket buckets({.limits_for = [](std::string_view key) {
    return Limits{.rate = 1, .burst = static_cast<std::int64_t>(key.size())};
  }});
  for (const char* key : {"a", "bb", "ccc"}) CHECK(buckets.AllowAt(At(0s), key));
  buckets.SetLimitsAt(At(0s), Limits{.rate = 2, .burst = 2});
  CHECK(buckets.TokensAt(At(0s), "a") == 0);
  CHECK(buckets.TokensAt(At(0s), "ccc") == 2);
  CHECK(buckets.AllowAt(At(500ms), "a"));
  buckets.SetLimitsAt(
      At(1s), [](std::string_view) { return Limits{.rate = 0, .burst = 0}; },
      TokenCarryOver::kReset);
  CHECK(buckets.size() == 0);
  CHECK_FALSE(buckets.AllowAt(At(1s), "a"));
}

}  // namespace
}  // namespace holdfast::keyed_token_bucket_limits_test
