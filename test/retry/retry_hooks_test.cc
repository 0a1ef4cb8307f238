#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <vector>

#include "holdfast/holdfast.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"

namespace holdfast::retry_hooks_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

RetryOptions EverySecond(int attempts, std::vector<std::string>& told) {
  const auto line = [&told](const char* what) {
    return [&told, what](const Call&, const RetryEvent& event) {
      told.push_back(std::string(what) + " " + std::to_string(event.attempt) + " " +
                     absl::StatusCodeToString(event.outcome.code()) + " " +
                     std::to_string(event.delay / 1s) + " " +
                     std::string(ToString(event.ended_by)));
    };
  };
  return {.max_attempts = attempts,
          .backoff = Backoff::Constant(1s),
          .on_attempt = line("attempt"),
          .on_retry = line("retry"),
          .on_give_up = line("give up")};
}

auto FailingTimes(int failures) {
  return [failures](Call& call) {
    return call.attempt() <= failures ? absl::UnavailableError("") : absl::OkStatus();
  };
}

TEST_CASE("hooks are told of each attempt, each retry and giving up") {
  FakeClock clock;
  std::vector<std::string> told;
  const auto call = Stack(Retry(EverySecond(3, told))).Around(FailingTimes(1), &clock);
  CHECK(call().ok());
  CHECK(told == std::vector<std::string>{"attempt 1 UNAVAILABLE 0 success",
                                         "retry 1 UNAVAILABLE 1 success",
                                         "attempt 2 OK 0 success"});
  told.clear();
  const auto down = Stack(Retry(EverySecond(2, told))).Around(FailingTimes(9), &clock);
  CHECK_FALSE(down().ok());
  CHECK(told == std::vector<std::string>{
                    "attempt 1 UNAVAILABLE 0 success", "retry 1 UNAVAILABLE 1 success",
                    "attempt 2 UNAVAILABLE 0 success", "give up 2 UNAVAILABLE 0 attempts"});
  told.clear();
  const auto final =
      Stack(Retry(EverySecond(2, told))).Around([] { return absl::NotFoundError(""); }, &clock);
  CHECK_FALSE(final().ok());
  CHECK(told == std::vector<std::string>{"attempt 1 NOT_FOUND 0 success",
                                         "give up 1 NOT_FOUND 0 not retryable"});
}

// An attempt of one second each; every third is refused below.
TEST_CASE("as many attempts are told of as the service was called, and the others apart") {
  FakeClock clock;
  int calls = 0;
  int begun = 0;
  int ran = 0;
  std::vector<Duration> took;
  std::vector<std::string> refused;
  const RetryOptions options{.max_attempts = 6,
                             .backoff = Backoff::Constant(100ms),
                             .wait_for_refusals = true,
                             .before_attempt =
                                 [&](const Call& call, const RetryEvent& event) {
                                   CHECK(event.attempt == ++begun);
                                   CHECK(event.outcome.ok());
                                   CHECK(event.result<absl::StatusOr<int>>() == nullptr);
                                   CHECK(call.attempt() == calls);
                                 },
                             .on_attempt =
                                 [&](const Call&, const RetryEvent& event) {
                                   ++ran;
                                   took.push_back(event.took);
                                   const auto* const result = event.result<absl::StatusOr<int>>();
                                   REQUIRE(result != nullptr);
                                   CHECK(result->status() == event.outcome);
                                   CHECK(event.result<absl::Status>() == nullptr);
                                 },
                             .on_refused =
                                 [&](const Call&, const RetryEvent& event) {
                                   refused.push_back(std::to_string(event.attempt) + " " +
                                                     std::string(event.outcome.message()));
                                 }};
  const auto buckets =
      std::make_shared<TokenBucket>(TokenBucket::Options{.rate = 0.1, .burst = 2, .name = "two"});
  const auto call = Stack(Retry(options), RateLimit(buckets, {.max_wait = 0s}))
                        .Around(
                            [&]() -> absl::StatusOr<int> {
                              clock.Advance(1s);
                              if (++calls == 3) return calls;
                              return absl::UnavailableError("");
                            },
                            &clock);
  CHECK(*call() == 3);
  CHECK(ran == calls);
  CHECK(took == std::vector<Duration>{1s, 1s, 1s});
  CHECK(refused.size() == 1);
  CHECK(begun == ran + static_cast<int>(refused.size()));
}

