// Pairs of policies that have gone wrong elsewhere, and what a call gives back when it ends early.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <vector>

#include "holdfast/holdfast.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"

namespace holdfast::pairs_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

std::shared_ptr<CircuitBreaker> Breaker(CircuitBreaker::Options options = {}) {
  return std::make_shared<CircuitBreaker>(std::move(options));
}

// Trips on the first failure, for ten seconds.
std::shared_ptr<CircuitBreaker> TouchyBreaker() {
  return Breaker({.timeout = 10s, .ready_to_trip = [](const BreakerCounts&) { return true; }});
}

const auto kSucceed = [] { return absl::OkStatus(); };

TEST_CASE("what an inner policy refuses is no failure to a breaker") {
  FakeClock clock;
  const auto breaker = TouchyBreaker();
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  const auto held = semaphore->TryAcquire();
  const auto refusing = GENERATE(0, 1, 2, 3);
  const auto check = [&](const auto& stack) {
    const auto call = stack.Around(kSucceed, &clock);
    for (int i = 0; i < 10; ++i) CHECK_FALSE(call().ok());
  };
  if (refusing == 0) {
    const auto bucket = std::make_shared<TokenBucket>(TokenBucket::Options{.rate = 0, .burst = 1});
    bucket->SetBurstAt(TimePoint::min(), 0);
    check(Stack(CircuitBreak(breaker), RateLimit(bucket)));
  }
  if (refusing == 1) {
    check(Stack(CircuitBreak(breaker), Bulkhead(semaphore, {.max_wait = 0s})));
  }
  if (refusing == 2) {
    check(Stack(CircuitBreak(breaker), Timeout(1s),
                Bulkhead(semaphore, {.max_wait = Duration::max()})));
  }
  if (refusing == 3) {
    // Through a retry in between, and as a status from a stack in the executor.
    const auto inner = Stack(Bulkhead(semaphore, {.max_wait = 0s})).Around(kSucceed, &clock);
    const auto call = Stack(CircuitBreak(breaker), Retry({.max_attempts = 2}))
                          .Around([&] { return inner(); }, &clock);
    for (int i = 0; i < 10; ++i) CHECK_FALSE(call().ok());
  }
  CHECK(breaker->StateAt(clock.Now()) == BreakerState::kClosed);
  CHECK(breaker->CountsAt(clock.Now()).ignored == 10);
}

TEST_CASE("an open breaker is not hammered by retry") {
  FakeClock clock;
  const auto breaker = TouchyBreaker();
  int runs = 0;
  const auto call =
      Stack(
          Retry({.max_attempts = 5, .backoff = Backoff::Constant(1ms), .wait_for_refusals = true}),
          CircuitBreak(breaker))
          .Around([&] { return ++runs, absl::UnavailableError("down"); }, &clock);
  Report report;

  // The breaker opens at the first failure, for longer than the call has.
  CHECK(call.With({.deadline = clock.Now() + 5s, .report = &report}).code() ==
        absl::StatusCode::kUnavailable);
  CHECK(runs == 1);
  CHECK(report.ended_by == EndReason::kDeadline);
  CHECK(report.retry_at == TimePoint{10s + 1ns});
  CHECK(clock.Now() == TimePoint{1ms});  // one look at the open breaker, no sleep towards it

  // With time enough it comes back when a probe is due, and not before.
  CHECK(call.With({.deadline = clock.Now() + 200s, .report = &report}).code() ==
        absl::StatusCode::kUnavailable);
  CHECK(runs == 3);
  REQUIRE(report.history.size() == 2);
  CHECK(report.history[0].start >= TimePoint{10s + 1ns});
  CHECK(report.history[1].start >= report.history[0].start + 10s);
}

TEST_CASE("a retry around a stack of its own executor learns when its breaker may be asked again") {
  FakeClock clock;
  const auto breaker = TouchyBreaker();
  breaker->AdmitAt(clock.Now())->DoneAt(clock.Now(), Outcome::kFailure);
  const auto inner = Stack(CircuitBreak(breaker)).Around(kSucceed, &clock);
  const AnyExecutor<absl::Status()> any = inner;
  const auto call =
      Stack(Retry({.backoff = Backoff::Constant(1ms), .wait_for_refusals = true, .seed = 1}))
          .Around(any, &clock);
  Report report;
  CHECK(call.With({.report = &report}).ok());
  CHECK(report.attempts == 2);
  CHECK(clock.Now() > TimePoint{10s + 1ns});
  CHECK(clock.Now() <= TimePoint{10s + 1ns + 80s});  // spread as the inner breaker says
}

