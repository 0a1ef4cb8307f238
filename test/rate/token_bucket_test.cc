#include "holdfast/rate/token_bucket.h"

#include <absl/random/random.h>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::token_bucket_test {
namespace {

using namespace std::chrono_literals;
using Options = TokenBucket::Options;

constexpr TimePoint At(Duration d) { return TimePoint{d}; }

TEST_CASE("a bucket gives its burst at once and its rate after that") {
  TokenBucket bucket({.rate = 10, .burst = 3});
  for (int i = 0; i < 3; ++i) CHECK(bucket.AllowAt(At(1s)));
  CHECK_FALSE(bucket.AllowAt(At(1s)));
  CHECK_FALSE(bucket.AllowAt(At(1s + 99'999'999ns)));
  CHECK(bucket.AllowAt(At(1s + 100ms)));
  CHECK_FALSE(bucket.AllowAt(At(1s + 100ms)));
  CHECK(bucket.AllowAt(At(10s), 3));
  CHECK_FALSE(bucket.AllowAt(At(10s)));
}

// Where golang.org/x/time/rate was run: delays are truncated to whole nanoseconds, without drift.
TEST_CASE("reservations come when x/time/rate grants them") {
  TokenBucket three({.rate = 3, .burst = 1});
  const Duration of_three[] = {0ns,
                               333'333'333ns,
                               666'666'666ns,
                               1'000'000'000ns,
                               1'333'333'333ns,
                               1'666'666'666ns,
                               2'000'000'000ns};
  for (const Duration expected : of_three) {
    CHECK(three.ReserveAt(At(0s)).DelayFrom(At(0s)) == expected);
  }
  TokenBucket seven({.rate = 7, .burst = 2});
  const Duration of_seven[] = {0ns,           0ns,           142'857'142ns,
                               285'714'285ns, 428'571'428ns, 571'428'571ns,
                               714'285'714ns, 857'142'857ns, 1'000'000'000ns};
  for (const Duration expected : of_seven) {
    CHECK(seven.ReserveAt(At(0s)).DelayFrom(At(0s)) == expected);
  }
}

TEST_CASE("a wait that truncates to zero admits") {
  TokenBucket bucket({.rate = 3, .burst = 1});
  CHECK(bucket.AllowAt(At(0s)));
  CHECK_FALSE(bucket.AllowAt(At(333'333'332ns)));
  CHECK(bucket.AllowAt(At(333'333'333ns)));
  CHECK(bucket.TokensAt(At(333'333'333ns)) == test::Approx(-1e-9));
}

// The exact count over a long run: after the burst, one for each whole interval, with no drift. The
// oracle is rational: in `steps` steps of `step` there are steps * step * rate / 1e9 tokens.
TEST_CASE("long runs grant exactly what the rate says") {
  const auto [rate, burst, step, steps] =
      GENERATE(table<std::int64_t, std::int64_t, std::int64_t, std::int64_t>({
          {1, 1, 1'000'000, 200'000},
          {3, 1, 333'333, 300'000},
          {7, 2, 142'857, 300'000},
          {10, 10, 99'999, 300'000},
          {1'000, 10, 7'777, 300'000},
          {12'345, 17, 81'007, 300'000},
          {99'991, 5, 10'007, 300'000},
          {1'000'000, 3, 999, 300'000},
          {999'999'937, 50, 1, 300'000},
          {1'000'000'000, 1, 1, 300'000},
          {250, 4, 4'000'000, 100'000},
          {60, 1, 16'666'667, 100'000},
      }));
  TokenBucket bucket({.rate = static_cast<double>(rate), .burst = burst});
  // The oracle counts in units of a 10^9th token, as the bucket need not.
  __extension__ using Wide = __int128;
  Wide level = Wide{burst} * 1'000'000'000;
  std::int64_t granted = 0;
  std::int64_t expected = 0;
  TimePoint now{1h};
  for (std::int64_t i = 0; i < steps; ++i) {
    // One nanosecond brings `rate` units: a debt of less is a wait that truncates to zero.
    while (level - 1'000'000'000 > -Wide{rate}) {
      level -= 1'000'000'000;
      ++expected;
      granted += bucket.AllowAt(now) ? 1 : 0;
    }
    granted += bucket.AllowAt(now) ? 1 : 0;
    now += Duration(step);
    level = std::min(level + Wide{step} * rate, Wide{burst} * 1'000'000'000);
  }
  CHECK(granted == expected);
}

TEST_CASE("rates that are no whole numbers do not drift either") {
  // A third of a token a second, for thirty years: 1/3 as a double is too small by 1.85e-17.
  TokenBucket third({.rate = 1.0 / 3, .burst = 1});
  TimePoint now{0s};
  CHECK(third.AllowAt(now));
  int granted = 0;
  const int years = 30;
  const std::int64_t steps = std::int64_t{years} * 365 * 24 * 3600 / 3000;
  for (std::int64_t i = 0; i < steps; ++i) {
    Reservation reservation = third.ReserveAt(now);
    now = reservation.ready_at();
    ++granted;
    now += 2997s;
  }
  CHECK(granted == steps);
  // The slowest rate that fills in a lifetime, and one that never does.
  TokenBucket slow({.rate = 1e-9, .burst = 1});
  CHECK(slow.AllowAt(At(0s)));
  CHECK(static_cast<double>(slow.ReserveAt(At(0s)).DelayFrom(At(0s)).count()) ==
        test::Approx(1e18).epsilon(1e-15));
  TokenBucket never({.rate = 1e-300, .burst = 1});
  CHECK(never.AllowAt(At(0s)));
  CHECK_FALSE(never.ReserveAt(At(0s)).ok());
}

TEST_CASE("a bucket that takes a lifetime to fill is refilled all the same") {
  TokenBucket slow({.rate = 1.0 / 65536, .burst = 1'000'000});
  CHECK(slow.AllowAt(At(1h), 1'000'000));
  CHECK_FALSE(slow.AllowAt(At(1h + 65535s)));
  CHECK(slow.AllowAt(At(1h + 65536s)));
  CHECK(slow.AllowAt(At(1h + 65536s * 5001), 5000));
  CHECK_FALSE(slow.AllowAt(At(1h + 65536s * 5001)));
}

TEST_CASE("Every turns an interval into a rate") {
  CHECK(Every(100ms) == test::Approx(10));
  CHECK(Every(0s) == kInfiniteRate);
  CHECK(Every(-1s) == kInfiniteRate);
  // x/time/rate's overflow at 2^63 let the second one through (its defect D1).
  TokenBucket bucket({.rate = Every(Duration::max()), .burst = 1});
  CHECK(bucket.AllowAt(At(0s)));
  CHECK_FALSE(bucket.AllowAt(At(0s)));
}

TEST_CASE("an infinite rate admits all and charges nothing") {
  TokenBucket bucket({.rate = kInfiniteRate, .burst = 0});
  CHECK(bucket.AllowAt(At(0s), 1'000'000));
  Reservation reservation = bucket.ReserveAt(At(0s), 50);
  CHECK(reservation.ok());
  CHECK(reservation.DelayFrom(At(0s)) == 0s);
  bucket.SetBurstAt(At(0s), 4);
  bucket.SetRateAt(At(0s), 1);
  // A reservation made under infinity must not mint tokens afterwards (defect D7).
  reservation.CancelAt(At(0s));
  CHECK(bucket.TokensAt(At(0s)) == 0);
  CHECK_FALSE(bucket.AllowAt(At(0s)));
  CHECK(bucket.AllowAt(At(1s)));
}

TEST_CASE("time under an infinite rate fills the bucket, no time leaves it as it was") {
  TokenBucket bucket({.rate = 1, .burst = 5});
  CHECK(bucket.AllowAt(At(0s), 5));
  bucket.SetRateAt(At(0s), kInfiniteRate);
  bucket.SetRateAt(At(0s), 1);
  CHECK(bucket.TokensAt(At(0s)) == 0);
  bucket.SetRateAt(At(0s), kInfiniteRate);
  CHECK(bucket.TokensAt(At(1ns)) == 5);
  bucket.SetRateAt(At(1ns), 1);
  CHECK(bucket.TokensAt(At(1ns)) == 5);
}

TEST_CASE("a rate of zero gives the burst once, and then refuses at once") {
  testing::FakeClock clock;
  TokenBucket bucket({.rate = 0, .burst = 2, .clock = &clock});
  CHECK(bucket.Allow(2));
  clock.Advance(24h);
  CHECK_FALSE(bucket.Allow());
  CHECK_FALSE(bucket.Reserve().ok());  // x/time/rate says ok, and goes into debt for ever (D8)
  CHECK(bucket.Wait().code() == absl::StatusCode::kResourceExhausted);
  CHECK(bucket.Tokens() == 0);
}

TEST_CASE("what the burst can never give is refused, and takes nothing") {
  TokenBucket bucket({.rate = 10, .burst = 2});
  CHECK_FALSE(bucket.AllowAt(At(0s), 3));
  Reservation never = bucket.ReserveAt(At(0s), 3);
  CHECK_FALSE(never.ok());
  CHECK(never.DelayFrom(At(0s)) == Duration::max());
  CHECK(never.Delay() == Duration::max());
  CHECK(never.ready_at() == TimePoint::max());
  never.Cancel();
  CHECK(never.too_late_at() == TimePoint::max());
  CHECK(bucket.Wait(3).code() == absl::StatusCode::kInvalidArgument);
  CHECK(bucket.TokensAt(At(0s)) == 2);
  TokenBucket none({.rate = 10, .burst = 1});
  none.SetBurstAt(At(0s), 0);
  CHECK_FALSE(none.AllowAt(At(1h)));
  CHECK(none.AllowAt(At(1h), 0));
}

TEST_CASE("negative numbers of tokens are refused") {
  TokenBucket bucket({.rate = 10, .burst = 2});
  CHECK_FALSE(bucket.AllowAt(At(0s), -1));
  CHECK_FALSE(bucket.ReserveAt(At(0s), -100).ok());
  CHECK(bucket.Wait(-1).code() == absl::StatusCode::kInvalidArgument);
  CHECK(bucket.TokensAt(At(0s)) == 2);
}

TEST_CASE("zero tokens are there unless the bucket is in debt") {
  TokenBucket bucket({.rate = 10, .burst = 2});
  CHECK(bucket.AllowAt(At(0s), 0));
  CHECK(bucket.ReserveAt(At(0s), 2).ok());
  CHECK(bucket.ReserveAt(At(0s), 2).ok());
  CHECK_FALSE(bucket.AllowAt(At(0s), 0));
  CHECK(bucket.ReserveAt(At(0s), 0).DelayFrom(At(0s)) == 200ms);
}

TEST_CASE("a reservation that would be ready too late takes nothing") {
  TokenBucket bucket({.rate = 10, .burst = 1});
  CHECK(bucket.AllowAt(At(0s)));
  const Reservation refused = bucket.ReserveAt(At(0s), 1, 99'999'999ns);
  CHECK_FALSE(refused.ok());
  CHECK(refused.ready_at() == TimePoint::max());
  CHECK(refused.too_late_at() == At(100ms));
  CHECK(bucket.TokensAt(At(0s)) == 0);
  CHECK(bucket.ReserveAt(At(0s), 1, 100ms).ok());
  CHECK(bucket.TokensAt(At(0s)) == -1);
}

TEST_CASE("cancelling newest first gives everything back") {
  for (const double rate : {1.0, 3.0, 7.0, 10.0, 60.0, 1000.0, 1.0 / 3}) {
    TokenBucket bucket({.rate = rate, .burst = 1});
    std::vector<Reservation> reservations;
    for (int i = 0; i < 3; ++i) reservations.push_back(bucket.ReserveAt(At(0s)));
    CHECK(bucket.TokensAt(At(0s)) == -2);
    for (int i = 2; i >= 0; --i) reservations[static_cast<size_t>(i)].CancelAt(At(0s));
    CHECK(bucket.TokensAt(At(0s)) == 1);  // x/time/rate loses some to rounding at 7 and 60 (D5)
    CHECK(bucket.AllowAt(At(0s)));
  }
}

TEST_CASE("cancelling keeps the place of reservations made later") {
  TokenBucket bucket({.rate = 10, .burst = 4});
  CHECK(bucket.AllowAt(At(0s), 4));
  Reservation a = bucket.ReserveAt(At(0s), 3);
  Reservation b = bucket.ReserveAt(At(0s), 1);
  Reservation c = bucket.ReserveAt(At(0s), 1);
  CHECK(b.ready_at() == At(400ms));
  c.CancelAt(At(100ms));
  CHECK(bucket.TokensAt(At(100ms)) == -3);
  a.CancelAt(At(100ms));
  CHECK(bucket.TokensAt(At(100ms)) == 0);  // x/time/rate loses one of the three
  CHECK(b.ready_at() == At(400ms));
  CHECK(bucket.ReserveAt(At(100ms), 3).ready_at() == At(300ms));
  CHECK(bucket.ReserveAt(At(100ms), 1).ready_at() == At(500ms));
}

TEST_CASE("a second cancel, also of a copy, or one that comes too late, gives nothing") {
  TokenBucket bucket({.rate = 10, .burst = 4});
  CHECK(bucket.AllowAt(At(0s), 4));
  Reservation reservation = bucket.ReserveAt(At(0s), 2);
  Reservation copy = reservation;
  reservation.CancelAt(At(0s));
  reservation.CancelAt(At(0s));  // D4: x/time/rate mints two more
  copy.CancelAt(At(0s));
  CHECK(copy.ready_at() == reservation.ready_at());
  CHECK(bucket.TokensAt(At(0s)) == 0);

  Reservation on_time = bucket.ReserveAt(At(0s), 1);
  on_time.CancelAt(At(100ms));
  CHECK(bucket.TokensAt(At(100ms)) == 1);
  Reservation late = bucket.ReserveAt(At(100ms), 2);
  late.CancelAt(At(200ms + 1ns));
  CHECK(bucket.TokensAt(At(200ms)) == 0);
}

TEST_CASE("a cancel far too late does not spoil those in time") {
  TokenBucket bucket({.rate = 10, .burst = 1});
  CHECK(bucket.AllowAt(At(0s)));
  bucket.ReserveAt(At(0s)).CancelAt(TimePoint::max());
  bucket.ReserveAt(At(0s)).CancelAt(At(0s));
  CHECK(bucket.TokensAt(At(0s)) == -1);
}

TEST_CASE("a clock that goes back does not cancel twice") {
  TokenBucket bucket({.rate = 10, .burst = 4});
  CHECK(bucket.AllowAt(At(0s), 4));
  Reservation early = bucket.ReserveAt(At(0s), 1);
  Reservation later = bucket.ReserveAt(At(0s), 3);
  later.CancelAt(At(0s));
  early.CancelAt(At(0s));
  bucket.ReserveAt(At(0s), 1).CancelAt(At(100ms));
  bucket.ReserveAt(At(0s), 4).CancelAt(At(300ms));  // by then the early one is forgotten
  const double tokens = bucket.TokensAt(At(0s));
  early.CancelAt(At(0s));
  later.CancelAt(At(0s));
  CHECK(bucket.TokensAt(At(0s)) == tokens);
}

TEST_CASE("an older now mints nothing") {
  // Defect D3: 1000 calls that alternate between two times got 1000 tokens out of a burst of two.
  TokenBucket bucket({.rate = 10, .burst = 2});
  int granted = 0;
  for (int i = 0; i < 1000; ++i) granted += bucket.AllowAt(At(i % 2 == 0 ? 200ms : 0ms)) ? 1 : 0;
  CHECK(granted == 2);
  bucket.SetRateAt(At(0s), 10);
  CHECK_FALSE(bucket.AllowAt(At(200ms)));
}

TEST_CASE("a new rate settles the past at the old one") {
  TokenBucket bucket({.rate = 10, .burst = 10});
  CHECK(bucket.AllowAt(At(0s), 10));
  bucket.SetRateAt(At(500ms), 100);
  CHECK(bucket.rate() == 100);
  CHECK(bucket.TokensAt(At(500ms)) == 5);
  CHECK(bucket.TokensAt(At(510ms)) == 6);
  Reservation debt = bucket.ReserveAt(At(500ms), 10);
  CHECK(debt.DelayFrom(At(500ms)) == 50ms);
  bucket.SetRateAt(At(500ms), 1);
  CHECK(debt.DelayFrom(At(500ms)) == 50ms);
  CHECK(bucket.TokensAt(At(500ms)) == -5);
  debt.CancelAt(At(500ms));
  CHECK(bucket.TokensAt(At(500ms)) <= 5);
}

TEST_CASE("a new burst adds no tokens, and caps those there are") {
  TokenBucket bucket({.rate = 10, .burst = 10});
  CHECK(bucket.AllowAt(At(0s), 6));
  bucket.SetBurstAt(At(0s), 100);
  CHECK(bucket.burst() == 100);
  CHECK(bucket.TokensAt(At(0s)) == 4);
  bucket.SetBurstAt(At(0s), 2);
  CHECK(bucket.TokensAt(At(0s)) == 2);
  CHECK_FALSE(bucket.AllowAt(At(0s), 3));
}

TEST_CASE("settling again and again loses nothing") {
  const double rate = GENERATE(3.0, 1.0 / 3, 12345.678);
  TokenBucket settled({.rate = rate, .burst = 1'000'000});
  TokenBucket left_alone({.rate = rate, .burst = 1'000'000});
  CHECK(settled.AllowAt(At(0s), 1'000'000));
  CHECK(left_alone.AllowAt(At(0s), 1'000'000));
  for (int i = 1; i <= 100'000; ++i) settled.SetRateAt(At(Duration(i * 7)), rate);
  CHECK(settled.TokensAt(At(1s)) == left_alone.TokensAt(At(1s)));
  CHECK(settled.TokensAt(At(1s)) == test::Approx(rate).epsilon(1e-9));
}

TEST_CASE("Wait sleeps until its turn, and not when it would be too late") {
  testing::FakeClock clock;
  TokenBucket bucket({.rate = 10, .burst = 1, .clock = &clock});
  CHECK(bucket.Wait().ok());
  CHECK(clock.Now() == At(0s));
  CHECK(bucket.Wait().ok());
  CHECK(clock.Now() == At(100ms));
  CHECK(bucket.Wait(1, {.deadline = At(199ms)}).code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(clock.Now() == At(100ms));
  CHECK(bucket.Tokens() == 0);
  CHECK(bucket.Wait(1, {.deadline = At(200ms)}).ok());
  CHECK(clock.Now() == At(200ms));
}

TEST_CASE("a stop request wakes Wait and gives its tokens back") {
  testing::FakeClock clock;
  clock.set_auto_advance(false);
  TokenBucket bucket({.rate = 1, .burst = 1, .clock = &clock});
  CHECK(bucket.Allow());
  std::stop_source stop;
  absl::Status status;
  std::jthread waiter([&] { status = bucket.Wait(1, {.stop = stop.get_token()}); });
  clock.AwaitWaiters(1);
  CHECK(bucket.Tokens() == -1);
  stop.request_stop();
  waiter.join();
  CHECK(status.code() == absl::StatusCode::kCancelled);
  CHECK(bucket.Tokens() == 0);
  CHECK(bucket.Wait(1, {.stop = stop.get_token()}).code() == absl::StatusCode::kCancelled);
}

TEST_CASE("a bucket refuses options that make no sense") {
  for (const double rate : {std::nan(""), -1.0, 1e19, -kInfiniteRate}) {
    const Options options{.rate = rate, .burst = 1, .name = "api"};
    CHECK_THROWS_WITH(TokenBucket(options), std::string(Validate(options).message()));
    CHECK_THAT(std::string(Validate(options).message()), test::ContainsSubstring("api: rate"));
    TokenBucket bucket({.rate = 1, .burst = 1});
    CHECK_THROWS_AS(bucket.SetRate(rate), std::invalid_argument);
    CHECK(bucket.rate() == 1);
  }
  CHECK_THROWS_AS(TokenBucket({.rate = 1, .burst = -1}), std::invalid_argument);
  CHECK_THROWS_AS(TokenBucket({.rate = 1, .burst = TokenBucket::kMaxBurst + 1}),
                  std::invalid_argument);
  TokenBucket large({.rate = 1e18, .burst = TokenBucket::kMaxBurst});
  CHECK(large.AllowAt(At(0s), TokenBucket::kMaxBurst));
  CHECK(large.TokensAt(At(0s)) == 0);
}

TEST_CASE("times at the ends of what can be said do no harm") {
  TokenBucket bucket({.rate = 999'999'937, .burst = 3});
  CHECK(bucket.AllowAt(TimePoint::min(), 3));
  CHECK(bucket.AllowAt(TimePoint::max() - 1ns, 3));
  CHECK_FALSE(bucket.AllowAt(TimePoint::min()));
  CHECK_FALSE(bucket.ReserveAt(TimePoint::max() - 1ns, 3).ok());  // that would be never
}

// All threads share one clock reading, so the bound is exact: the burst and not one more or less.
TEST_CASE("threads share a burst exactly, beside changes of the rate and the burst") {
  TokenBucket bucket({.rate = 0, .burst = 20'000});
  std::atomic<int> granted = 0;
  test::InThreads(4, [&](int thread) {
    for (int i = 0; thread > 0 && i < 10'000; ++i) granted += bucket.AllowAt(At(1s)) ? 1 : 0;
    for (int i = 0; thread == 0 && i < 2'000; ++i) {
      bucket.SetRateAt(At(1s), i % 2 == 0 ? 1e6 + i : 0);
      bucket.SetBurstAt(At(1s), i % 2 == 0 ? TokenBucket::kMaxBurst : 20'000);
    }
  });
  CHECK(granted == 20'000);
}

TEST_CASE("threads that reserve and cancel never mint a token") {
  TokenBucket bucket({.rate = 1000, .burst = 5'000});
  std::atomic<int> granted = 0;
  test::InThreads(3, [&](int) {
    for (int i = 0; i < 5'000; ++i) {
      granted += bucket.AllowAt(At(1s)) ? 1 : 0;
      Reservation taken_back = bucket.ReserveAt(At(1s), 2);
      taken_back.CancelAt(At(1s));
      taken_back.CancelAt(At(1s));
    }
  });
  CHECK(granted <= 5'000);
  CHECK(bucket.TokensAt(At(1s)) <= 5'000 - granted);
}

}  // namespace
}  // namespace holdfast::token_bucket_test
