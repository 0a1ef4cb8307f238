#include "holdfast/hedge/hedge.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "holdfast/breaker/circuit_break.h"
#include "holdfast/concurrency/bulkhead.h"
#include "holdfast/retry/nested_retry.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/attempts.h"
#include "test/support/catch.h"

namespace holdfast::hedge_test {
namespace {

using namespace std::chrono_literals;
using testing::Attempts;
using testing::FakeClock;

struct Fixture {
  Fixture() { clock.set_auto_advance(false); }

  // The call runs beside the test, which moves the time.
  template <class F>
  auto Begin(F call) {
    return std::async(std::launch::async, std::move(call));
  }

  FakeClock clock;
  Attempts attempts{clock};
  std::shared_ptr<ThreadPool> pool = std::make_shared<ThreadPool>(ThreadPool::Options{});
  HedgeOptions options{.delay = 10ms, .pool = pool};
};

TEST_CASE_METHOD(Fixture,
                 "a call that takes longer than the delay is sent again; the first success wins",
                 "[hedge]") {
  attempts.Script({{100ms, "slow"}, {5ms, "fast"}});
  const auto fetch = Stack(Hedge(options, HedgeAll())).Around(attempts.executor(), &clock);
  auto result = Begin([&] { return fetch(); });
  clock.AwaitWaiters(2);  // the caller and the first
  clock.Advance(10ms);
  clock.AwaitWaiters(3);
  clock.Advance(5ms);
  CHECK(result.get().value() == "fast");
  CHECK(clock.Now() == TimePoint(15ms));
  attempts.AwaitEnded(2);
  CHECK(attempts.stopped() == std::vector<int>{1});
}

TEST_CASE_METHOD(Fixture, "a call that is fast enough is sent once", "[hedge]") {
  attempts.Script({{9ms, "good"}});
  const auto fetch = Stack(Hedge(options, HedgeAll())).Around(attempts.executor(), &clock);
  auto result = Begin([&] { return fetch(); });
  clock.AwaitWaiters(2);
  clock.Advance(9ms);
  CHECK(result.get().value() == "good");
  CHECK(attempts.started() == 1);
}

TEST_CASE_METHOD(Fixture, "it is sent again max_hedges times at most", "[hedge]") {
  options.max_hedges = 2;
  attempts.Script({{100ms, "first"}, {100ms, "second"}, {100ms, "third"}});
  const auto fetch = Stack(Hedge(options, HedgeAll())).Around(attempts.executor(), &clock);
  auto result = Begin([&] { return fetch(); });
  clock.AwaitWaiters(2);
  for (int waiters = 3; waiters <= 4; ++waiters) {
    clock.Advance(10ms);
    clock.AwaitWaiters(waiters);
  }
  clock.Advance(70ms);
  clock.AwaitWaiters(4);
  CHECK(attempts.started() == 3);
  clock.Advance(10ms);
  CHECK(result.get().value() == "first");
}

TEST_CASE_METHOD(Fixture, "a failure waits for the one that is under way", "[hedge]") {
  attempts.Script({{15ms, absl::UnavailableError("first")}, {30ms, "second"}});
  const auto fetch = Stack(Hedge(options, HedgeAll())).Around(attempts.executor(), &clock);
  auto result = Begin([&] { return fetch(); });
  clock.AwaitWaiters(2);
  clock.Advance(10ms);
  clock.AwaitWaiters(3);
  clock.Advance(5ms);
  attempts.AwaitEnded(1);
  clock.AwaitWaiters(2);
  clock.Advance(25ms);
  CHECK(result.get().value() == "second");
}

TEST_CASE_METHOD(Fixture, "a failure with none under way ends the call at once", "[hedge]") {
  attempts.Script({{3ms, absl::UnavailableError("down")}});
  const auto fetch = Stack(Hedge(options, HedgeAll())).Around(attempts.executor(), &clock);
  auto result = Begin([&] { return fetch(); });
  clock.AwaitWaiters(2);
  clock.Advance(3ms);
  CHECK(result.get().status().message() == "down");
  CHECK(attempts.started() == 1);
}

TEST_CASE_METHOD(Fixture,
                 "of failures the first is the result, but no refusal where there is another",
                 "[hedge]") {
  // The bulkhead lets one through: the hedge is refused at once.
  attempts.Script({{20ms, absl::UnavailableError("the backend's own")}});
  const auto fetch = Stack(Hedge(options, HedgeAll()), Bulkhead({.limit = 1}, {.max_wait = 0ms}))
                         .Around(attempts.executor(), &clock);
  auto result = Begin([&] { return fetch(); });
  clock.AwaitWaiters(2);
  clock.Advance(10ms);
  clock.AwaitWaiters(2);
  clock.Advance(10ms);
  CHECK(result.get().status().message() == "the backend's own");
  CHECK(attempts.started() == 1);
}

TEST_CASE_METHOD(Fixture, "each hedge spends from the budget; without one left there is none",
                 "[hedge]") {
  options.budget = std::make_shared<RetryBudget>(
      RetryBudget::Options{.capacity = 1, .per_success = 0, .min_retries_per_second = 0});
  attempts.Script({{20ms, "slow"}, {1ms, "fast"}, {20ms, "slow"}});
  const auto fetch = Stack(Hedge(options, HedgeAll())).Around(attempts.executor(), &clock);
  auto first = Begin([&] { return fetch(); });
  clock.AwaitWaiters(2);
  clock.Advance(10ms);
  clock.AwaitWaiters(3);
  clock.Advance(1ms);
  CHECK(first.get().value() == "fast");
  CHECK(options.budget->balance() == 0);
  attempts.AwaitEnded(2);
  auto second = Begin([&] { return fetch(); });
  clock.AwaitWaiters(2);
  clock.Advance(10ms);
  clock.AwaitWaiters(2);
  clock.Advance(10ms);
  CHECK(second.get().value() == "slow");
  CHECK(attempts.started() == 3);
}

TEST_CASE_METHOD(Fixture, "a budget shared with Retry is repaid once for a success", "[hedge]") {
  options.budget = std::make_shared<RetryBudget>(
      RetryBudget::Options{.capacity = 10, .per_success = 0.5, .min_retries_per_second = 0});
  while (options.budget->TryWithdraw()) {
  }
  attempts.Script({{0ms, "good"}});
  const auto fetch = Stack(Retry({.budget = options.budget}), Hedge(options, HedgeAll()),
                           NestedRetry({.budget = options.budget}))
                         .Around(attempts.executor(), &clock);
  CHECK(fetch().value() == "good");
  CHECK(options.budget->balance() == 0.5);
}

TEST_CASE_METHOD(Fixture, "a loser is neutral to a breaker and no sample of latency", "[hedge]") {
  auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{.clock = &clock});
  options.latencies = std::make_shared<LatencyQuantile>(
      LatencyQuantile::Options{.quantile = 0.5, .min_samples = 1, .clock = &clock});
  attempts.Script({{100ms, absl::UnavailableError("too late")}, {5ms, "fast"}});
  const auto fetch =
      Stack(Hedge(options, HedgeAll()), CircuitBreak(breaker)).Around(attempts.executor(), &clock);
  auto result = Begin([&] { return fetch(); });
  clock.AwaitWaiters(2);
  clock.Advance(10ms);
  clock.AwaitWaiters(3);
  clock.Advance(5ms);
  CHECK(result.get().value() == "fast");
  pool.reset();
  attempts.AwaitEnded(2);
  while (breaker->counts().ignored == 0) std::this_thread::yield();
  const BreakerCounts counts = breaker->counts();
  CHECK(counts.requests == 2);
  CHECK(counts.successes == 1);
  CHECK(counts.failures == 0);
  // What the call took from its first sending, not what the winner did.
  const Duration learned = options.latencies->Value().value();
  CHECK(learned > 14ms);
  CHECK(learned < 16ms);
}

TEST_CASE_METHOD(Fixture, "the delay is the quantile of what was seen", "[hedge]") {
  options.delay = 1h;
  options.latencies = std::make_shared<LatencyQuantile>(
      LatencyQuantile::Options{.quantile = 0.9, .min_samples = 1, .clock = &clock});
  const Hedge hedge(options);
  CHECK(hedge.NextBranch(clock.Now(), 1) == TimePoint(1h));
  options.latencies->Record(20ms);
  const TimePoint learned = hedge.NextBranch(clock.Now(), 1);
  CHECK(learned > TimePoint(19ms));
  CHECK(learned < TimePoint(21ms));
  CHECK(hedge.NextBranch(clock.Now(), 2) == TimePoint::max());
}

TEST_CASE_METHOD(Fixture, "without a pool the blocking driver does not take a hedge", "[hedge]") {
  options.pool = nullptr;
  const Stack stack(Retry({}), Hedge(options, HedgeAll()));
  CHECK_THROWS_AS(stack.Around(attempts.executor()), std::invalid_argument);
}

TEST_CASE_METHOD(Fixture, "a pool without a thread refuses the call, and a hedge silently",
                 "[hedge]") {
  options.pool = std::make_shared<ThreadPool>(
      ThreadPool::Options{.max_threads = 1, .max_queue = 0, .name = "p"});
  attempts.Script({{20ms, "only"}});
  const Hedge hedge(options, HedgeAll());
  const auto fetch = Stack(hedge).Around(attempts.executor(), &clock);
  auto result = Begin([&] { return fetch(); });
  clock.AwaitWaiters(2);
  const auto refused = fetch();
  CHECK(refused.status().code() == absl::StatusCode::kResourceExhausted);
  CHECK(RejectionOf(refused.status()).value().policy == "ThreadPool");
  clock.Advance(10ms);
  clock.AwaitWaiters(2);
  clock.Advance(10ms);
  CHECK(result.get().value() == "only");
  CHECK(attempts.started() == 1);
  CHECK(hedge.budget()->balance() == 100);  // what was not sent cost nothing
}

TEST_CASE_METHOD(Fixture, "a stop request ends the call at once, and its attempts when they look",
                 "[hedge]") {
  std::stop_source stop;
  attempts.Script({{1h, "never"}, {1h, "never"}});
  const auto fetch = Stack(Hedge(options, HedgeAll())).Around(attempts.executor(), &clock);
  auto result = Begin([&] { return fetch.With({.stop = stop.get_token()}); });
  clock.AwaitWaiters(2);
  clock.Advance(10ms);
  clock.AwaitWaiters(3);
  stop.request_stop();
  CHECK(result.get().status().code() == absl::StatusCode::kCancelled);
  attempts.AwaitEnded(2);
  CHECK(attempts.stopped().size() == 2);
}

TEST_CASE_METHOD(Fixture,
                 "the call goes on at its deadline, and lets its attempts end by themselves",
                 "[hedge]") {
  attempts.Ignore();  // the deadline, and requests to stop
  attempts.Script({{50ms, "late"}, {50ms, "later"}});
  const auto fetch =
      Stack(Timeout(20ms), Hedge(options, HedgeAll())).Around(attempts.executor(), &clock);
  auto result = Begin([&] { return fetch(); });
  clock.AwaitWaiters(2);
  clock.Advance(10ms);
  clock.AwaitWaiters(3);
  clock.Advance(10ms);
  const absl::Status status = result.get().status();
  CHECK(status.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(!RejectionOf(status));
  clock.Advance(50ms);
  attempts.AwaitEnded(2);
}

TEST_CASE_METHOD(Fixture, "the report has every branch as an attempt", "[hedge]") {
  attempts.Script({{12ms, absl::UnavailableError("first")}, {20ms, "second"}});
  const auto fetch =
      Stack(Retry({}), Hedge(options, HedgeAll())).Around(attempts.executor(), &clock);
  Report report;
  auto result = Begin([&] { return fetch.With({.report = &report}); });
  clock.AwaitWaiters(2);
  clock.Advance(10ms);
  clock.AwaitWaiters(3);
  clock.Advance(2ms);
  attempts.AwaitEnded(1);
  while (pool->idle() == 0) std::this_thread::yield();  // until the call can know of it
  clock.AwaitWaiters(2);
  clock.Advance(18ms);
  REQUIRE(result.get().ok());
  CHECK(report.attempts == 2);
  CHECK(report.ended_by == EndReason::kSuccess);
  REQUIRE(report.history.size() == 2);
  CHECK(report.history[0].outcome.message() == "first");
  CHECK(report.history[1].outcome.ok());
  CHECK(report.history[1].start == TimePoint(10ms));
  CHECK(attempts.numbers() == std::vector<int>{1, 2});
}

TEST_CASE_METHOD(Fixture, "the report has what was not awaited, and what was retried", "[hedge]") {
  attempts.Script({{1ms, absl::UnavailableError("down")}, {1h, "never"}, {1ms, "good"}});
  const auto budget = std::make_shared<RetryBudget>(
      RetryBudget::Options{.capacity = 100, .min_retries_per_second = 0});
  const auto fetch = Stack(Retry({.backoff = Backoff::Constant(7ms), .budget = budget}),
                           Hedge(options, HedgeAll()))
                         .Around(attempts.executor(), &clock);
  Report report;
  auto result = Begin([&] { return fetch.With({.report = &report}); });
  clock.AwaitWaiters(2);
  clock.Advance(1ms);
  while (budget->balance() == 100) std::this_thread::yield();  // until it has decided to retry
  clock.Advance(7ms);
  clock.AwaitWaiters(2);
  clock.Advance(10ms);
  clock.AwaitWaiters(3);
  clock.Advance(1ms);
  REQUIRE(result.get().ok());
  CHECK(report.attempts == 3);
  CHECK(report.waited == 7ms);
  REQUIRE(report.history.size() == 3);
  CHECK(report.history[1].delay == 7ms);
  CHECK(report.history[1].outcome.code() == absl::StatusCode::kUnknown);
  CHECK(report.history[2].outcome.ok());
  attempts.AwaitEnded(3);
}

TEST_CASE_METHOD(Fixture, "an exception is a failure while another is under way, and passes if not",
                 "[hedge]") {
  attempts.Script(
      {{12ms, std::runtime_error("boom")}, {20ms, "good"}, {0ms, std::runtime_error("bang")}});
  const auto fetch = Stack(Hedge(options, HedgeAll())).Around(attempts.executor(), &clock);
  auto result = Begin([&] { return fetch(); });
  clock.AwaitWaiters(2);
  clock.Advance(10ms);
  clock.AwaitWaiters(3);
  clock.Advance(2ms);
  attempts.AwaitEnded(1);
  clock.AwaitWaiters(2);
  clock.Advance(18ms);
  CHECK(result.get().value() == "good");
  CHECK_THROWS_WITH(fetch(), "bang");
}

TEST_CASE_METHOD(Fixture, "bad options are refused", "[hedge]") {
  CHECK_THROWS_AS(Hedge({.delay = 0ms}), std::invalid_argument);
  CHECK_THROWS_AS(Hedge({.max_hedges = 0}), std::invalid_argument);
  CHECK_THROWS_AS(Hedge({.max_hedges = HedgeOptions::kMaxHedges + 1}), std::invalid_argument);
  CHECK(Validate(HedgeOptions{}).ok());
}

}  // namespace
}  // namespace holdfast::hedge_test