TEST_CASE("a refusal is told of once, where no attempt was made") {
  FakeClock clock;
  std::vector<std::string> told;
  RetryOptions options = EverySecond(3, told);
  options.on_refused = [&told](const Call&, const RetryEvent& event) {
    told.push_back("refused " + std::to_string(event.attempt));
  };
  const auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  const Stack policies(Bulkhead(semaphore, {.max_queue = 0}));
  const auto ok = [] { return absl::OkStatus(); };
  const auto held = semaphore->TryAcquire();
  const std::vector<std::string> expected{"refused 1", "give up 1 RESOURCE_EXHAUSTED 0 rejected"};
  CHECK_FALSE(
      Stack(Retry(options), Bulkhead(semaphore, {.max_queue = 0})).Around(ok, &clock)().ok());
  CHECK(told == expected);
  // The same by a stack inside of this one.
  told.clear();
  CHECK_FALSE(Stack(Retry(options)).Around(policies.Around(ok, &clock), &clock)().ok());
  CHECK(told == expected);
}

TEST_CASE("what a cache below answers is no attempt, and nobody refused it") {
  FakeClock clock;
  std::vector<std::string> told;
  RetryOptions options = EverySecond(3, told);
  options.on_refused = [&told](const Call&, const RetryEvent&) { told.emplace_back("refused"); };
  const auto cache = std::make_shared<ResultCache<absl::StatusOr<int>>>(
      ResultCache<absl::StatusOr<int>>::Options{.ttl = 1h});
  const auto call =
      Stack(Retry(options), Cache(cache)).Around([]() -> absl::StatusOr<int> { return 7; }, &clock);
  CHECK(*call.With({.key = "key"}) == 7);
  CHECK(*call.With({.key = "key"}) == 7);
  CHECK(told == std::vector<std::string>{"attempt 1 OK 0 success"});
}

TEST_CASE("hooks that throw change nothing") {
  FakeClock clock;
  const RetryHook throws = [](const Call&, const RetryEvent&) { throw std::runtime_error("log"); };
  const auto call = Stack(Retry({.max_attempts = 3,
                                 .before_attempt = throws,
                                 .on_attempt = throws,
                                 .on_refused = throws,
                                 .on_retry = throws,
                                 .on_give_up = throws}))
                        .Around(FailingTimes(9), &clock);
  Report report;
  CHECK(call.With({.report = &report}).code() == absl::StatusCode::kUnavailable);
  CHECK(report.attempts == 3);
  CHECK(report.ended_by == EndReason::kAttempts);
}

TEST_CASE("prepare sees the last result before each retry, and not before the first attempt") {
  FakeClock clock;
  std::vector<int> seen;
  const auto again = [](const Call&, const absl::StatusOr<int>& result) { return *result < 3; };
  const auto prepare = [&](Call& call, const absl::StatusOr<int>& last) {
    CHECK(*last == call.attempt());
    seen.push_back(*last);
    return absl::OkStatus();
  };
  const auto call =
      Stack(Retry({}, again, prepare))
          .Around([](Call& attempt) -> absl::StatusOr<int> { return attempt.attempt(); }, &clock);
  CHECK(*call() == 3);
  CHECK(seen == std::vector{1, 2});
}

