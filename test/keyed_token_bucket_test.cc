#include "holdfast/keyed_token_bucket.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "holdfast/rejection.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace holdfast {
namespace {

using namespace std::chrono_literals;
using Limits = KeyedTokenBucket::Limits;
using Options = KeyedTokenBucket::Options;
using WhenFull = KeyedTokenBucket::WhenFull;

constexpr TimePoint At(Duration d) { return TimePoint{d}; }
std::string Key(std::int64_t i) { return "key " + std::to_string(i); }

TEST_CASE("each key has a bucket of its own") {
  KeyedTokenBucket buckets({.limits = {.rate = 10, .burst = 3}});
  for (const char* key : {"a", "b"}) {
    for (int i = 0; i < 3; ++i) CHECK(buckets.AllowAt(At(1s), key));
    CHECK_FALSE(buckets.AllowAt(At(1s), key));
  }
  CHECK(buckets.AllowAt(At(1s + 100ms), "a"));
  CHECK(buckets.TokensAt(At(1s + 100ms), "a") == 0);
  CHECK(buckets.TokensAt(At(1s + 100ms), "b") == 1);
  CHECK(buckets.TokensAt(At(1s + 100ms), "c") == 3);
  CHECK(buckets.size() == 2);
  CHECK(buckets.max_keys() == 100'000);
}

TEST_CASE("a key is any text") {
  KeyedTokenBucket buckets({.limits = {.rate = 0, .burst = 1}});
  std::string long_key;
  long_key.resize(10'000'000, 'x');
  const std::string almost = long_key.substr(1) + "y";
  const std::string zero("\0", 1);
  std::vector<std::string> keys = {"", zero, zero + zero, long_key, almost};
  for (std::size_t length = 1; length < 40; ++length) keys.push_back(long_key.substr(0, length));
  for (const std::string& key : keys) CHECK(buckets.AllowAt(At(0s), key));
  for (const std::string& key : keys) CHECK_FALSE(buckets.AllowAt(At(0s), key));
  CHECK(buckets.size() == static_cast<std::int64_t>(keys.size()));
}

TEST_CASE("many keys are told apart, whatever they look like") {
  KeyedTokenBucket buckets({.limits = {.rate = 0, .burst = 1}, .max_keys = 300'000});
  int granted = 0;
  for (int i = 0; i < 100'000; ++i) {
    std::string low(8, '\0');
    std::string high(24, '\0');
    low[static_cast<std::size_t>(i) % 8] = static_cast<char>(i >> 8 | 1);
    for (std::size_t at = 0; at < 4; ++at) high[20 + at] = static_cast<char>(i >> (8 * at));
    granted += buckets.AllowAt(At(0s), high) ? 1 : 0;
    granted += buckets.AllowAt(At(0s), Key(i)) ? 1 : 0;
  }
  CHECK(granted == 200'000);
  CHECK(buckets.size() == 200'000);
}

// Limits by key.

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

TEST_CASE("options that make no sense are refused, with the text of Validate") {
  CHECK(Validate(Options{}).ok());
  CHECK_FALSE(Validate(Options{.max_keys = 0}).ok());
  CHECK_FALSE(Validate(Options{.max_keys = (std::int64_t{1} << 30) + 1}).ok());
  CHECK_THROWS_WITH(KeyedTokenBucket({.max_keys = -1, .name = "api"}),
                    "KeyedTokenBucket api: max_keys must be in [1, 2^30], not -1");
  KeyedTokenBucket buckets({});
  CHECK_THROWS_AS(buckets.SetLimitsAt(At(0s), KeyedTokenBucket::LimitsFor()),
                  std::invalid_argument);
}

TEST_CASE("limits_for may call back") {
  KeyedTokenBucket* self = nullptr;
  KeyedTokenBucket buckets({.limits_for = [&self](std::string_view key) {
    if (key == "child") {
      self->AllowAt(At(0s), "parent");
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

TEST_CASE("rates and bursts of zero and infinity are as a bucket's") {
  KeyedTokenBucket buckets({.limits_for = [](std::string_view key) {
    if (key == "once") return Limits{.rate = 0, .burst = 2};
    if (key == "none") return Limits{.rate = 10, .burst = 0};
    return Limits{.rate = kInfiniteRate, .burst = 0};
  }});
  CHECK(buckets.AllowAt(At(0s), "once", 2));
  CHECK_FALSE(buckets.AllowAt(At(24h), "once"));
  CHECK_FALSE(buckets.ReserveAt(At(24h), "once").ok());
  CHECK_FALSE(buckets.AllowAt(At(0s), "none"));
  CHECK(buckets.AllowAt(At(0s), "none", 0));
  CHECK(buckets.AllowAt(At(0s), "all", 1'000'000'000));
  CHECK(buckets.ReserveAt(At(0s), "all", 50).ready_at() == At(0s));
  CHECK_FALSE(buckets.AllowAt(At(0s), "all", -1));
  buckets.ChargeAt(At(0s), "all", 50);
  buckets.RefundAt(At(0s), "all", 50);
  CHECK(buckets.AllowAt(At(0s), "all"));
}

// Room.

TEST_CASE("a key that takes no tokens needs no room") {
  const double rate = GENERATE(10.0, kInfiniteRate);
  KeyedTokenBucket buckets({.limits = {.rate = rate, .burst = 2}, .max_keys = 1});
  CHECK(buckets.AllowAt(At(0s), "a", 0));
  CHECK(buckets.ReserveAt(At(0s), "b", 0).ok());
  CHECK_FALSE(buckets.AllowAt(At(0s), "c", -1));
  CHECK(buckets.AllowAt(At(0s), "d", 3) == (rate == kInfiniteRate));
  CHECK(buckets.ReserveAt(At(0s), "e", 3).ok() == (rate == kInfiniteRate));
  CHECK(buckets.ReserveAt(At(0s), "e", 3).too_late_at() ==
        (rate == kInfiniteRate ? At(0s) : TimePoint::max()));
  buckets.ChargeAt(At(0s), "f", 0);
  buckets.RefundAt(At(0s), "g", 5);
  CHECK(buckets.size() == 0);
}

TEST_CASE("a key that nothing limits is remembered as long as nobody needs the room") {
  int asked = 0;
  KeyedTokenBucket buckets({.limits_for =
                                [&](std::string_view key) {
                                  ++asked;
                                  return Limits{.rate = key == "free" ? kInfiniteRate : 1,
                                                .burst = 1};
                                },
                            .max_keys = 1});
  CHECK(buckets.AllowAt(At(1s), "free"));
  CHECK(buckets.AllowAt(At(1s), "free", 100));
  CHECK(asked == 1);
  CHECK(buckets.AllowAt(At(2s), "b"));
  CHECK(buckets.AllowAt(At(2s), "free", 100));
  CHECK(buckets.AllowAt(At(2s), "free", 100));
  CHECK(asked == 4);
  CHECK_FALSE(buckets.AllowAt(At(2s), "b"));
  CHECK(buckets.size() == 1);
}

TEST_CASE("by default a key is refused until there is room for it") {
  KeyedTokenBucket buckets({.limits = {.rate = 10, .burst = 2}, .max_keys = 2, .name = "api"});
  CHECK(buckets.AllowAt(At(0s), "a", 2));
  CHECK(buckets.AllowAt(At(50ms), "b"));
  CHECK_FALSE(buckets.AllowAt(At(50ms), "c"));
  // That of b: by 150 ms it has got back what it took.
  const Reservation refused = buckets.ReserveAt(At(50ms), "c");
  CHECK_FALSE(refused.ok());
  CHECK(refused.too_late_at() == At(150ms));
  CHECK(buckets.AllowAt(At(60ms), "b", 0));
  CHECK_FALSE(buckets.AllowAt(At(150ms - 1ns), "c"));
  CHECK(buckets.AllowAt(At(150ms), "c"));
  CHECK_FALSE(buckets.AllowAt(At(150ms), "b"));
  CHECK(buckets.ReserveAt(At(150ms), "b").too_late_at() == At(200ms));
  CHECK(buckets.size() == 2);
}

TEST_CASE("a refusal for want of room says so") {
  testing::FakeClock clock;
  KeyedTokenBucket buckets(
      {.limits = {.rate = 10, .burst = 1}, .max_keys = 1, .name = "api", .clock = &clock});
  CHECK(buckets.Wait("a").ok());
  const absl::Status refused = buckets.Wait("b", 1, {.deadline = At(1h)});
  CHECK(refused.code() == absl::StatusCode::kResourceExhausted);
  CHECK(refused.message() == "KeyedRateLimit api: no room for another key");
  CHECK(RejectionOf(refused)->kind == RejectionKind::kRateLimited);
  CHECK(RejectionOf(refused)->name == "api");
  CHECK(clock.Now() == At(0s));
}

TEST_CASE("where keys never get idle there is never room") {
  KeyedTokenBucket buckets({.limits = {.rate = 0, .burst = 2}, .max_keys = 1});
  CHECK(buckets.AllowAt(At(-1h), "a"));
  CHECK(buckets.ReserveAt(At(-1h), "b").too_late_at() == TimePoint::max());
  CHECK_FALSE(buckets.AllowAt(TimePoint::max(), "b"));
  buckets.RefundAt(TimePoint::max(), "a", 1);
  CHECK(buckets.AllowAt(TimePoint::max(), "b"));
}

TEST_CASE("keys without room share a bucket, if that is wanted") {
  KeyedTokenBucket buckets(
      {.limits = {.rate = 10, .burst = 3}, .max_keys = 2, .when_full = WhenFull::kShare});
  CHECK(buckets.AllowAt(At(0s), "a", 3));
  CHECK(buckets.AllowAt(At(0s), "b", 3));
  int granted = 0;
  for (int i = 0; i < 20; ++i) granted += buckets.AllowAt(At(0s), Key(i)) ? 1 : 0;
  CHECK(granted == 3);
  Reservation reservation = buckets.ReserveAt(At(0s), "c", 2);
  CHECK(reservation.ready_at() == At(200ms));
  CHECK(buckets.ReserveAt(At(0s), "d", 1, 250ms).too_late_at() == At(300ms));
  CHECK_FALSE(buckets.ReserveAt(At(0s), "d", 4).ok());
  reservation.CancelAt(At(0s));
  buckets.ChargeAt(At(0s), "e", 1);
  CHECK(buckets.ReserveAt(At(0s), "d", 1).ready_at() == At(200ms));
  CHECK(buckets.size() == 2);
  CHECK(buckets.AllowAt(At(300ms), "c", 3));  // in the place of a
}

TEST_CASE("keys without room are not limited, if that is wanted") {
  KeyedTokenBucket buckets(
      {.limits = {.rate = 10, .burst = 3}, .max_keys = 2, .when_full = WhenFull::kAdmit});
  CHECK(buckets.AllowAt(At(0s), "a"));
  CHECK(buckets.AllowAt(At(0s), "b", 3));
  for (int i = 0; i < 20; ++i) CHECK(buckets.AllowAt(At(0s), "c", 3));
  CHECK(buckets.ReserveAt(At(0s), "d", 3, 0s).ready_at() == At(0s));
  CHECK_FALSE(buckets.AllowAt(At(0s), "d", 4));
  CHECK_FALSE(buckets.AllowAt(At(0s), "d", -1));
  buckets.ChargeAt(At(0s), "d", 100);
  CHECK_FALSE(buckets.AllowAt(At(0s), "a", 3));
  CHECK(buckets.AllowAt(At(100ms), "d", 3));
  CHECK_FALSE(buckets.AllowAt(At(100ms), "d"));  // in the place of a
}

TEST_CASE("as long as any key is idle there is room, in whichever shard it is") {
  constexpr std::int64_t kKeys = 5000;  // of four shards
  KeyedTokenBucket buckets({.limits_for =
                                [](std::string_view key) {
                                  const bool soon = key.starts_with("soon");
                                  return Limits{.rate = soon ? 1000.0 : 0.001, .burst = 1};
                                },
                            .max_keys = kKeys});
  for (std::int64_t i = 0; i < kKeys - 3; ++i) CHECK(buckets.AllowAt(At(0s), Key(i)));
  for (std::int64_t round = 0; round < 200; ++round) {
    const TimePoint now = At(1ms * round);  // just when the last three are idle
    std::int64_t granted = 0;
    for (int i = 0; i < 6; ++i) {
      granted += buckets.AllowAt(now, "soon " + std::to_string(7 * round + i)) ? 1 : 0;
    }
    CHECK(granted == 3);
    CHECK(buckets.ReserveAt(now, "other").too_late_at() == now + 1ms);
  }
  CHECK(buckets.size() == kKeys);
}

TEST_CASE("what is given back makes room at once") {
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 4}, .max_keys = 1});
  CHECK(buckets.AllowAt(At(0s), "a", 4));
  CHECK_FALSE(buckets.AllowAt(At(0s), "b"));
  buckets.RefundAt(At(0s), "a", 3);
  CHECK_FALSE(buckets.AllowAt(At(0s), "b"));
  CHECK(buckets.ReserveAt(At(0s), "b").too_late_at() == At(1s));
  buckets.RefundAt(At(0s), "a", 1);
  Reservation reservation = buckets.ReserveAt(At(0s), "b");
  CHECK(reservation.ok());
  CHECK_FALSE(buckets.AllowAt(At(0s), "a"));
  reservation.CancelAt(At(0s));
  CHECK(buckets.AllowAt(At(0s), "a"));
}

TEST_CASE("a key for which somebody waits is not forgotten") {
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 2}, .max_keys = 1});
  CHECK(buckets.AllowAt(At(0s), "a", 2));
  Reservation first = buckets.ReserveAt(At(0s), "a", 2);
  Reservation second = buckets.ReserveAt(At(0s), "a", 2);
  CHECK(second.ready_at() == At(4s));
  CHECK_FALSE(buckets.AllowAt(At(3s), "b"));
  first.CancelAt(At(1s));
  CHECK_FALSE(buckets.AllowAt(At(4s), "b"));
  CHECK_FALSE(buckets.AllowAt(At(6s - 1ns), "b"));
  CHECK(buckets.AllowAt(At(6s), "b"));
  second.CancelAt(At(3s));
  CHECK(buckets.TokensAt(At(6s), "b") == 1);
}

TEST_CASE("nor is it where its bucket can hold nothing") {
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 2}, .max_keys = 1});
  CHECK(buckets.AllowAt(At(0s), "a", 2));
  Reservation first = buckets.ReserveAt(At(0s), "a", 2);
  const Reservation second = buckets.ReserveAt(At(0s), "a", 2);
  first.CancelAt(At(0s));
  buckets.SetLimitsAt(At(0s), Limits{.rate = 1, .burst = 0});
  buckets.ChargeAt(At(3s), "b", 1);  // for which there is no room
  CHECK(buckets.TokensAt(At(3s), "b") == 0);
  buckets.ChargeAt(second.ready_at(), "b", 1);
  CHECK(buckets.TokensAt(second.ready_at(), "b") == -1);
}

// An attacker with ten times as many keys as there is room for.
TEST_CASE("who cycles through keys gains nothing") {
  constexpr std::int64_t kMaxKeys = 1000;
  constexpr std::int64_t kKeys = 10 * kMaxKeys;
  constexpr std::int64_t kBurst = 3;
  const WhenFull when_full = GENERATE(WhenFull::kRefuse, WhenFull::kShare);
  KeyedTokenBucket buckets(
      {.limits = {.rate = 2, .burst = kBurst}, .max_keys = kMaxKeys, .when_full = when_full});
  std::vector<std::int64_t> granted(kKeys, 0);
  TimePoint now = At(1h);
  std::int64_t total = 0;
  std::int64_t most = 0;
  for (int round = 0; round < 30; ++round) {
    for (std::int64_t i = 0; i < kKeys; ++i) {
      while (buckets.AllowAt(now, Key(i))) ++granted[static_cast<std::size_t>(i)];
      now += 20us;
    }
    most = std::max(most, buckets.size());
  }
  for (const std::int64_t of_key : granted) total += of_key;
  CHECK(most == kMaxKeys);
  // Six seconds: two tokens in each of them, for each, and what it began with.
  const std::int64_t shared = when_full == WhenFull::kShare ? kBurst + 12 : 0;
  for (const std::int64_t of_key : granted) CHECK(of_key <= kBurst + 12 + shared);
  // Of all keys together no more than of those that fit: each is in use for a second and a half.
  CHECK(total <= kMaxKeys * (kBurst + 12) + shared);
  CHECK(total >= kMaxKeys * 12);
}

TEST_CASE("a key in use is never forgotten, whatever the others do") {
  const auto [rate, burst] = GENERATE(table<double, std::int64_t>({{10, 5}, {1000, 1}, {0.3, 2}}));
  KeyedTokenBucket buckets(
      {.limits = {.rate = rate, .burst = burst}, .max_keys = 100, .when_full = WhenFull::kAdmit});
  TokenBucket alone({.rate = rate, .burst = burst});
  TimePoint now = At(1h);
  int agreed = 0;
  for (int i = 0; i < 20'000; ++i) {
    agreed += buckets.AllowAt(now, "victim") == alone.AllowAt(now) ? 1 : 0;
    buckets.AllowAt(now, Key(i % 1000));
    now += 777us;
  }
  CHECK(agreed == 20'000);
}

TEST_CASE("an older now mints nothing, not even for a key that was forgotten") {
  KeyedTokenBucket buckets({.limits = {.rate = 10, .burst = 2}, .max_keys = 1});
  int granted = 0;
  for (int i = 0; i < 1000; ++i) {
    granted += buckets.AllowAt(At(i % 2 == 0 ? 200ms : 0ms), "a") ? 1 : 0;
  }
  CHECK(granted == 2);
  // By 400 ms it is idle. Coming back with a time before that, it has not filled twice.
  CHECK(buckets.AllowAt(At(400ms), "b"));
  CHECK_FALSE(buckets.AllowAt(At(200ms), "a"));
  CHECK(buckets.AllowAt(At(500ms), "a", 2));
  CHECK_FALSE(buckets.AllowAt(At(100ms), "a"));
  CHECK_FALSE(buckets.AllowAt(At(599ms), "a"));
  CHECK(buckets.AllowAt(At(600ms), "a"));
}

TEST_CASE("a key that comes back with an older now begins full as of the latest") {
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 2}, .max_keys = 2});
  CHECK(buckets.AllowAt(At(10s), "a", 2));
  CHECK(buckets.AllowAt(At(12s), "b", 2));
  CHECK(buckets.AllowAt(At(12s), "c", 2));  // in the place of a
  buckets.RefundAt(At(12s), "c", 2);
  CHECK(buckets.AllowAt(At(2s), "a", 2));  // in the place of c
  CHECK_FALSE(buckets.AllowAt(At(4s), "a"));
  CHECK_FALSE(buckets.AllowAt(At(12s), "a"));
  CHECK(buckets.AllowAt(At(13s), "a"));
}

TEST_CASE("any time will do") {
  KeyedTokenBucket buckets({.limits = {.rate = 10, .burst = 2}, .max_keys = 2});
  CHECK(buckets.AllowAt(TimePoint::min(), "a", 2));
  CHECK_FALSE(buckets.AllowAt(TimePoint::min(), "a"));
  CHECK(buckets.ReserveAt(TimePoint::min(), "a").ok());
  CHECK(buckets.AllowAt(At(0s), "a", 2));
  CHECK(buckets.AllowAt(TimePoint::max(), "a", 2));
  CHECK_FALSE(buckets.ReserveAt(TimePoint::max(), "a").ok());
  CHECK(buckets.AllowAt(TimePoint::max(), "b"));
  CHECK_FALSE(buckets.AllowAt(At(0s), "c"));
  CHECK_FALSE(buckets.ReserveAt(TimePoint::max(), "c").ok());
  CHECK(buckets.TokensAt(TimePoint::max(), "b") == 1);
}

// What a key took from its bucket is counted on an axis that ends after a while: sooner for a fast
// rate that divides nothing.
TEST_CASE("keys go on where their axis ends") {
  const double rate = GENERATE(999'999'937.0, 12'345.0, 1.0, 1.0 / 3);
  KeyedTokenBucket buckets({.limits = {.rate = rate, .burst = 100}, .max_keys = 4});
  const Duration step = GENERATE(Duration(1s), 24h, 24h * 365, 24h * 365 * 25);
  TimePoint now = At(-24h * 365 * 100);
  for (int i = 0; i < 8; ++i) {
    CHECK(buckets.AllowAt(now, "a", 100));
    CHECK(buckets.AllowAt(now, "b", 100));
    CHECK_FALSE(buckets.AllowAt(now, "b"));
    Reservation reservation = buckets.ReserveAt(now, "a", 100);
    CHECK(static_cast<double>(reservation.DelayFrom(now).count()) ==
          test::Approx(100e9 / rate).epsilon(1e-8).margin(1));
    if (i % 2 == 0) reservation.CancelAt(now);
    now += std::max(step, Duration(601s));
    CHECK(buckets.TokensAt(now, "a") == 100);
  }
}

TEST_CASE("a bucket that takes longer than its axis lasts to be used again loses nothing") {
  KeyedTokenBucket buckets({.limits = {.rate = 999'999'937, .burst = 280'000'000}});
  TokenBucket alone({.rate = 999'999'937, .burst = 280'000'000});
  TimePoint now = At(0s);
  for (int i = 0; i < 100; ++i) {
    const auto tokens = static_cast<std::int64_t>(alone.TokensAt(now));
    CHECK(buckets.AllowAt(now, "a", tokens));
    CHECK(alone.AllowAt(now, tokens));
    CHECK(buckets.TokensAt(now, "a") == alone.TokensAt(now));
    now += 250ms;
  }
}

// Waiting.

TEST_CASE("Wait sleeps until its key's turn, and not when it would be too late") {
  testing::FakeClock clock;
  KeyedTokenBucket buckets({.limits = {.rate = 10, .burst = 1}, .clock = &clock});
  CHECK(buckets.Wait("a").ok());
  CHECK(buckets.Wait("b").ok());
  CHECK(clock.Now() == At(0s));
  CHECK(buckets.Wait("a").ok());
  CHECK(clock.Now() == At(100ms));
  CHECK(buckets.Allow("b"));
  CHECK(buckets.Wait("a", 1, {.deadline = At(199ms)}).code() ==
        absl::StatusCode::kDeadlineExceeded);
  CHECK(clock.Now() == At(100ms));
  CHECK(buckets.Tokens("a") == 0);
  CHECK(buckets.Wait("a", 2).code() == absl::StatusCode::kInvalidArgument);
  CHECK(buckets.Wait("new", 2).code() == absl::StatusCode::kInvalidArgument);
  CHECK(buckets.Wait("a", -1).code() == absl::StatusCode::kInvalidArgument);
  CHECK(buckets.Wait("a", 1, {.deadline = At(0s)}).code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(buckets.Wait("new", 1, {.deadline = At(0s)}).code() == absl::StatusCode::kDeadlineExceeded);
  buckets.SetLimits(Limits{.rate = 0, .burst = 1});
  CHECK(buckets.Wait("a").code() == absl::StatusCode::kResourceExhausted);
}

TEST_CASE("a stop request wakes Wait and gives its key's tokens back") {
  testing::FakeClock clock;
  clock.set_auto_advance(false);
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 1}, .clock = &clock});
  CHECK(buckets.Allow("a"));
  std::stop_source stop;
  absl::Status status;
  std::jthread waiter([&] { status = buckets.Wait("a", 1, {.stop = stop.get_token()}); });
  clock.AwaitWaiters(1);
  CHECK(buckets.Tokens("a") == -1);
  stop.request_stop();
  waiter.join();
  CHECK(status.code() == absl::StatusCode::kCancelled);
  CHECK(buckets.Tokens("a") == 0);
  CHECK(buckets.Wait("a", 1, {.stop = stop.get_token()}).code() == absl::StatusCode::kCancelled);
}

TEST_CASE("a cancellation counts once for all copies, and not after its time") {
  KeyedTokenBucket buckets({.limits = {.rate = 10, .burst = 4}});
  CHECK(buckets.AllowAt(At(0s), "a", 4));
  Reservation reservation = buckets.ReserveAt(At(0s), "a", 2);
  Reservation copy = reservation;
  reservation.CancelAt(At(0s));
  copy.CancelAt(At(0s));
  CHECK(buckets.TokensAt(At(0s), "a") == 0);
  Reservation on_time = buckets.ReserveAt(At(0s), "a");
  on_time.CancelAt(At(100ms));
  CHECK(buckets.TokensAt(At(100ms), "a") == 1);
  Reservation late = buckets.ReserveAt(At(100ms), "a", 2);
  late.CancelAt(At(200ms + 1ns));
  CHECK(buckets.TokensAt(At(200ms), "a") == 0);
}

TEST_CASE("a cancellation counts once even if its key was forgotten in between") {
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 2}, .max_keys = 1});
  Reservation reservation = buckets.ReserveAt(At(0s), "a");
  Reservation copy = reservation;
  buckets.RefundAt(At(0s), "a", 1);
  CHECK(buckets.AllowAt(At(0s), "b"));
  reservation.CancelAt(At(0s));
  buckets.RefundAt(At(0s), "b", 1);
  CHECK(buckets.AllowAt(At(0s), "a", 2));
  copy.CancelAt(At(0s));
  CHECK_FALSE(buckets.AllowAt(At(0s), "a"));
}

