#include "holdfast/retry/retry.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <utility>
#include <vector>

#include "holdfast/base/result.h"
#include "holdfast/breaker/circuit_break.h"
#include "holdfast/fallback/fallback.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"

namespace holdfast {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

const Backoff kOneSecond = Backoff::Constant(1s);

// Fails `failures` times, then succeeds.
struct Flaky {
  absl::Status operator()() {
    ++*runs;
    return *runs <= failures ? absl::UnavailableError("busy") : absl::OkStatus();
  }
  int failures;
  std::shared_ptr<int> runs = std::make_shared<int>(0);
};

TEST_CASE("a transient failure is tried again, up to the number of attempts") {
  FakeClock clock;
  const Flaky flaky{.failures = 2};
  const auto call = Stack(Retry({.max_attempts = 3, .backoff = kOneSecond})).Around(flaky, &clock);
  Report report;
  CHECK(call.With({.report = &report}).ok());
  CHECK(report.attempts == 3);
  CHECK(report.waited == 2s);
  CHECK(report.ended_by == EndReason::kSuccess);

  const Flaky hopeless{.failures = 99};
  const auto in_vain =
      Stack(Retry({.max_attempts = 3, .backoff = kOneSecond})).Around(hopeless, &clock);
  CHECK(in_vain.With({.report = &report}) == absl::UnavailableError("busy"));
  CHECK(*hopeless.runs == 3);
  CHECK(report.ended_by == EndReason::kAttempts);
  REQUIRE(report.history.size() == 3);
  CHECK(report.history[0].delay == 0s);
  CHECK(report.history[1].delay == 1s);
  CHECK(report.history[2].outcome.code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("only what is transient is tried again") {
  FakeClock clock;
  for (const auto& [status, attempts] : {std::pair{absl::UnavailableError(""), 2},
                                         {absl::ResourceExhaustedError(""), 2},
                                         {absl::DeadlineExceededError(""), 2},
                                         {absl::AbortedError(""), 2},
                                         {absl::NotFoundError(""), 1},
                                         {absl::InvalidArgumentError(""), 1},
                                         {absl::CancelledError(""), 1},
                                         {absl::InternalError(""), 1},
                                         {absl::UnknownError(""), 1},
                                         {absl::OkStatus(), 1}}) {
    Report report;
    const auto call = Stack(Retry({.max_attempts = 2, .backoff = kOneSecond}))
                          .Around([result = status] { return result; }, &clock);
    CHECK(call.With({.report = &report}) == status);
    CHECK(report.attempts == attempts);
  }
}

TEST_CASE("a user's check decides, by a bool or a decision") {
  FakeClock clock;
  int seen_attempt = 0;
  const auto by_bool =
      Stack(Retry({.max_attempts = 5, .backoff = kOneSecond},
                  [&](const Call& call, const absl::StatusOr<int>& result) {
                    seen_attempt = call.attempt();
                    return result.ok() && *result < 3;
                  }))
          .Around([n = 0]() mutable -> absl::StatusOr<int> { return ++n; }, &clock);
  CHECK(by_bool().value() == 3);
  CHECK(seen_attempt == 3);

  const auto by_decision =
      Stack(Retry({.max_attempts = 3}, [](const Call&, const absl::Status& status) {
        return status.code() == absl::StatusCode::kNotFound ? RetryDecision::AgainAfter(42s)
                                                            : RetryDecision::Stop();
      })).Around([] { return absl::NotFoundError("yet"); }, &clock);
  Report report;
  (void)by_decision.With({.report = &report});
  CHECK(report.attempts == 3);
  CHECK(report.waited == 84s);
}

TEST_CASE("a check that stops may say why") {
  std::optional<EndReason> told;
  RetryOptions options;
  options.on_give_up = [&](const Call&, const RetryEvent& event) { told = event.ended_by; };
  const auto stop = [](const Call&, const absl::Status&) {
    return RetryDecision::Stop(EndReason::kNotRepeatable);
  };
  absl::Status status = absl::UnavailableError("no");
  const auto call = Stack(Retry(options, stop)).Around([&] { return status; });
  Report report;
  (void)call.With({.report = &report});
  CHECK(report.attempts == 1);
  CHECK(report.ended_by == EndReason::kNotRepeatable);
  CHECK(told == EndReason::kNotRepeatable);
  // A success needs no reason.
  status = absl::OkStatus();
  (void)call.With({.report = &report});
  CHECK(report.ended_by == EndReason::kSuccess);
}

TEST_CASE("a check that throws passes its exception to the caller") {
  const auto call = Stack(Retry({}, [](const Call&, const absl::Status&) -> bool {
                      throw std::runtime_error("check");
                    })).Around([] { return absl::OkStatus(); });
  CHECK_THROWS_WITH(call(), "check");
}

TEST_CASE("no retry starts after max_elapsed") {
  FakeClock clock;
  const auto call =
      Stack(Retry({.max_attempts = 100, .backoff = kOneSecond, .max_elapsed = 3500ms}))
          .Around([] { return absl::UnavailableError("busy"); }, &clock);
  Report report;
  CHECK_FALSE(call.With({.report = &report}).ok());
  CHECK(report.attempts == 4);
  CHECK(report.ended_by == EndReason::kElapsed);
  CHECK(clock.Now() == TimePoint{3s});
}

TEST_CASE("it never waits towards a time that the call can't use") {
  FakeClock clock;
  const auto call = Stack(Timeout(2500ms), Retry({.max_attempts = 100, .backoff = kOneSecond}))
                        .Around([] { return absl::UnavailableError("busy"); }, &clock);
  Report report;
  CHECK(call.With({.report = &report}) == absl::UnavailableError("busy"));
  CHECK(report.attempts == 3);
  CHECK(report.ended_by == EndReason::kDeadline);
  CHECK(clock.Now() == TimePoint{2s});
}

TEST_CASE("retries spend the budget, before they wait, and the original error survives") {
  FakeClock clock;
  auto budget = std::make_shared<RetryBudget>(
      RetryBudget::Options{.capacity = 3, .min_retries_per_second = 0});
  const auto call = Stack(Retry({.max_attempts = 3, .backoff = kOneSecond, .budget = budget}))
                        .Around([] { return absl::UnavailableError("busy"); }, &clock);
  Report report;
  (void)call.With({.report = &report});
  CHECK(report.attempts == 3);
  CHECK(call.With({.report = &report}) == absl::UnavailableError("busy"));
  CHECK(report.attempts == 2);
  CHECK(report.ended_by == EndReason::kBudget);
  const TimePoint before = clock.Now();
  CHECK(call.With({.report = &report}) == absl::UnavailableError("busy"));
  CHECK(report.attempts == 1);
  CHECK(clock.Now() == before);
}

TEST_CASE("a retry that the deadline rules out costs no budget") {
  FakeClock clock;
  auto budget = std::make_shared<RetryBudget>(
      RetryBudget::Options{.capacity = 3, .min_retries_per_second = 0});
  const auto call = Stack(Retry({.backoff = kOneSecond, .budget = budget}))
                        .Around([] { return absl::UnavailableError("busy"); }, &clock);
  (void)call.With({.deadline = TimePoint{500ms}});
  CHECK(budget->balance() == 3);
}

TEST_CASE("a retry that does not come to the executor costs no budget") {
  FakeClock clock;
  auto budget = std::make_shared<RetryBudget>(
      RetryBudget::Options{.capacity = 10, .min_retries_per_second = 0});
  const RetryOptions options = {.max_attempts = 3, .backoff = kOneSecond, .budget = budget};
  const auto failing = [] { return absl::DeadlineExceededError("slow"); };
  Report report;

  SECTION("since the breaker that the failure opened refuses it") {
    auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{
        .timeout = 1h, .ready_to_trip = [](const BreakerCounts&) { return true; }});
    const auto call =
        Stack(Timeout(10s), Retry(options), CircuitBreak(breaker)).Around(failing, &clock);
    (void)call.With({.report = &report});
    CHECK(report.attempts == 1);
    CHECK(report.waited == 1s);
    CHECK(budget->balance() == 10);
  }
  SECTION("or not at once: then it costs once") {
    auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{
        .timeout = 5s, .ready_to_trip = [](const BreakerCounts&) { return true; }});
    RetryOptions waiting = options;
    waiting.wait_for_refusals = true;
    const auto call = Stack(Retry(waiting), CircuitBreak(breaker)).Around(failing, &clock);
    (void)call.With({.report = &report});
    CHECK(report.attempts == 2);
    CHECK(budget->balance() == 8);
  }
  SECTION("since the caller stops it in the wait for that") {
    std::stop_source stop;
    RetryOptions stopping = options;
    stopping.on_retry = [&](const Call& call, const RetryEvent&) {
      if (call.attempt() == 2) stop.request_stop();
    };
    const auto call = Stack(Retry(stopping)).Around(failing, &clock);
    CHECK(call.With({.stop = stop.get_token()}).code() == absl::StatusCode::kCancelled);
    CHECK(budget->balance() == 8);  // for the first
  }
  SECTION("but one that throws does") {
    const auto call = Stack(Retry(options))
                          .Around(
                              [](Call& running) {
                                if (running.attempt() == 2) throw std::runtime_error("boom");
                                return absl::UnavailableError("busy");
                              },
                              &clock);
    CHECK_THROWS_WITH(call(), "boom");
    CHECK(budget->balance() == 9);
  }
}

TEST_CASE("successes repay the budget") {
  auto budget = std::make_shared<RetryBudget>(
      RetryBudget::Options{.capacity = 2, .min_retries_per_second = 0});
  REQUIRE(budget->TryWithdraw());
  const auto call = Stack(Retry({.budget = budget})).Around([] { return absl::OkStatus(); });
  for (int i = 0; i < 5; ++i) CHECK(call().ok());
  CHECK(budget->balance() == 2);
}

TEST_CASE("a wake that was meant for another wait does not cut a retry's short") {
  FakeClock clock;
  std::vector<TimePoint> starts;
  const auto call = Stack(Retry({.max_attempts = 2, .backoff = kOneSecond}))
                        .Around(
                            [&](Call& c) {
                              starts.push_back(c.now());
                              c.waker().Wake();
                              return absl::UnavailableError("busy");
                            },
                            &clock);
  CHECK_FALSE(call().ok());
  CHECK(starts == std::vector{TimePoint{0s}, TimePoint{1s}});
}

TEST_CASE("without a budget only the number of attempts bounds them") {
  FakeClock clock;
  int runs = 0;
  const auto call = Stack(Retry({.max_attempts = 1000, .budget = RetryBudget::Unlimited()}))
                        .Around([&] { return ++runs, absl::UnavailableError("busy"); }, &clock);
  CHECK_FALSE(call().ok());
  CHECK(runs == 1000);
}

TEST_CASE("retries in one stack share their budget, in two they do not") {
  FakeClock clock;
  const Retry retry({.backoff = Backoff::Constant(0s)});
  const auto a = Stack(retry).Around([] { return absl::UnavailableError("busy"); }, &clock);
  int runs = 0;
  const auto drain =
      Stack(retry).Around([&] { return ++runs, absl::UnavailableError(""); }, &clock);
  for (int i = 0; i < 200; ++i) (void)drain();
  CHECK(runs == 200 + 100);
  Report report;
  (void)a.With({.report = &report});
  CHECK(report.ended_by == EndReason::kBudget);
}

TEST_CASE("Fallback answers for what failed for good, and for nothing else") {
  FakeClock clock;
  std::vector<absl::StatusCode> asked;
  const auto stack = Stack(Fallback([&](const absl::Status& status) -> absl::StatusOr<int> {
                             asked.push_back(status.code());
                             return 7;
                           }),
                           Retry({.max_attempts = 2}));
  CHECK(stack.Around([]() -> absl::StatusOr<int> { return 1; }, &clock)().value() == 1);
  CHECK(asked.empty());
  Report report;
  const auto failing =
      stack.Around([]() -> absl::StatusOr<int> { return absl::UnavailableError(""); }, &clock);
  CHECK(failing.With({.report = &report}).value() == 7);
  CHECK(asked == std::vector{absl::StatusCode::kUnavailable});
  CHECK(report.ended_by == EndReason::kAttempts);
  std::stop_source stop;
  stop.request_stop();
  CHECK(failing.With({.stop = stop.get_token()}).status().code() == absl::StatusCode::kCancelled);
}

TEST_CASE("Fallback may give another failure") {
  const auto call = Stack(Fallback([](const absl::Status&) {
                      return absl::NotFoundError("instead");
                    })).Around([] { return absl::InternalError("boom"); });
  CHECK(call() == absl::NotFoundError("instead"));
}

TEST_CASE("Timeout tells the executor its deadline and puts the old one back") {
  FakeClock clock(TimePoint{1s});
  std::vector<TimePoint> deadlines;
  const auto call =
      Stack(Timeout(10s), Retry({.max_attempts = 2, .backoff = kOneSecond}), Timeout(2s))
          .Around(
              [&](Call& c) {
                deadlines.push_back(c.deadline());
                clock.Advance(1500ms);
                return absl::UnavailableError("busy");
              },
              &clock);
  CHECK_FALSE(call().ok());
  CHECK(deadlines == std::vector{TimePoint{3s}, TimePoint{5500ms}});
  deadlines.clear();
  (void)call.With({.deadline = clock.Now() + 100ms});
  CHECK(deadlines == std::vector{clock.Now() - 1400ms});
}

TEST_CASE("a result that comes after its Timeout stands") {
  FakeClock clock;
  const auto call = Stack(Timeout(1s))
                        .Around(
                            [&] {
                              clock.Advance(1h);
                              return absl::OkStatus();
                            },
                            &clock);
  CHECK(call().ok());
}

}  // namespace