TEST_CASE("a throw from the executor inside a half-open probe leaves the breaker usable") {
  FakeClock clock;
  const auto breaker = TouchyBreaker();
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  bool throws = true;
  const auto call = Stack(Retry({}), CircuitBreak(breaker), Bulkhead(semaphore))
                        .Around(
                            [&] {
                              if (throws) throw std::runtime_error("boom");
                              return absl::OkStatus();
                            },
                            &clock);
  CHECK_THROWS(call());
  CHECK(breaker->StateAt(clock.Now()) == BreakerState::kOpen);
  clock.Advance(11s);
  CHECK_THROWS(call());  // the probe
  CHECK(breaker->StateAt(clock.Now()) == BreakerState::kOpen);
  CHECK(semaphore->in_use() == 0);
  throws = false;
  clock.Advance(11s);
  CHECK(call().ok());
  CHECK(breaker->StateAt(clock.Now()) == BreakerState::kClosed);
}

TEST_CASE("a breaker opens when the executor threw, not when the attempt began") {
  FakeClock clock;
  const auto breaker = TouchyBreaker();
  const auto call = Stack(CircuitBreak(breaker))
                        .Around(
                            [&]() -> absl::Status {
                              clock.Advance(5s);
                              throw std::runtime_error("boom");
                            },
                            &clock);
  CHECK_THROWS(call());
  CHECK(breaker->retry_at() == TimePoint{15s + 1ns});
}

TEST_CASE("a probe whose caller cancels it is neutral") {
  FakeClock clock;
  clock.set_auto_advance(false);
  const auto breaker = TouchyBreaker();
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  breaker->AdmitAt(clock.Now())->DoneAt(clock.Now(), Outcome::kFailure);
  clock.Advance(11s);
  const auto held = semaphore->TryAcquire();
  const auto call = Stack(CircuitBreak(breaker), Bulkhead(semaphore)).Around(kSucceed, &clock);
  std::stop_source stop;
  std::jthread caller([&] { (void)call.With({.stop = stop.get_token()}); });
  clock.AwaitWaiters(1);
  CHECK_FALSE(breaker->AdmitAt(clock.Now()).ok());  // the only probe is out
  stop.request_stop();
  caller.join();
  CHECK(breaker->StateAt(clock.Now()) == BreakerState::kHalfOpen);
  CHECK(breaker->AdmitAt(clock.Now()).ok());
}

TEST_CASE("a retry does not hold the permit of its last attempt while it waits") {
  FakeClock clock;
  clock.set_auto_advance(false);
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  const auto call =
      Stack(Retry({.max_attempts = 2, .backoff = Backoff::Constant(1s)}), Bulkhead(semaphore))
          .Around([] { return absl::UnavailableError("busy"); }, &clock);
  std::jthread caller([&] { (void)call(); });
  clock.AwaitWaiters(1);
  CHECK(semaphore->in_use() == 0);
  clock.Advance(1s);
}

TEST_CASE("a stop request wakes a retry") {
  FakeClock clock;
  clock.set_auto_advance(false);
  const auto call = Stack(Retry({.backoff = Backoff::Constant(1h)}))
                        .Around([] { return absl::UnavailableError("busy"); }, &clock);
  std::stop_source stop;
  absl::Status status;
  Report report;
  std::jthread caller([&] { status = call.With({.stop = stop.get_token(), .report = &report}); });
  clock.AwaitWaiters(1);
  stop.request_stop();
  caller.join();
  CHECK(status.code() == absl::StatusCode::kCancelled);
  CHECK(report.ended_by == EndReason::kCancelled);
  CHECK(report.attempts == 1);
}