TEST_CASE("a cancellation gives nothing to who comes after a reset") {
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 5}});
  CHECK(buckets.AllowAt(At(0s), "a", 5));
  Reservation waits = buckets.ReserveAt(At(0s), "a", 5);
  Reservation at_once = buckets.ReserveAt(At(0s), "b", 5);
  const bool reset = GENERATE(true, false);
  if (reset) {
    buckets.SetLimitsAt(At(0s), Limits{.rate = 1, .burst = 5}, Inheritance::kReset);
  } else {
    buckets.SetLimitsAt(At(0s), Limits{.rate = kInfiniteRate, .burst = 5});
    buckets.SetLimitsAt(At(1ns), Limits{.rate = 1, .burst = 5});
  }
  const TimePoint now = At(reset ? 0ns : 1ns);
  CHECK(buckets.AllowAt(now, "a", 5));
  CHECK(buckets.AllowAt(now, "b", 5));
  waits.CancelAt(now);
  at_once.CancelAt(At(0s));
  CHECK(buckets.TokensAt(now, "a") == 0);
  CHECK(buckets.TokensAt(now, "b") == 0);
}

TEST_CASE("costs that are known afterwards are charged and refunded") {
  KeyedTokenBucket buckets({.limits = {.rate = 10, .burst = 5}, .max_keys = 2});
  buckets.ChargeAt(At(0s), "a", 12);
  CHECK(buckets.TokensAt(At(0s), "a") == -7);
  CHECK_FALSE(buckets.AllowAt(At(0s), "a", 0));
  buckets.RefundAt(At(0s), "a", 8);
  CHECK(buckets.TokensAt(At(0s), "a") == 1);
  buckets.RefundAt(At(0s), "a", 100);
  CHECK(buckets.TokensAt(At(0s), "a") == 5);
  buckets.RefundAt(At(0s), "b", 100);
  CHECK(buckets.TokensAt(At(0s), "b") == 5);
  buckets.ChargeAt(At(0s), "a", std::numeric_limits<std::int64_t>::max());
  CHECK(buckets.TokensAt(At(0s), "a") < -1e8);
  buckets.ChargeAt(At(0s), "a", 1'000);
  CHECK_FALSE(buckets.ReserveAt(At(0s), "a").ok());
  CHECK_THROWS_AS(buckets.ChargeAt(At(0s), "a", -1), std::invalid_argument);
  CHECK_THROWS_AS(buckets.RefundAt(At(0s), "a", -1), std::invalid_argument);
}

// New limits.

TEST_CASE("new limits apply to all keys at once") {
  KeyedTokenBucket buckets({.limits = {.rate = 10, .burst = 10}, .max_keys = 5000});
  for (std::int64_t i = 0; i < 5000; ++i) buckets.ChargeAt(At(0s), Key(i), i % 21);
  const auto [inheritance, of_four, of_twenty] =
      GENERATE(table<Inheritance, double, double>({{Inheritance::kAsIs, 6, -10},
                                                   {Inheritance::kProportional, 12, -10},
                                                   {Inheritance::kAdditive, 16, 0},
                                                   {Inheritance::kReset, 20, 20}}));
  buckets.SetLimitsAt(At(0s), Limits{.rate = 100, .burst = 20}, inheritance);
  CHECK(buckets.TokensAt(At(0s), Key(4)) == of_four);
  CHECK(buckets.TokensAt(At(0s), Key(20)) == of_twenty);
  CHECK(buckets.TokensAt(At(10ms), Key(20)) == std::min(of_twenty + 1, 20.0));
  CHECK(buckets.TokensAt(At(0s), "new") == 20);
  CHECK(buckets.size() == (inheritance == Inheritance::kReset ? 0 : 5000 - 5000 / 21 - 1));
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
  buckets.SetLimitsAt(At(1s), [](std::string_view) { return Limits{}; }, Inheritance::kReset);
  CHECK(buckets.size() == 0);
  CHECK_FALSE(buckets.AllowAt(At(1s), "a"));
}

#ifdef __GLIBC__
// What the allocator has given out; nothing where a sanitizer has taken its place.
std::size_t Allocated() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST_CASE("a key takes no more memory than is said") {
  const std::int64_t max_keys = GENERATE(1, 1000, 20'000, 300'000);
  const std::size_t before = Allocated();
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 1}, .max_keys = max_keys});
  std::size_t in_excess = 0;
  TimePoint now = At(0s);
  for (std::int64_t i = 0; i < 3 * max_keys; ++i) {
    buckets.AllowAt(now, Key(i));
    if (i % max_keys == 0) now += 1s;
    if (i % 97 != 0) continue;
    const std::size_t most =
        static_cast<std::size_t>(buckets.size()) * KeyedTokenBucket::kBytesPerKey +
        KeyedTokenBucket::kFewBytes;
    in_excess = std::max(in_excess, std::max(Allocated(), before + most) - before - most);
  }
  CHECK(in_excess == 0);
  CHECK(buckets.size() == max_keys);
}