struct Order {
  int id;
};

struct Receipt {
  absl::Status status;
};

// What may be tried again depends on what was asked.
template <>
struct ResultTraits<Receipt> {
  static absl::Status StatusOf(const Receipt& receipt) { return receipt.status; }
  static Receipt FromStatus(absl::Status status) { return {std::move(status)}; }
  static std::optional<Duration> RetryAfter(const Receipt&) { return std::nullopt; }
  static bool IsTransient(const Call& call, const Receipt&) {
    return call.request<Order>()->id < 100;
  }
};

namespace {

TEST_CASE("a result type may judge by the call as well") {
  FakeClock clock;
  const auto call =
      Stack(Retry({.max_attempts = 3}))
          .Around([](const Order&) { return Receipt{absl::InternalError("no")}; }, &clock);
  Report report;
  (void)call.With({.report = &report}, Order{7});
  CHECK(report.attempts == 3);
  (void)call.With({.report = &report}, Order{107});
  CHECK(report.attempts == 1);
}

TEST_CASE("retry and timeout refuse options that make no sense") {
  CHECK_THROWS_AS(Retry({.max_attempts = 0}), std::invalid_argument);
  CHECK_THROWS_AS(Retry({.max_elapsed = -1s}), std::invalid_argument);
  CHECK_THROWS_WITH(Retry({.max_attempts = -3}),
                    std::string(Validate(RetryOptions{.max_attempts = -3}).message()));
  CHECK_THROWS_AS(Timeout(0s), std::invalid_argument);
  CHECK_THROWS_AS(Timeout(-1s), std::invalid_argument);
  CHECK_NOTHROW(Timeout(Duration::max()));
}

}  // namespace
}  // namespace holdfast
