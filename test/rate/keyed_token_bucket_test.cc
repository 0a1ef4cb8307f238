#include "holdfast/rate/keyed_token_bucket.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::keyed_token_bucket_test {
namespace {

using namespace std::chrono_literals;
using Limits = KeyedTokenBucket::Limits;
using Options = KeyedTokenBucket::Options;

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

TEST_CASE("options that make no sense are refused, with the text of Validate") {
  const Limits some{.rate = 1, .burst = 1};
  CHECK(Validate(Options{.limits = some}).ok());
  CHECK_FALSE(Validate(Options{.limits = some, .max_keys = 0}).ok());
  CHECK_FALSE(Validate(Options{.limits = some, .max_keys = (std::int64_t{1} << 30) + 1}).ok());
  CHECK_THROWS_WITH(KeyedTokenBucket({.max_keys = -1, .name = "api"}),
                    "KeyedTokenBucket api: max_keys must be in [1, 2^30], not -1");
  KeyedTokenBucket buckets({.limits = some});
  CHECK_THROWS_AS(buckets.SetLimitsAt(At(0s), KeyedTokenBucket::LimitsFor()),
                  std::invalid_argument);
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

// Waiting, and what is given back.

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
    buckets.SetLimitsAt(At(0s), Limits{.rate = 1, .burst = 5}, TokenCarryOver::kReset);
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

// Threads. They count, and the main thread compares.

TEST_CASE("threads get exactly what the keys' bursts are, while time stands still") {
  constexpr int kKeys = 5;
  constexpr int kBurst = 2000;
  KeyedTokenBucket buckets({.limits = {.rate = 1000, .burst = kBurst}});
  std::array<std::atomic<int>, kKeys> granted{};
  test::InThreads(4, [&](int thread) {
    for (int i = 0; i < 4000 * kKeys; ++i) {
      const int key = (i + thread) % kKeys;
      if (buckets.AllowAt(At(1s), Key(key))) granted[static_cast<std::size_t>(key)] += 1;
    }
  });
  for (const auto& of_key : granted) CHECK(of_key == kBurst);
}

TEST_CASE("what threads reserve and cancel is all there again") {
  constexpr int kKeys = 7;
  constexpr std::int64_t kBurst = 5;
  KeyedTokenBucket buckets({.limits = {.rate = 10, .burst = kBurst}, .max_keys = kKeys});
  std::atomic<int> refused = 0;
  test::InThreads(4, [&](int thread) {
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
  test::InThreads(4, [&](int thread) {
    for (int i = 0; i < 200; ++i) waited += buckets.Wait(Key(thread % 2)).ok() ? 1 : 0;
  });
  CHECK(waited == 800);
  CHECK(clock.Now() >= At(399ms));
}

}  // namespace
}  // namespace holdfast::keyed_token_bucket_test