TEST_CASE("what waited doesn't stay") {
  constexpr std::int64_t kKeys = 20'000;
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 1}, .max_keys = kKeys});
  for (std::int64_t i = 0; i < kKeys; ++i) buckets.AllowAt(At(0s), Key(i));
  const std::size_t before = Allocated();
  std::size_t most = 0;
  for (std::int64_t i = 0; i < kKeys; ++i) {
    const TimePoint now = At(i * 1ms);
    buckets.AllowAt(now, Key(i));
    CHECK(buckets.ReserveAt(now, Key(i)).ok());  // for a second; then nobody looks at it again
    most = std::max(most, Allocated() - before);
  }
  CHECK(most <= 3000 * KeyedTokenBucket::kBytesPerPromise);
}

TEST_CASE("limits that no key has any more take no memory") {
  constexpr std::int64_t kMaxKeys = 100;
  double rate = 1;
  KeyedTokenBucket buckets(
      {.limits_for = [&](std::string_view) { return Limits{.rate = rate += 1, .burst = 1}; },
       .max_keys = kMaxKeys});
  std::size_t most = 0;
  const std::size_t before = Allocated();
  for (std::int64_t i = 0; i < 20'000; ++i) {
    CHECK(buckets.AllowAt(At(i * 1s), Key(i)));
    if (i % 1000 == 0)
      buckets.SetLimitsAt(At(i * 1s),
                          [&](std::string_view) { return Limits{.rate = rate += 1, .burst = 1}; });
    most = std::max(most, Allocated() - before);
  }
  CHECK(most <=
        kMaxKeys * (KeyedTokenBucket::kBytesPerKey + KeyedTokenBucket::kBytesPerLimits) + 10'000);
}
#endif

// Threads. They count, and the main thread compares.

template <class F>
void InThreads(int threads, F f) {
  std::vector<std::jthread> running;
  for (int thread = 0; thread < threads; ++thread)
    running.emplace_back([&f, thread] { f(thread); });
}

TEST_CASE("threads get exactly what the keys' bursts are, while time stands still") {
  constexpr int kKeys = 5;
  constexpr int kBurst = 2000;
  KeyedTokenBucket buckets({.limits = {.rate = 1000, .burst = kBurst}});
  std::array<std::atomic<int>, kKeys> granted{};
  InThreads(4, [&](int thread) {
    for (int i = 0; i < 4000 * kKeys; ++i) {
      const int key = (i + thread) % kKeys;
      if (buckets.AllowAt(At(1s), Key(key))) granted[static_cast<std::size_t>(key)] += 1;
    }
  });
  for (const auto& of_key : granted) CHECK(of_key == kBurst);
}

TEST_CASE("threads find room for exactly as many keys as there is, while time stands still") {
  constexpr std::int64_t kMaxKeys = 3000;  // of two shards
  const WhenFull when_full = GENERATE(WhenFull::kRefuse, WhenFull::kShare);
  KeyedTokenBucket buckets(
      {.limits = {.rate = 1, .burst = 2}, .max_keys = kMaxKeys, .when_full = when_full});
  std::atomic<std::int64_t> granted = 0;
  InThreads(4, [&](int thread) {
    for (std::int64_t i = 0; i < 4 * kMaxKeys; ++i) {
      const std::int64_t key = (i * 7 + std::int64_t{thread} * 1000) % (2 * kMaxKeys);
      if (buckets.AllowAt(At(1s), Key(key))) ++granted;
    }
  });
  CHECK(granted == 2 * kMaxKeys + (when_full == WhenFull::kShare ? 2 : 0));
  CHECK(buckets.size() == kMaxKeys);
}

// Where there is room in other shards only, several may look for it on behalf of the same key.
TEST_CASE("threads that find room for the same key at once lose none of it") {
  constexpr std::int64_t kMaxKeys = 1 << 16;  // of 64 shards
  KeyedTokenBucket buckets({.limits_for =
                                [](std::string_view key) {
                                  return Limits{.rate = key.front() == 's' ? 1000.0 : 1,
                                                .burst = 1};
                                },
                            .max_keys = kMaxKeys});
  for (std::int64_t i = 0; i < kMaxKeys - 3; ++i) buckets.AllowAt(At(0s), Key(i));
  std::atomic<std::int64_t> arrived = 0;
  InThreads(2, [&](int) {
    for (std::int64_t i = 0; i < 1000; ++i) {
      const std::string key = "soon " + std::to_string(i);
      ++arrived;
      while (arrived < 2 * (i + 1)) std::this_thread::yield();
      buckets.AllowAt(At(i / 3 * 1ms), key);
    }
  });
  std::int64_t granted = 0;
  for (std::int64_t i = 0; i < kMaxKeys + 100; ++i) {
    granted += buckets.AllowAt(At(1h), "last " + Key(i)) ? 1 : 0;
  }
  CHECK(granted == kMaxKeys);
}

TEST_CASE("keys come, are used up, are forgotten and given new limits, all at once") {
  constexpr int kKeys = 400;
  constexpr int kMaxKeys = 100;
  static constexpr std::int64_t kBurst = 4;
  KeyedTokenBucket buckets({.limits = {.rate = 1000, .burst = kBurst}, .max_keys = kMaxKeys});
  std::vector<std::atomic<std::int64_t>> granted(kKeys);
  std::atomic<std::int64_t> nanos = 0;
  std::atomic<std::int64_t> most_keys = 0;
  std::atomic<bool> done = false;
  const auto now = [&] { return At(Duration(nanos.fetch_add(1000))); };
  std::jthread setter([&] {
    while (!done) {
      buckets.SetLimitsAt(now(), Limits{.rate = 1000, .burst = kBurst});
      buckets.SetLimitsAt(now(), [](std::string_view key) {
        return Limits{.rate = key.back() % 2 == 0 ? 1000.0 : 500.0, .burst = kBurst};
      });
      most_keys = std::max(most_keys.load(), buckets.size());
    }
  });
  InThreads(4, [&](int thread) {
    for (int i = 0; i < 20'000; ++i) {
      const int key = (i * 13 + thread * 101) % kKeys;
      if (buckets.AllowAt(now(), Key(key))) granted[static_cast<std::size_t>(key)] += 1;
    }
  });
  done = true;
  setter.join();
  const std::int64_t bound = kBurst + nanos / 1'000'000 + 1;
  std::int64_t in_excess = 0;
  for (const auto& of_key : granted) in_excess += of_key > bound ? 1 : 0;
  CHECK(in_excess == 0);
  CHECK(most_keys <= kMaxKeys);
}

TEST_CASE("what threads reserve and cancel is all there again") {
  constexpr int kKeys = 7;
  constexpr std::int64_t kBurst = 5;
  KeyedTokenBucket buckets({.limits = {.rate = 10, .burst = kBurst}, .max_keys = kKeys});
  std::atomic<int> refused = 0;
  InThreads(4, [&](int thread) {
    std::vector<Reservation> reservations;
    for (int i = 0; i < 3000; ++i) {
      reservations.push_back(buckets.ReserveAt(At(1s), Key((i + thread) % kKeys), 1 + i % kBurst));
      if (!reservations.back().ok()) ++refused;
      if (reservations.size() < 20) continue;
      for (std::size_t at = 0; at < 20; ++at) reservations[(at * 7) % 20].CancelAt(At(1s));
      reservations.clear();
    }
  });
  CHECK(refused == 0);
  for (int key = 0; key < kKeys; ++key) CHECK(buckets.TokensAt(At(1s), Key(key)) == kBurst);
  // All are idle, so that as many others have room.
  for (int key = 0; key < kKeys; ++key) CHECK(buckets.AllowAt(At(1s), Key(100 + key)));
}

TEST_CASE("threads that wait get their tokens in their turn") {
  testing::FakeClock clock;
  KeyedTokenBucket buckets({.limits = {.rate = 1000, .burst = 1}, .max_keys = 2, .clock = &clock});
  std::atomic<int> waited = 0;
  InThreads(4, [&](int thread) {
    for (int i = 0; i < 200; ++i) waited += buckets.Wait(Key(thread % 2)).ok() ? 1 : 0;
  });
  CHECK(waited == 800);
  CHECK(clock.Now() >= At(399ms));
}

}  // namespace
}  // namespace holdfast
