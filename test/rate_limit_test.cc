#include "holdfast/rate_limit.h"

#include <absl/status/status.h>

#include <memory>
#include <stdexcept>
#include <stop_token>
#include <thread>

#include "holdfast/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout.h"
#include "test/support/catch.h"

namespace holdfast {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

std::shared_ptr<TokenBucket> Bucket(double rate, std::int64_t burst) {
  return std::make_shared<TokenBucket>(
      TokenBucket::Options{.rate = rate, .burst = burst, .name = "api"});
}

const auto kSucceed = [] { return absl::OkStatus(); };

TEST_CASE("a rate limit spaces calls out") {
  FakeClock clock;
  const auto call = Stack(RateLimit(Bucket(10, 2))).Around(kSucceed, &clock);
  Report report;
  for (int i = 0; i < 12; ++i) CHECK(call.With({.report = &report}).ok());
  CHECK(clock.Now() == TimePoint{1s});
  CHECK(report.waited == 100ms);
}

TEST_CASE("a token that would come after the deadline is refused at once, uncharged") {
  FakeClock clock;
  const auto bucket = Bucket(1, 1);
  const auto call = Stack(Timeout(500ms), RateLimit(bucket)).Around(kSucceed, &clock);
  CHECK(call().ok());
  Report report;
  const absl::Status refused = call.With({.report = &report});
  CHECK(refused.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(RejectionOf(refused)->policy == "RateLimit");
  CHECK(RejectionOf(refused)->name == "api");
  CHECK(report.retry_at == TimePoint{1s});
  CHECK(report.stopped == StopReason::kDeadline);
  CHECK(clock.Now() == TimePoint{0s});
  CHECK(bucket->TokensAt(TimePoint{0s}) == 0);
}

TEST_CASE("a call whose deadline has passed takes no token") {
  FakeClock clock(TimePoint{100s});
  const auto bucket = Bucket(1, 5);
  const auto call = Stack(RateLimit(bucket)).Around(kSucceed, &clock);
  CHECK(call().ok());
  for (int i = 0; i < 3; ++i) {
    CHECK(call.With({.deadline = TimePoint{4s}}).code() == absl::StatusCode::kDeadlineExceeded);
  }
  CHECK(bucket->TokensAt(clock.Now()) == 4);
}

TEST_CASE("a token that takes longer than max_wait is refused at once, uncharged") {
  FakeClock clock;
  const auto bucket = Bucket(1, 1);
  const auto call = Stack(RateLimit(bucket, {.max_wait = 999ms})).Around(kSucceed, &clock);
  CHECK(call().ok());
  Report report;
  const absl::Status refused = call.With({.report = &report});
  CHECK(refused.code() == absl::StatusCode::kResourceExhausted);
  CHECK(RejectionOf(refused)->kind == RejectionKind::kRateLimited);
  CHECK(report.retry_at == TimePoint{1s});
  CHECK(report.stopped == StopReason::kRejected);
  clock.Advance(1ms);
  CHECK(call().ok());
  CHECK(clock.Now() == TimePoint{1s});
}

TEST_CASE("what can never be is said so") {
  FakeClock clock;
  CHECK(Stack(RateLimit(Bucket(10, 0))).Around(kSucceed, &clock)().code() ==
        absl::StatusCode::kInvalidArgument);
  const auto dry = Bucket(0, 1);
  const auto call = Stack(RateLimit(dry)).Around(kSucceed, &clock);
  CHECK(call().ok());
  CHECK(call().code() == absl::StatusCode::kResourceExhausted);
  CHECK(call.With({.deadline = TimePoint{1h}}).code() == absl::StatusCode::kResourceExhausted);
}

TEST_CASE("a call that is stopped while it waits gives its token back") {
  FakeClock clock;
  clock.set_auto_advance(false);
  const auto bucket = Bucket(1, 1);
  const auto call = Stack(RateLimit(bucket)).Around(kSucceed, &clock);
  CHECK(call().ok());
  std::stop_source stop;
  absl::Status status;
  std::jthread caller([&] { status = call.With({.stop = stop.get_token()}); });
  clock.AwaitWaiters(1);
  CHECK(bucket->TokensAt(TimePoint{0s}) == -1);
  stop.request_stop();
  caller.join();
  CHECK(status.code() == absl::StatusCode::kCancelled);
  CHECK(bucket->TokensAt(TimePoint{0s}) == 0);
}

TEST_CASE("a bucket of an infinite rate lets all through") {
  FakeClock clock;
  const auto call = Stack(RateLimit(Bucket(kInfiniteRate, 0))).Around(kSucceed, &clock);
  for (int i = 0; i < 100; ++i) CHECK(call().ok());
  CHECK(clock.Now() == TimePoint{0s});
}

TEST_CASE("a rate limit may be made from options, and refuses senseless ones") {
  CHECK(Stack(RateLimit(TokenBucket::Options{.rate = 1, .burst = 1})).Around(kSucceed)().ok());
  CHECK_THROWS_AS(RateLimit(TokenBucket::Options{.rate = -1}), std::invalid_argument);
  CHECK_THROWS_AS(RateLimit(Bucket(1, 1), {.max_wait = -1s}), std::invalid_argument);
  CHECK_THROWS_AS(RateLimit(std::shared_ptr<TokenBucket>()), std::invalid_argument);
}

}  // namespace
}  // namespace holdfast
