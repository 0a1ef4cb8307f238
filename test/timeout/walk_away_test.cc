// Timeout given a thread pool.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "holdfast/base/thread_pool.h"
#include "holdfast/breaker/circuit_break.h"
#include "holdfast/concurrency/bulkhead.h"
#include "holdfast/fallback/fallback.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/attempts.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::walk_away_test {
namespace {

using namespace std::chrono_literals;
using testing::Attempts;
using testing::FakeClock;

std::shared_ptr<ThreadPool> NewPool(std::int64_t threads = 64) {
  return std::make_shared<ThreadPool>(ThreadPool::Options{.max_threads = threads, .name = "pool"});
}

struct Fixture {
  Fixture() {
    clock.set_auto_advance(false);
    attempts.Ignore();
  }

  template <class F>
  auto Begin(F call) {
    return std::async(std::launch::async, std::move(call));
  }
  void AwaitInUse(std::int64_t n) const {
    while (semaphore->in_use() != n) std::this_thread::yield();
  }

  FakeClock clock;
  Attempts attempts{clock};
  std::shared_ptr<Semaphore> semaphore =
      std::make_shared<Semaphore>(Semaphore::Options{.limit = 10});
};

TEST_CASE_METHOD(Fixture,
                 "the call goes on at the deadline; the attempt keeps its permit to its end",
                 "[walk_away]") {
  attempts.Script({{5s, "late"}});
  const auto fetch =
      Stack(Bulkhead(semaphore), Timeout(1s, NewPool())).Around(attempts.executor(), &clock);
  auto result = Begin([&] { return fetch(); });
  clock.AwaitWaiters(2);
  clock.Advance(1s);
  const absl::Status status = result.get().status();
  CHECK(status.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(!RejectionOf(status));  // the backend was asked
  CHECK(semaphore->in_use() == 1);
  clock.Advance(4s);
  AwaitInUse(0);
}

TEST_CASE_METHOD(Fixture, "an attempt that was left goes by the options that its call found",
                 "[walk_away]") {
  attempts.Script({{5s, "late"}, {3s, "in time by the new limit"}});
  const auto limit = std::make_shared<Settings<TimeoutOptions>>(TimeoutOptions{.limit = 1s});
  const auto inner = std::make_shared<Settings<TimeoutOptions>>(TimeoutOptions{.limit = 10s});
  const auto fetch = Stack(Bulkhead(semaphore), Timeout(limit, NewPool()), Timeout(inner))
                         .Around(attempts.executor(), &clock);
  auto first = Begin([&] { return fetch(); });
  clock.AwaitWaiters(2);
  CHECK(limit->Update({.limit = 4s}).ok());
  CHECK(inner->Update({.limit = 4s}).ok());
  clock.Advance(1s);
  CHECK(first.get().status().code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(semaphore->in_use() == 1);
  CHECK(limit->Update({.limit = 5s}).ok());
  auto second = Begin([&] { return fetch(); });
  clock.AwaitWaiters(3);
  clock.Advance(4s);  // 5 s for the first, 4 s for the second
  CHECK(second.get().value() == "in time by the new limit");
  AwaitInUse(0);
}

TEST_CASE_METHOD(Fixture, "of an attempt in time nothing lingers", "[walk_away]") {
  attempts.Script(
      {{0ms, "good"}, {0ms, absl::NotFoundError("no")}, {0ms, std::runtime_error("boom")}});
  const auto fetch =
      Stack(Bulkhead(semaphore), Timeout(1s, NewPool())).Around(attempts.executor(), &clock);
  CHECK(fetch().value() == "good");
  CHECK(semaphore->in_use() == 0);
  CHECK(fetch().status().message() == "no");
  CHECK_THROWS_WITH(fetch(), "boom");
  CHECK(semaphore->in_use() == 0);
}

TEST_CASE_METHOD(Fixture, "only the permit of the attempt that was left is kept", "[walk_away]") {
  attempts.Script({{1h, "never"}, {0ms, "good"}});
  const auto fetch =
      Stack(Retry({.backoff = Backoff::Constant(0ms)}), Bulkhead(semaphore), Timeout(1s, NewPool()))
          .Around(attempts.executor(), &clock);
  auto result = Begin([&] { return fetch(); });
  clock.AwaitWaiters(2);
  clock.Advance(1s);
  CHECK(result.get().value() == "good");
  CHECK(semaphore->in_use() == 1);
  clock.Advance(1h);
  AwaitInUse(0);
}

TEST_CASE_METHOD(Fixture, "a permit outside of the retries is kept for what is left of any",
                 "[walk_away]") {
  attempts.Script({{1h, "never"}, {0ms, "good"}});
  const auto fetch =
      Stack(Bulkhead(semaphore), Retry({.backoff = Backoff::Constant(0ms)}), Timeout(1s, NewPool()))
          .Around(attempts.executor(), &clock);
  auto result = Begin([&] { return fetch(); });
  clock.AwaitWaiters(2);
  clock.Advance(1s);
  CHECK(result.get().value() == "good");
  CHECK(semaphore->in_use() == 1);
  clock.Advance(1h);
  AwaitInUse(0);
}

TEST_CASE_METHOD(Fixture, "a permit of a stack around the stack is kept as well", "[walk_away]") {
  attempts.Script({{1h, "never"}});
  const auto inner = Stack(Timeout(1s, NewPool())).Around(attempts.executor(), &clock);
  const auto fetch = Stack(Bulkhead(semaphore)).Around(inner, &clock);
  auto result = Begin([&] { return fetch(); });
  clock.AwaitWaiters(2);
  clock.Advance(1s);
  CHECK(!result.get().ok());
  CHECK(semaphore->in_use() == 1);
  clock.Advance(1h);
  AwaitInUse(0);
}

TEST_CASE_METHOD(Fixture, "so it is where what walks away is below what walked away",
                 "[walk_away]") {
  attempts.Script({{1h, "never"}});
  auto inner = std::make_shared<Semaphore>(Semaphore::Options{.limit = 10});
  const auto fetch =
      Stack(Bulkhead(semaphore), Timeout(2s, NewPool()), Bulkhead(inner), Timeout(1s, NewPool()))
          .Around(attempts.executor(), &clock);
  auto result = Begin([&] { return fetch(); });
  clock.AwaitWaiters(3);
  clock.Advance(1s);
  CHECK(result.get().status().code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(semaphore->in_use() == 1);
  CHECK(inner->in_use() == 1);
  clock.Advance(1h);
  AwaitInUse(0);
  while (inner->in_use() != 0) std::this_thread::yield();
}

TEST_CASE_METHOD(Fixture, "to a breaker outside it is a failure; one inside sees the real end",
                 "[walk_away]") {
  auto outside = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{.clock = &clock});
  auto inside = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{.clock = &clock});
  attempts.Script({{5s, "late"}});
  const auto fetch = Stack(CircuitBreak(outside), Timeout(1s, NewPool()), CircuitBreak(inside))
                         .Around(attempts.executor(), &clock);
  auto result = Begin([&] { return fetch(); });
  clock.AwaitWaiters(2);
  clock.Advance(1s);
  CHECK(!result.get().ok());
  CHECK(outside->counts().failures == 1);
  clock.Advance(4s);
  while (inside->counts().successes == 0) std::this_thread::yield();
  CHECK(inside->counts().failures == 0);
}

TEST_CASE_METHOD(Fixture, "an attempt that got no thread in time never runs", "[walk_away]") {
  attempts.Script({{1h, "never"}, {0ms, "queued"}});
  {
    const auto fetch = Stack(Timeout(1s, NewPool(1))).Around(attempts.executor(), &clock);
    auto first = Begin([&] { return fetch(); });
    clock.AwaitWaiters(2);
    auto second = Begin([&] { return fetch(); });
    clock.AwaitWaiters(3);
    clock.Advance(1s);
    CHECK(!first.get().ok());
    CHECK(second.get().status().code() == absl::StatusCode::kDeadlineExceeded);
    clock.Advance(1h);
  }
  CHECK(attempts.started() == 1);
}

TEST_CASE_METHOD(Fixture, "the attempt has its own copies, and outlives the stack and its policies",
                 "[walk_away]") {
  std::atomic<bool> begun = false;
  std::atomic<bool> go = false;
  std::promise<std::string> seen;
  auto pool = NewPool();
  {
    std::string argument = "a string that is too long to be stored inside of a string object";
    auto captured = std::make_shared<int>(1);
    const auto fetch = Stack(Timeout(1s, pool))
                           .Around(
                               [&begun, &go, &seen, captured](const std::string& what) {
                                 begun = true;
                                 while (!go) std::this_thread::yield();
                                 seen.set_value(what + std::to_string(*captured));
                                 return absl::OkStatus();
                               },
                               &clock);
    auto result = Begin([&] { return fetch.With({.key = argument}, argument); });
    while (!begun) std::this_thread::yield();
    clock.Advance(1s);
    CHECK(result.get().code() == absl::StatusCode::kDeadlineExceeded);
    argument = "gone";
  }
  go = true;
  CHECK(seen.get_future().get() ==
        "a string that is too long to be stored inside of a string object1");
}

TEST_CASE_METHOD(Fixture, "without one it is cooperative: what comes late stands", "[walk_away]") {
  clock.set_auto_advance(true);
  attempts.Script({{5s, "late"}});
  const auto fetch = Stack(Timeout(1s)).Around(attempts.executor(), &clock);
  CHECK(fetch().value() == "late");
}

TEST_CASE_METHOD(Fixture, "the retries of a whole call that is walked away from are in its report",
                 "[walk_away]") {
  clock.set_auto_advance(true);
  attempts.Script({{0ms, absl::UnavailableError("one")}, {0ms, absl::UnavailableError("two")}});
  const auto fetch =
      Stack(Timeout(1h, NewPool()), Retry({.max_attempts = 2, .backoff = Backoff::Constant(3ms)}))
          .Around(attempts.executor(), &clock);
  Report report;
  CHECK(fetch.With({.report = &report}).status().message() == "two");
  CHECK(report.attempts == 2);
  CHECK(report.ended_by == EndReason::kAttempts);
  CHECK(report.waited == 3ms);
  REQUIRE(report.history.size() == 2);
  CHECK(report.history[1].delay == 3ms);
}

// The call once kept what it had left, and with it its own permit.
TEST_CASE_METHOD(Fixture,
                 "a retry gets the permit of the attempt that was left, when that has ended",
                 "[walk_away]") {
  attempts.Script({{80ms, "late"}, {0ms, "good"}});
  semaphore->SetLimit(1);
  const auto fetch = Stack(Retry({.backoff = Backoff::Constant(0ms)}), Bulkhead(semaphore),
                           Timeout(50ms, NewPool()))
                         .Around(attempts.executor(), &clock);
  auto result = Begin([&] { return fetch(); });
  clock.AwaitWaiters(2);
  clock.Advance(50ms);
  while (semaphore->queued() == 0) std::this_thread::yield();
  clock.Advance(30ms);
  CHECK(result.get().value() == "good");
}

TEST_CASE_METHOD(Fixture, "a call that is stopped is cancelled for every policy outside",
                 "[walk_away]") {
  std::stop_source stop;
  bool asked = false;
  attempts.Script({{1h, "never"}});
  const auto answer = [&asked](const absl::Status&) {
    asked = true;
    return "an answer";
  };
  const auto fetch =
      Stack(Fallback(answer), Timeout(5s, NewPool())).Around(attempts.executor(), &clock);
  auto result = Begin([&] { return fetch.With({.stop = stop.get_token()}); });
  clock.AwaitWaiters(2);
  stop.request_stop();
  CHECK(result.get().status().code() == absl::StatusCode::kCancelled);
  CHECK(!asked);
  clock.Advance(1h);
}

TEST_CASE("one pool does not serve two levels of a stack", "[walk_away]") {
  const auto pool = NewPool();
  const Stack stack(Timeout(2s, pool), Retry({}), Timeout(1s, pool));
  CHECK_THROWS_AS(stack.Around([] { return absl::OkStatus(); }), std::invalid_argument);
}

TEST_CASE("a timeout refuses a null pool", "[walk_away]") {
  CHECK_THROWS_AS(Timeout(1s, std::shared_ptr<ThreadPool>()), std::invalid_argument);
}

// Real time and many threads: permits never pass the limit, though most calls walk away, and all
// come back.
TEST_CASE("what runs never passes the limit, however many walk away", "[walk_away][stress]") {
  constexpr int kLimit = 4;
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = kLimit});
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  {
    auto pool = NewPool(8);
    const auto fetch = Stack(Bulkhead(semaphore), Timeout(200us, pool)).Around([&](int takes) {
      const int now = ++running;
      for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
      }
      const TimePoint end = SteadyClock()->Now() + std::chrono::microseconds(takes);
      while (SteadyClock()->Now() < end) std::this_thread::yield();
      --running;
      return absl::OkStatus();
    });
    test::InThreads(4, [&fetch](int t) {
      for (int i = 0; i < 100; ++i) (void)fetch.With({}, (t * 131 + i * 71) % 400);
    });
  }
  CHECK(most <= kLimit);
  CHECK(semaphore->in_use() == 0);
}

}  // namespace
}  // namespace holdfast::walk_away_test