TEST_CASE("where prepare fails the last result is handed on, and the budget gets its retry back") {
  FakeClock clock;
  auto budget = std::make_shared<RetryBudget>(
      RetryBudget::Options{.capacity = 10, .min_retries_per_second = 0});
  const auto call =
      Stack(Retry({.budget = budget}, RetryTransient(), [](Call&, const absl::Status&) {
        return absl::UnauthenticatedError("expired");
      })).Around([] { return absl::DeadlineExceededError("slow"); }, &clock);
  Report report;
  CHECK(call.With({.report = &report}).code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(report.attempts == 1);
  CHECK(report.ended_by == EndReason::kNotRetryable);
  CHECK(budget->balance() == 10);
  CHECK(clock.Now() == TimePoint{});
}

TEST_CASE("what prepare throws passes to the caller, and the budget gets its retry back") {
  auto budget = std::make_shared<RetryBudget>(
      RetryBudget::Options{.capacity = 10, .min_retries_per_second = 0});
  const auto call = Stack(Retry({.budget = budget}, RetryTransient(),
                                [](Call&, const absl::Status&) -> absl::Status {
                                  throw std::runtime_error("no vault");
                                }))
                        .Around([] { return absl::DeadlineExceededError(""); });
  CHECK_THROWS_WITH(call(), "no vault");
  CHECK(budget->balance() == 10);
}

TEST_CASE("nobody gives up a call that its caller stopped, during an attempt or a wait") {
  std::stop_source stop;
  std::vector<std::string> told;
  const auto stopped = [&](const absl::Status& status) {
    told.clear();
    stop = std::stop_source();
    FakeClock clock;
    const auto call = Stack(Retry(EverySecond(3, told)))
                          .Around(
                              [&] {
                                stop.request_stop();
                                return status;
                              },
                              &clock);
    Report report;
    CHECK(call.With({.stop = stop.get_token(), .report = &report}).code() ==
          absl::StatusCode::kCancelled);
    CHECK(report.ended_by == EndReason::kCancelled);
    CHECK(clock.Now() == TimePoint{});
  };
  stopped(absl::CancelledError("by the caller"));
  CHECK(told == std::vector<std::string>{"attempt 1 CANCELLED 0 success"});
  stopped(absl::UnavailableError(""));
  CHECK(told == std::vector<std::string>{"attempt 1 UNAVAILABLE 0 success",
                                         "retry 1 UNAVAILABLE 1 success"});
}

TEST_CASE("with a seed the waits repeat themselves") {
  const auto waited = [](std::optional<std::uint64_t> seed) {
    FakeClock clock;
    const auto call =
        Stack(Retry({.max_attempts = 5, .seed = seed})).Around(FailingTimes(9), &clock);
    (void)call();
    return clock.Now();
  };
  CHECK(waited(7) == waited(7));
  CHECK(waited(7) != waited(8));
  CHECK(waited(std::nullopt) != waited(std::nullopt));
}

TEST_CASE("a backoff of one's own may make a call with the same seeded Retry") {
  // The defect: it was asked under the lock of the generator.
  FakeClock clock;
  std::function<absl::Status()> again;
  int asked = 0;
  const Backoff calling = Backoff::Custom([&](int) {
    if (++asked == 1) (void)again();
    return 1s;
  });
  const auto call = Stack(Retry({.max_attempts = 2, .backoff = calling, .seed = 7}))
                        .Around(FailingTimes(9), &clock);
  again = [&] { return call(); };
  CHECK_FALSE(call().ok());
  CHECK(asked == 2);
}

TEST_CASE("the last result stands where the time for another attempt has passed meanwhile") {
  // The defect: it was dropped before the wait, and the caller got a refusal in its place.
  FakeClock clock;
  const auto slow = [&clock](const Call&, const absl::Status&) {
    clock.Advance(20s);
    return absl::OkStatus();
  };
  int attempts = 0;
  const auto call =
      Stack(Timeout(10s), Retry({.backoff = Backoff::Constant(1s)}, RetryTransient{}, slow))
          .Around(
              [&attempts] {
                ++attempts;
                return absl::UnavailableError("real");
              },
              &clock);
  Report report;
  CHECK(call.With({.report = &report}) == absl::UnavailableError("real"));
  CHECK(attempts == 1);
  CHECK(report.ended_by == EndReason::kDeadline);
}

TEST_CASE("a stack within a stack repays a budget that both have once") {
  const auto budget = std::make_shared<RetryBudget>(
      RetryBudget::Options{.capacity = 10, .min_retries_per_second = 0});
  for (int i = 0; i < 5; ++i) REQUIRE(budget->TryWithdraw(RetryCause::kTransient));
  const auto inner = Stack(NestedRetry({.budget = budget})).Around([] { return absl::OkStatus(); });
  const auto outer = Stack(Retry({.budget = budget})).Around(inner);
  const double before = budget->balance();
  CHECK(inner().ok());
  const double once = budget->balance() - before;
  CHECK(once > 0);
  CHECK(outer().ok());
  CHECK(budget->balance() == before + 2 * once);
}

TEST_CASE("a call that its caller stopped is reported so, with or without a Retry") {
  std::stop_source stop;
  const auto call = Stack().Around([&](Call&) {
    stop.request_stop();
    return absl::CancelledError("stopped by the executor's own doing");
  });
  Report report;
  CHECK(absl::IsCancelled(call.With({.stop = stop.get_token(), .report = &report})));
  CHECK(report.ended_by == EndReason::kCancelled);
}

TEST_CASE("a budget charges by the class of the failure") {
  RetryBudget budget({.capacity = 5, .min_retries_per_second = 0});
  CHECK(budget.TryWithdraw(RetryCause::kTimedOut));
  CHECK(budget.balance() == 3);
  CHECK(budget.TryWithdraw(RetryCause::kThrottled));
  CHECK(budget.balance() == 2.5);
  budget.Refund(RetryCause::kTimedOut);
  CHECK(budget.balance() == 4.5);
  for (const double cost : {-1.0, 101.0, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK_THROWS_AS(RetryBudget({.throttled = cost}), std::invalid_argument);
    CHECK_THROWS_AS(RetryBudget({.timed_out = cost}), std::invalid_argument);
  }
}

}  // namespace
}  // namespace holdfast::retry_hooks_test