TEST_CASE("an attempt's timeout ends what waits below it, and the next attempt has its own") {
  FakeClock clock;
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  const auto held = semaphore->TryAcquire();
  const auto call =
      Stack(Timeout(10s),
            Retry({.max_attempts = 3, .backoff = Backoff::Constant(1s), .wait_for_refusals = true}),
            Timeout(2s), Bulkhead(semaphore, {.max_wait = Duration::max()}))
          .Around(kSucceed, &clock);
  Report report;
  const absl::Status status = call.With({.report = &report});
  CHECK(status.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(RejectionOf(status)->policy == "Bulkhead");
  CHECK(report.attempts == 0);
  CHECK(report.ended_by == EndReason::kAttempts);
  CHECK(clock.Now() == TimePoint{8s});
}

// Whatever way a call ends, everything it held is back: the token of a wait, the permit, the
// ticket.
TEST_CASE("a token, a permit and a ticket survive nothing") {
  enum class End { kSuccess, kFailure, kThrow, kCancelInBucket, kDeadlineInBucket };
  const End end = GENERATE(End::kSuccess, End::kFailure, End::kThrow, End::kCancelInBucket,
                           End::kDeadlineInBucket);
  FakeClock clock;
  const bool waits = end == End::kCancelInBucket || end == End::kDeadlineInBucket;
  const auto breaker = Breaker({.ready_to_trip = [](const BreakerCounts&) { return false; }});
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  auto bucket = std::make_shared<TokenBucket>(TokenBucket::Options{.rate = 1, .burst = 1});
  const auto call =
      Stack(Timeout(10s), Retry({.max_attempts = 1}), CircuitBreak(breaker), Bulkhead(semaphore),
            RateLimit(bucket, {.max_wait = 10s}), Timeout(5s))
          .Around(
              [&]() -> absl::Status {
                if (end == End::kThrow) throw std::runtime_error("boom");
                return end == End::kFailure ? absl::InternalError("bad") : absl::OkStatus();
              },
              &clock);
  if (waits) CHECK(bucket->AllowAt(clock.Now()));
  std::stop_source stop;
  CallOptions options{.stop = stop.get_token()};
  if (end == End::kDeadlineInBucket) options.deadline = TimePoint{500ms};
  if (end == End::kThrow) {
    CHECK_THROWS(call.With(options));
  } else if (end == End::kCancelInBucket) {
    clock.set_auto_advance(false);
    std::jthread caller([&] { (void)call.With(options); });
    clock.AwaitWaiters(1);
    CHECK(semaphore->in_use() == 1);
    stop.request_stop();
  } else {
    (void)call.With(options);
  }
  CHECK(semaphore->in_use() == 0);
  CHECK(bucket->TokensAt(clock.Now()) == 0);
  const BreakerCounts counts = breaker->CountsAt(clock.Now());
  CHECK(counts.requests == 1);
  CHECK(counts.successes + counts.failures + counts.ignored == 1);
  CHECK(counts.successes == (end == End::kSuccess ? 1 : 0));
  CHECK(counts.ignored == (waits ? 1 : 0));
}

TEST_CASE("one stack serves many threads, and all it holds comes back") {
  const auto breaker = Breaker({.max_requests = 3, .timeout = 100us});
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 2});
  const auto call =
      Stack(Timeout(20ms), Retry({.max_attempts = 3, .backoff = Backoff::Constant(20us)}),
            CircuitBreak(breaker), RateLimit(TokenBucket::Options{.rate = 1e6, .burst = 10}),
            Bulkhead(semaphore), Timeout(10ms))
          .Around([](int i) -> absl::StatusOr<int> {
            if (i % 11 == 0) throw std::runtime_error("boom");
            if (i % 3 == 0) return absl::UnavailableError("busy");
            return i;
          });
  std::atomic<int> thrown = 0;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 1'000; ++i) {
        try {
          (void)call(i * 4 + t);
        } catch (const std::runtime_error&) {
          ++thrown;
        }
      }
    });
  }
  threads.clear();
  CHECK(thrown > 0);
  CHECK(semaphore->in_use() == 0);
  CHECK(semaphore->queued() == 0);
  // No place of a probe is lost: it still closes, whatever state it was left in.
  const TimePoint later = SteadyClock()->Now() + 1s;
  for (int i = 0; i < 3; ++i) breaker->AdmitAt(later)->DoneAt(later, Outcome::kSuccess);
  CHECK(breaker->StateAt(later) == BreakerState::kClosed);
}

}  // namespace
}  // namespace holdfast::pairs_test
