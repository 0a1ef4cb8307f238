// New options of a TokenBucket while it is in use.
#include <absl/status/status.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "holdfast/rate/token_bucket.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"
#include "test/support/rate_oracle.h"
#include "test/support/threads.h"

namespace holdfast::token_bucket_update_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;
using Options = TokenBucket::Options;

TEST_CASE("the next request goes by a new rate and a new burst") {
  FakeClock clock;
  TokenBucket bucket({.rate = 1, .burst = 10, .clock = &clock});
  CHECK(bucket.Allow(4));
  CHECK(bucket.Update({.rate = 1, .burst = 3}).ok());
  CHECK_FALSE(bucket.Allow(4));
  CHECK(bucket.Tokens() == 3);
  CHECK(bucket.Allow(3));
  CHECK(bucket.Update({.rate = 10, .burst = 20}).ok());
  CHECK(bucket.Tokens() == 0);  // a larger burst brings none
  clock.Advance(1s);
  CHECK(bucket.Allow(10));
  CHECK_FALSE(bucket.Allow());
  CHECK(bucket.options().rate == 10);
  CHECK(bucket.options().burst == 20);
}

TEST_CASE("a reservation keeps its time, and debt stays") {
  FakeClock clock;
  TokenBucket bucket({.rate = 10, .burst = 1, .clock = &clock});
  CHECK(bucket.Allow());
  Reservation reservation = bucket.Reserve();
  CHECK(bucket.Update({.rate = 100, .burst = 1}).ok());
  CHECK(reservation.ready_at() == TimePoint(100ms));
  CHECK(bucket.Tokens() == -1);
  reservation.Cancel();
  CHECK(bucket.Tokens() == 0);
}

TEST_CASE("who waits for tokens goes as soon as the new rate lets it") {
  FakeClock clock;
  clock.set_auto_advance(false);
  TokenBucket bucket({.rate = 1, .burst = 1, .clock = &clock});
  CHECK(bucket.Allow());
  absl::Status waited;
  std::thread waits([&] { waited = bucket.Wait(); });
  clock.AwaitWaiters(1);
  CHECK(bucket.Update({.rate = 10, .burst = 1}).ok());
  clock.Advance(100ms);
  waits.join();
  CHECK(waited.ok());
  CHECK(clock.Now() == TimePoint(100ms));
  CHECK(bucket.Tokens() == 0);
}

TEST_CASE("the same options change nothing of a bucket") {
  FakeClock clock;
  TokenBucket bucket({.rate = 7, .burst = 3, .name = "api", .clock = &clock});
  TokenBucket untouched({.rate = 7, .burst = 3, .clock = &clock});
  for (int i = 0; i < 1000; ++i) {
    CHECK(bucket.Update(bucket.options()).ok());
    CHECK(bucket.Allow() == untouched.Allow());
    CHECK(bucket.Tokens() == untouched.Tokens());
    clock.Advance(37'000'001ns);
  }
  CHECK(bucket.options().name == "api");
  CHECK(bucket.options().clock == &clock);
}

TEST_CASE("what a bucket refuses changes nothing of it") {
  FakeClock clock;
  FakeClock other;
  TokenBucket bucket({.rate = 10, .burst = 5, .name = "api", .clock = &clock});
  CHECK(bucket.Allow(2));
  for (const Options& wrong : {Options{.rate = -1, .burst = 1}, Options{.rate = 1, .burst = -1},
                               Options{.rate = 1, .burst = TokenBucket::kMaxBurst + 1},
                               Options{.rate = 1, .burst = 1, .name = "web"},
                               Options{.rate = 1, .burst = 1, .clock = &other}}) {
    const absl::Status status = bucket.Update(wrong);
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(status.message()), test::StartsWith("TokenBucket api: "));
  }
  CHECK(bucket.rate() == 10);
  CHECK(bucket.burst() == 5);
  CHECK(bucket.Tokens() == 3);
}

TEST_CASE("a bucket answers what the oracle does while its options change") {
  test::Property([] {
    FakeClock clock;
    std::int64_t rate = 10;
    std::int64_t burst = 5;
    TokenBucket bucket({.rate = static_cast<double>(rate), .burst = burst, .clock = &clock});
    testing::RateOracle oracle(rate, burst);
    const int steps = *rc::gen::inRange(1, 100);
    for (int step = 0; step < steps; ++step) {
      clock.Advance(Duration(*rc::gen::inRange<std::int64_t>(0, 300'000'000)));
      if (*rc::gen::inRange(0, 4) == 0) {
        const bool same = *rc::gen::inRange(0, 3) == 0;
        rate = same ? rate : *rc::gen::inRange(1, 50);
        burst = same ? burst : *rc::gen::inRange(1, 10);
        RC_ASSERT(bucket.Update({.rate = static_cast<double>(rate), .burst = burst}).ok());
        if (!same) oracle.SetAt(clock.Now(), rate, burst);
      } else {
        const auto n = static_cast<std::int64_t>(*rc::gen::inRange(0, 8));
        const bool allowed = oracle.ReserveAt(clock.Now(), n, 0ns).ok;
        RC_ASSERT(bucket.Allow(n) == allowed);
      }
    }
  });
}

// Nobody refills it, so what is taken and what is left come to what there was.
TEST_CASE("threads that take tokens while the options change mint none and lose none") {
  FakeClock clock;
  constexpr std::int64_t kAll = 1'000'000;
  TokenBucket bucket({.rate = 0, .burst = kAll, .clock = &clock});
  std::atomic<std::int64_t> taken = 0;
  std::atomic<int> wrong = 0;
  test::InThreads(4, [&](int thread) {
    for (int i = 0; i < 5'000; ++i) {
      if (thread < 2) {
        taken += bucket.Allow(3) ? 3 : 0;
      } else {
        // With the clock at rest no rate brings anything.
        const std::int64_t burst = kAll + (i + thread) % 7;
        const double rate = (i + thread) % 5;
        wrong += bucket.Update({.rate = rate, .burst = burst}).ok() ? 0 : 1;
        wrong += bucket.options().burst >= kAll ? 0 : 1;
      }
    }
  });
  CHECK(wrong == 0);
  CHECK(taken == std::int64_t{2} * 5'000 * 3);
  CHECK(bucket.Tokens() == static_cast<double>(kAll - taken));
}

}  // namespace
}  // namespace holdfast::token_bucket_update_test
