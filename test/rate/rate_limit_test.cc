#include "holdfast/rate/rate_limit.h"

#include <absl/status/status.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <vector>

#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"

namespace holdfast::rate_limit_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

std::shared_ptr<TokenBucket> Bucket(double rate, std::int64_t burst) {
  auto bucket = std::make_shared<TokenBucket>(
      TokenBucket::Options{.rate = rate, .burst = std::max<std::int64_t>(burst, 1), .name = "api"});
  if (burst == 0) bucket->SetBurstAt(TimePoint::min(), 0);
  return bucket;
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
  CHECK(report.ended_by == EndReason::kDeadline);
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
  CHECK(report.retry_at == TimePoint{1ms});
  CHECK(report.ended_by == EndReason::kRejected);
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

TEST_CASE("several limits are taken from in one decision, for the latest time") {
  FakeClock clock;
  const auto fast = Bucket(10, 2);
  const auto slow = Bucket(1, 1);
  const auto call = Stack(RateLimit(fast, slow)).Around(kSucceed, &clock);
  for (int i = 0; i < 4; ++i) {
    CHECK(call().ok());
    CHECK(clock.Now() == TimePoint{i * 1s});
    CHECK(fast->TokensAt(clock.Now()) == 1);
    CHECK(slow->TokensAt(clock.Now()) == 0);
  }
}

// What waits for the slow one is acted on then, in the fast one too: until then others may use it.
TEST_CASE("a call that waits for one limit leaves the other to those who need only that") {
  FakeClock clock;
  clock.set_auto_advance(false);
  const auto fast = Bucket(10, 1);
  const auto slow = Bucket(1, 1);
  const auto both = Stack(RateLimit(slow, fast)).Around(kSucceed, &clock);
  CHECK(both().ok());
  absl::Status status;
  std::jthread caller([&] { status = both(); });
  clock.AwaitWaiters(1);
  int allowed = 0;
  for (int ms = 1; ms <= 1000; ++ms) allowed += fast->AllowAt(TimePoint{ms * 1ms}) ? 1 : 0;
  // At 100, 200, ... 900 ms: the one at a second is the caller's.
  CHECK(allowed == 9);
  clock.Advance(1s);
  caller.join();
  CHECK(status.ok());
}

TEST_CASE("several limits refuse all or nothing, and say which and when") {
  FakeClock clock;
  const auto fast = Bucket(10, 5);
  const auto slow =
      std::make_shared<TokenBucket>(TokenBucket::Options{.rate = 1, .burst = 1, .name = "slow"});
  const auto call =
      Stack(RateLimit(std::vector{fast, slow}, {.max_wait = 0s})).Around(kSucceed, &clock);
  CHECK(call().ok());
  Report report;
  const absl::Status refused = call.With({.report = &report});
  CHECK(refused.code() == absl::StatusCode::kResourceExhausted);
  CHECK(RejectionOf(refused)->name == "slow");
  CHECK(report.retry_at == TimePoint{1s});
  CHECK(fast->TokensAt(TimePoint{0s}) == 4);
  CHECK(slow->TokensAt(TimePoint{0s}) == 0);
}

TEST_CASE("a stopped call gives back exactly what it held of several limits") {
  FakeClock clock;
  clock.set_auto_advance(false);
  const auto fast = Bucket(10, 2);
  const auto slow = Bucket(1, 1);
  const auto call = Stack(RateLimit(fast, slow)).Around(kSucceed, &clock);
  CHECK(call().ok());
  std::stop_source stop;
  std::jthread caller([&] { (void)call.With({.stop = stop.get_token()}); });
  clock.AwaitWaiters(1);
  CHECK(slow->TokensAt(TimePoint{0s}) == -1);
  CHECK(fast->TokensAt(TimePoint{0s}) == 0);
  stop.request_stop();
  caller.join();
  CHECK(slow->TokensAt(TimePoint{0s}) == 0);
  CHECK(fast->TokensAt(TimePoint{0s}) == 1);
}

TEST_CASE("what several limits can't be is refused") {
  CHECK_THROWS_AS(RateLimit(std::vector<std::shared_ptr<TokenBucket>>{}), std::invalid_argument);
  const auto bucket = Bucket(1, 1);
  CHECK_THROWS_AS(RateLimit(bucket, bucket), std::invalid_argument);
  CHECK_THROWS_AS(RateLimit(bucket, std::shared_ptr<TokenBucket>()), std::invalid_argument);
  FakeClock clock;
  CHECK(Stack(RateLimit(Bucket(10, 5), Bucket(0, 0))).Around(kSucceed, &clock)().code() ==
        absl::StatusCode::kInvalidArgument);
}

struct Upload {
  std::int64_t size;
};
const auto kUpload = [](const Upload&) { return absl::OkStatus(); };
const auto kSize = FromRequest<Upload>([](const Upload& upload) { return upload.size; });

TEST_CASE("a call may cost more than a token, by its request") {
  FakeClock clock;
  const auto bytes = Bucket(1000, 5000);
  const auto call =
      Stack(RateLimit(bytes, {.max_wait = 2s, .cost = kSize})).Around(kUpload, &clock);
  CHECK(call(Upload{4000}).ok());
  CHECK(clock.Now() == TimePoint{0s});
  CHECK(call(Upload{3000}).ok());
  CHECK(clock.Now() == TimePoint{2s});
  CHECK(call(Upload{0}).ok());
  CHECK(clock.Now() == TimePoint{2s});
  CHECK(call(Upload{5001}).code() == absl::StatusCode::kInvalidArgument);
  CHECK(call(Upload{-1}).code() == absl::StatusCode::kInvalidArgument);
  CHECK(bytes->TokensAt(TimePoint{2s}) == 0);
}

TEST_CASE("a cost by a request of another type is an error, and takes nothing") {
  FakeClock clock;
  const auto bytes = Bucket(1000, 5000);
  const RateLimit limit(bytes, {.cost = kSize});
  CHECK_THROWS_AS(Stack(limit).Around(kSucceed, &clock)(), std::invalid_argument);
  const auto send = [](int) { return absl::OkStatus(); };
  CHECK_THROWS_WITH(Stack(limit).Around(send, &clock)(7), test::ContainsSubstring("another type"));
  CHECK(bytes->TokensAt(TimePoint{0s}) == 5000);
}

TEST_CASE("the true cost is settled when it is known") {
  FakeClock clock;
  const auto bytes = Bucket(1000, 1000);
  std::int64_t size = 0;
  const auto call =
      Stack(RateLimit(bytes, {.max_wait = 2s, .cost = [](const Call&) { return 100; }},
                      [&](const Call&, const absl::Status&) { return size; }))
          .Around(kSucceed, &clock);
  size = 2600;
  CHECK(call().ok());
  CHECK(bytes->TokensAt(TimePoint{0s}) == -1600);
  size = 40;
  CHECK(call().ok());  // waits for its hundred
  CHECK(clock.Now() == TimePoint{1700ms});
  CHECK(bytes->TokensAt(clock.Now()) == 60);
  size = -5;
  CHECK(call().ok());
  CHECK(clock.Now() == TimePoint{1740ms});
  CHECK(bytes->TokensAt(clock.Now()) == 100);
}

TEST_CASE("a true cost may stand alone") {
  FakeClock clock;
  const auto bucket = Bucket(1, 10);
  const auto call = Stack(RateLimit(bucket, {}, [](const Call&, const absl::Status&) {
                      return 3;
                    })).Around(kSucceed, &clock);
  CHECK(call().ok());
  CHECK(bucket->TokensAt(TimePoint{0s}) == 7);
}

TEST_CASE("a dry run decides and reports, and lets all pass") {
  FakeClock clock;
  const auto bucket = Bucket(1, 1);
  const auto call =
      Stack(RateLimit(bucket, {.max_wait = 1s, .dry_run = true})).Around(kSucceed, &clock);
  Report report;
  CHECK(call.With({.report = &report}).ok());
  CHECK(report.dry_run.empty());
  CHECK(call.With({.report = &report}).ok());
  REQUIRE(report.dry_run.size() == 1);
  CHECK(report.dry_run[0].policy == "RateLimit");
  CHECK(report.dry_run[0].refusal.ok());
  CHECK(report.dry_run[0].until == TimePoint{1s});
  CHECK(call.With({.report = &report}).ok());
  REQUIRE(report.dry_run.size() == 1);
  CHECK(RejectionOf(report.dry_run[0].refusal)->name == "api");
  CHECK(report.dry_run[0].until == TimePoint{1s});
  CHECK(report.ended_by == EndReason::kSuccess);
  CHECK(clock.Now() == TimePoint{0s});
  CHECK(bucket->TokensAt(TimePoint{0s}) == -1);
}

TEST_CASE("a dry run that would have refused settles nothing") {
  FakeClock clock;
  const auto bucket = Bucket(1, 1);
  const auto call = Stack(RateLimit(bucket, {.max_wait = 0s, .dry_run = true},
                                    [](const Call&, const absl::Status&) { return 1; }))
                        .Around(kSucceed, &clock);
  for (int i = 0; i < 3; ++i) CHECK(call().ok());
  CHECK(bucket->TokensAt(TimePoint{0s}) == 0);
}

TEST_CASE("a dry run inside of another stack's attempt reports to the outer call") {
  FakeClock clock;
  const auto inner = Stack(RateLimit(Bucket(0, 0), {.dry_run = true})).Around(kSucceed, &clock);
  const auto outer = Stack(Timeout(1s)).Around(inner, &clock);
  Report report;
  CHECK(outer.With({.report = &report}).ok());
  CHECK(report.dry_run.size() == 1);
}

}  // namespace
}  // namespace holdfast::rate_limit_test
