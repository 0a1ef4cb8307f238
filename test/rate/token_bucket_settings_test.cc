#include <algorithm>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include "holdfast/rate/token_bucket.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"

namespace holdfast::token_bucket_settings_test {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint At(Duration d) { return TimePoint{d}; }

struct CarriedOver {
  TokenCarryOver carry_over;
  double from_half;  // of 10, to a burst of 40
  double from_debt;  // of 5, to a burst of 40
  double to_small;   // from half of 10 to a burst of 4
};

TEST_CASE("new limits inherit the tokens in four ways") {
  const CarriedOver expected = GENERATE(values<CarriedOver>({
      {TokenCarryOver::kAsIs, 5, -5, 4},
      {TokenCarryOver::kProportional, 20, -5, 2},
      {TokenCarryOver::kAdditive, 35, 25, 4},
      {TokenCarryOver::kReset, 40, 40, 4},
  }));
  TokenBucket half({.rate = 10, .burst = 10});
  CHECK(half.AllowAt(At(0s), 5));
  half.SetLimitsAt(At(0s), 100, 40, expected.carry_over);
  CHECK(half.TokensAt(At(0s)) == expected.from_half);
  CHECK(half.rate() == 100);
  CHECK(half.burst() == 40);
  CHECK(half.TokensAt(At(10ms)) == std::min(expected.from_half + 1, 40.0));

  TokenBucket debt({.rate = 10, .burst = 10});
  CHECK(debt.AllowAt(At(0s), 10));
  CHECK(debt.ReserveAt(At(0s), 5).ok());
  debt.SetLimitsAt(At(0s), 100, 40, expected.carry_over);
  CHECK(debt.TokensAt(At(0s)) == expected.from_debt);

  TokenBucket large({.rate = 10, .burst = 10});
  CHECK(large.AllowAt(At(0s), 5));
  large.SetLimitsAt(At(0s), 10, 4, expected.carry_over);
  CHECK(large.TokensAt(At(0s)) == expected.to_small);
}

TEST_CASE("an empty burst has nothing to pass on") {
  for (const auto carry_over : {TokenCarryOver::kAsIs, TokenCarryOver::kProportional}) {
    TokenBucket bucket({.rate = 10, .burst = 1});
    bucket.SetBurstAt(At(0s), 0);
    bucket.SetLimitsAt(At(0s), 10, 5, carry_over);
    CHECK(bucket.TokensAt(At(0s)) == 0);
  }
}

TEST_CASE("new limits leave reservations their times, and they can be cancelled") {
  TokenBucket bucket({.rate = 10, .burst = 2});
  CHECK(bucket.AllowAt(At(0s), 2));
  Reservation first = bucket.ReserveAt(At(0s), 2);
  Reservation second = bucket.ReserveAt(At(0s), 1);
  bucket.SetRateAt(At(0s), 20);
  CHECK(second.ready_at() == At(300ms));
  CHECK(bucket.ReserveAt(At(0s), 1).ready_at() == At(200ms));  // behind 3, at 20 a second
  CHECK(bucket.TokensAt(At(0s)) == -4);
  first.CancelAt(At(0s));
  CHECK(bucket.TokensAt(At(0s)) == -2);
  CHECK(bucket.ReserveAt(At(0s), 2).ready_at() == At(100ms));  // where the first one was
  second.CancelAt(At(0s));
  second.CancelAt(At(0s));
  CHECK(bucket.TokensAt(At(0s)) == -3);
}

TEST_CASE("a charge takes what is not there, and who comes next waits for it") {
  TokenBucket bucket({.rate = 10, .burst = 5});
  bucket.ChargeAt(At(0s), 3);
  CHECK(bucket.TokensAt(At(0s)) == 2);
  bucket.ChargeAt(At(0s), 12);  // more than the burst
  CHECK(bucket.TokensAt(At(0s)) == -10);
  CHECK_FALSE(bucket.AllowAt(At(0s)));
  CHECK(bucket.ReserveAt(At(0s)).ready_at() == At(1100ms));
  CHECK(bucket.TokensAt(At(2s)) == 5);
}

TEST_CASE("a refund goes no higher than the burst") {
  TokenBucket bucket({.rate = 10, .burst = 5});
  CHECK(bucket.AllowAt(At(0s), 4));
  bucket.RefundAt(At(0s), 3);
  CHECK(bucket.TokensAt(At(0s)) == 4);
  bucket.RefundAt(At(0s), 3);
  CHECK(bucket.TokensAt(At(0s)) == 5);
  bucket.ChargeAt(At(0s), 8);
  bucket.RefundAt(At(0s), 1);
  CHECK(bucket.ReserveAt(At(0s)).ready_at() == At(300ms));
}

TEST_CASE("a charge behind reservations does not move them") {
  TokenBucket bucket({.rate = 10, .burst = 1});
  CHECK(bucket.AllowAt(At(0s)));
  Reservation reservation = bucket.ReserveAt(At(0s));
  bucket.ChargeAt(At(0s), 2);
  CHECK(reservation.ready_at() == At(100ms));
  CHECK(bucket.TokensAt(At(0s)) == -3);
  CHECK(bucket.ReserveAt(At(0s)).ready_at() == At(400ms));
  reservation.CancelAt(At(50ms));
  CHECK(bucket.TokensAt(At(50ms)) == -2.5);
}

TEST_CASE("charges and refunds of nonsense are refused, or bounded") {
  TokenBucket bucket({.rate = 10, .burst = 5});
  CHECK_THROWS_AS(bucket.Charge(-1), std::invalid_argument);
  CHECK_THROWS_AS(bucket.RefundAt(At(0s), -1), std::invalid_argument);
  bucket.RefundAt(At(0s), std::numeric_limits<std::int64_t>::max());
  CHECK(bucket.TokensAt(At(0s)) == 5);
  for (int i = 0; i < 3; ++i) bucket.ChargeAt(At(0s), std::numeric_limits<std::int64_t>::max());
  CHECK(bucket.TokensAt(At(0s)) < -1e8);
  CHECK_FALSE(bucket.AllowAt(At(1h)));
  bucket.SetLimitsAt(At(1h), 10, 5, TokenCarryOver::kReset);
  CHECK(bucket.AllowAt(At(1h), 5));
  TokenBucket infinite({.rate = kInfiniteRate, .burst = 1});
  infinite.ChargeAt(At(0s), 100);
  CHECK(infinite.TokensAt(At(0s)) == 1);
}

// A cancelled place between others keeps the bucket under its lock; all its methods work there.
TEST_CASE("a bucket with a cancelled place between others does all it does without") {
  testing::FakeClock clock;
  TokenBucket bucket({.rate = 10, .burst = 2, .clock = &clock});
  CHECK(bucket.Allow(2));
  Reservation first = bucket.Reserve(2);
  Reservation second = bucket.Reserve(2);
  Reservation third = bucket.Reserve(1);
  CHECK(third.ready_at() == At(500ms));
  second.Cancel();
  CHECK(bucket.Tokens() == -3);
  CHECK_FALSE(bucket.Allow());
  CHECK_FALSE(bucket.Allow(0));
  CHECK_FALSE(bucket.Allow(3));
  CHECK_FALSE(bucket.Allow(-1));
  CHECK(bucket.ReserveAt(At(0s), 0).ready_at() == At(200ms));
  CHECK_FALSE(bucket.ReserveAt(At(0s), 1, 299ms).ok());
  CHECK(bucket.ReserveAt(At(0s), 1, 299ms).too_late_at() == At(300ms));
  CHECK(bucket.Wait(1, {.deadline = At(299ms)}).code() == absl::StatusCode::kDeadlineExceeded);
  bucket.Refund(1);
  CHECK(bucket.Allow());
  bucket.Charge(1);
  CHECK(bucket.Tokens() == -4);
  CHECK(bucket.TokensAt(At(500ms)) == 1);
  CHECK(bucket.Wait(1, {.deadline = At(500ms)}).ok());
  CHECK(clock.Now() == At(400ms));
  bucket.SetBurst(4);
  CHECK(bucket.TokensAt(At(10s)) == 4);
  CHECK(bucket.AllowAt(At(10s), 4));
  CHECK_FALSE(bucket.AllowAt(At(10s)));
}

TEST_CASE("a rate made of an interval is exact to the nanosecond") {
  for (int ms = 1; ms <= 10'000; ms += 7) {
    const Duration interval = ms * 1ms;
    TokenBucket bucket({.rate = Every(interval), .burst = 1});
    CHECK(bucket.AllowAt(At(1h)));
    CHECK(bucket.ReserveAt(At(1h)).ready_at() == At(1h + interval));
    CHECK(bucket.ReserveAt(At(1h)).ready_at() == At(1h + 2 * interval));
  }
}

TEST_CASE("changes of the rate lose no part of a token") {
  TokenBucket bucket({.rate = 1, .burst = 50});
  CHECK(bucket.AllowAt(At(0s), 50));
  for (int i = 1; i <= 10; ++i) {
    bucket.SetRateAt(At(i * 900ms), 1e9);
    bucket.SetRateAt(At(i * 900ms), 1);
  }
  CHECK(bucket.TokensAt(At(9s)) == 9);
}

// Who reads the clock before others take their tokens, and comes after them.
TEST_CASE("a change with an older now mints nothing") {
  const double rate = GENERATE(1e6, kInfiniteRate);
  TokenBucket bucket({.rate = 1000, .burst = 100});
  CHECK(bucket.AllowAt(At(0s), 0));
  CHECK(bucket.AllowAt(At(1ms), 100));
  bucket.SetRateAt(At(0s), rate);
  if (rate == kInfiniteRate) bucket.SetRateAt(At(1ms), 1000);
  CHECK_FALSE(bucket.AllowAt(At(1ms)));
}

TEST_CASE("what was forgiven is not given back") {
  const bool reset = GENERATE(true, false);
  TokenBucket bucket({.rate = 1, .burst = 10});
  CHECK(bucket.AllowAt(At(0s), 10));
  std::vector<Reservation> reservations;
  for (int i = 0; i < 3; ++i) reservations.push_back(bucket.ReserveAt(At(0s), 10));
  if (reset) {
    bucket.SetLimitsAt(At(1ns), 1, 10, TokenCarryOver::kReset);
  } else {
    bucket.SetRateAt(At(0s), kInfiniteRate);
    bucket.SetRateAt(At(1ns), 1);
  }
  CHECK(bucket.AllowAt(At(1ns), 10));
  for (Reservation& reservation : reservations) reservation.CancelAt(At(1ns));
  CHECK(bucket.TokensAt(At(1ns)) == 0);
}

TEST_CASE("a cancel with an older now gives nothing back after a change") {
  TokenBucket bucket({.rate = 1, .burst = 5});
  Reservation at_once = bucket.ReserveAt(At(0s), 5);
  CHECK(bucket.AllowAt(At(10s), 5));
  bucket.SetRateAt(At(10s), 2);
  at_once.CancelAt(At(0s));
  CHECK_FALSE(bucket.AllowAt(At(10s)));
}

TEST_CASE("a cancel while the rate is infinite counts afterwards") {
  TokenBucket bucket({.rate = 1, .burst = 10});
  CHECK(bucket.AllowAt(At(0s), 10));
  Reservation reservation = bucket.ReserveAt(At(0s), 10);
  bucket.SetRateAt(At(0s), kInfiniteRate);
  reservation.CancelAt(At(0s));
  bucket.SetRateAt(At(0s), 1);
  CHECK(bucket.TokensAt(At(0s)) == 0);
}

TEST_CASE("a late time seen at an infinite rate does no harm at another") {
  TokenBucket bucket({.rate = kInfiniteRate, .burst = 5});
  CHECK(bucket.AllowAt(At(10s)));
  bucket.SetRateAt(At(0s), 999'999'937);
  CHECK(bucket.AllowAt(At(0s), 2));
  Reservation reservation = bucket.ReserveAt(At(0s), 3);
  reservation.CancelAt(At(0s));
  CHECK(bucket.TokensAt(At(0s)) <= 5);
  CHECK(bucket.TokensAt(At(11s)) == 5);
}

}  // namespace
}  // namespace holdfast::token_bucket_settings_test
