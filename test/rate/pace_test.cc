#include "holdfast/rate/pace.h"

#include <absl/status/status.h>

#include <memory>
#include <stdexcept>
#include <stop_token>
#include <thread>

#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"

namespace holdfast::pace_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

std::shared_ptr<Pacer> MakePacer(double rate, std::int64_t slack = 0) {
  return std::make_shared<Pacer>(Pacer::Options{.rate = rate, .slack = slack, .name = "api"});
}

const auto kSucceed = [] { return absl::OkStatus(); };

TEST_CASE("Pace spaces calls out") {
  FakeClock clock;
  const auto call = Stack(Pace(MakePacer(10))).Around(kSucceed, &clock);
  Report report;
  for (int i = 0; i < 11; ++i) CHECK(call.With({.report = &report}).ok());
  CHECK(clock.Now() == TimePoint{1s});
  CHECK(report.waited == 100ms);
}

TEST_CASE("calls that come late make up for it, as far as the slack goes") {
  FakeClock clock;
  const auto call = Stack(Pace(MakePacer(10, 2))).Around(kSucceed, &clock);
  CHECK(call().ok());
  clock.Advance(1h);
  for (int i = 0; i < 3; ++i) CHECK(call().ok());
  CHECK(clock.Now() == TimePoint{1h});
  CHECK(call().ok());
  CHECK(clock.Now() == TimePoint{1h + 100ms});
}

TEST_CASE("inside of Retry each attempt takes a place") {
  FakeClock clock;
  const auto fail = [] { return absl::UnavailableError("down"); };
  const auto call =
      Stack(Retry({.max_attempts = 3, .backoff = Backoff::Constant(0s)}), Pace(MakePacer(10)))
          .Around(fail, &clock);
  CHECK(call().code() == absl::StatusCode::kUnavailable);
  CHECK(clock.Now() == TimePoint{200ms});
}

TEST_CASE("a place that would come after the deadline is refused at once, untaken") {
  FakeClock clock;
  const auto pacer = MakePacer(1);
  const auto call = Stack(Timeout(500ms), Pace(pacer)).Around(kSucceed, &clock);
  CHECK(call().ok());
  Report report;
  const absl::Status refused = call.With({.report = &report});
  CHECK(refused.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(RejectionOf(refused)->kind == RejectionKind::kDeadline);
  CHECK(RejectionOf(refused)->policy == "Pace");
  CHECK(RejectionOf(refused)->name == "api");
  CHECK(report.retry_at == TimePoint{1s});
  CHECK(report.ended_by == EndReason::kDeadline);
  CHECK(clock.Now() == TimePoint{0s});
  CHECK(pacer->TakeAt(TimePoint{0s}) == TimePoint{1s});
}

TEST_CASE("a call whose deadline has passed takes no place") {
  FakeClock clock(TimePoint{100s});
  const auto pacer = MakePacer(1);
  const auto call = Stack(Pace(pacer)).Around(kSucceed, &clock);
  CHECK(call.With({.deadline = TimePoint{4s}}).code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(pacer->TakeAt(TimePoint{100s}) == TimePoint{100s});
}

TEST_CASE("a place that takes longer than max_wait is refused at once, untaken") {
  FakeClock clock;
  const auto call = Stack(Pace(MakePacer(1), {.max_wait = 999ms})).Around(kSucceed, &clock);
  CHECK(call().ok());
  Report report;
  const absl::Status refused = call.With({.report = &report});
  CHECK(refused.code() == absl::StatusCode::kResourceExhausted);
  CHECK(RejectionOf(refused)->kind == RejectionKind::kRateLimited);
  CHECK(RejectionOf(refused)->policy == "Pace");
  CHECK(report.retry_at == TimePoint{1s});
  CHECK(report.ended_by == EndReason::kRejected);
  clock.Advance(1ms);
  CHECK(call().ok());
  CHECK(clock.Now() == TimePoint{1s});
}

TEST_CASE("a place that never comes is refused whatever the deadline") {
  FakeClock clock;
  const auto call = Stack(Pace(MakePacer(1e-300))).Around(kSucceed, &clock);
  CHECK(call().ok());
  CHECK(call().code() == absl::StatusCode::kResourceExhausted);
  CHECK(call.With({.deadline = TimePoint{1h}}).code() == absl::StatusCode::kResourceExhausted);
}

TEST_CASE("a call that is stopped while it waits gives its place back") {
  FakeClock clock;
  clock.set_auto_advance(false);
  const auto pacer = MakePacer(1);
  const auto call = Stack(Pace(pacer)).Around(kSucceed, &clock);
  CHECK(call().ok());
  std::stop_source stop;
  absl::Status status;
  std::jthread caller([&] { status = call.With({.stop = stop.get_token()}); });
  clock.AwaitWaiters(1);
  CHECK_FALSE(pacer->TryTakeAt(TimePoint{0s}, 1999ms));
  stop.request_stop();
  caller.join();
  CHECK(status.code() == absl::StatusCode::kCancelled);
  CHECK(pacer->TakeAt(TimePoint{0s}) == TimePoint{1s});
}

TEST_CASE("a call that has gone on keeps its place, however it ends") {
  FakeClock clock;
  const auto pacer = MakePacer(1);
  const auto throwing = [] { return throw std::runtime_error("broken"), absl::OkStatus(); };
  const auto call = Stack(Pace(pacer)).Around(throwing, &clock);
  CHECK_THROWS_AS(call(), std::runtime_error);
  CHECK_THROWS_AS(call(), std::runtime_error);
  CHECK(clock.Now() == TimePoint{1s});
  CHECK(pacer->TakeAt(clock.Now()) == TimePoint{2s});
}

TEST_CASE("a pacer of an infinite rate lets all through") {
  FakeClock clock;
  const auto call = Stack(Pace(MakePacer(kInfiniteRate))).Around(kSucceed, &clock);
  for (int i = 0; i < 100; ++i) CHECK(call().ok());
  CHECK(clock.Now() == TimePoint{0s});
}

TEST_CASE("Pace may be made from options, and refuses senseless ones") {
  CHECK(Stack(Pace(Pacer::Options{.rate = 1})).Around(kSucceed)().ok());
  CHECK_THROWS_AS(Pace(Pacer::Options{.rate = -1}), std::invalid_argument);
  CHECK_THROWS_AS(Pace(MakePacer(1), {.max_wait = -1s}), std::invalid_argument);
  CHECK_THROWS_AS(Pace(std::shared_ptr<Pacer>()), std::invalid_argument);
}

}  // namespace
}  // namespace holdfast::pace_test
