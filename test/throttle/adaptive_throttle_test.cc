#include "holdfast/throttle/adaptive_throttle.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/breaker/circuit_break.h"
#include "holdfast/rate/rate_limit.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"

namespace holdfast::adaptive_throttle_test {
namespace {

using namespace std::chrono_literals;
using Options = AdaptiveThrottler::Options;
using testing::FakeClock;

const absl::Status kDown = absl::UnavailableError("down");
const absl::Status kNoSuchOrder = absl::NotFoundError("no such order");

struct Fixture {
  Fixture() : throttler(Make({.max_rejection = 0})) {}

  std::shared_ptr<AdaptiveThrottler> Make(Options options) {
    options.name = "api";
    options.seed = 1;
    options.clock = &clock;
    return std::make_shared<AdaptiveThrottler>(std::move(options));
  }
  // Of a dead backend; it refuses all calls of the lowest priority.
  std::shared_ptr<AdaptiveThrottler> MakeRefusing() {
    auto refusing = Make({.max_rejection = 0.9, .min_requests = 10});
    for (int i = 0; i < 10; ++i) refusing->Admit()->Done(Outcome::kFailure);
    return refusing;
  }
  auto Executor() {
    return [this](const absl::Status& status) {
      ++runs;
      return status;
    };
  }

  FakeClock clock;
  std::shared_ptr<AdaptiveThrottler> throttler;
  Report report;
  int runs = 0;
};

const CallOptions kSheddable{.priority = Priority::kSheddable};

TEST_CASE_METHOD(Fixture, "a throttle in a stack counts what the calls through it come to") {
  const auto call = Stack(AdaptiveThrottle(throttler)).Around(Executor(), &clock);
  CHECK(call(absl::OkStatus()).ok());
  CHECK(call(kDown) == kDown);
  CHECK(call(kNoSuchOrder) == kNoSuchOrder);
  CHECK(call(absl::CancelledError("never mind")).code() == absl::StatusCode::kCancelled);
  const AdaptiveThrottlerStats stats = throttler->stats();
  CHECK(stats.requests == 3);
  CHECK(stats.accepts == 2);
}

TEST_CASE_METHOD(Fixture, "what it refuses does not reach the backend, and counts") {
  throttler = MakeRefusing();
  const auto call = Stack(AdaptiveThrottle(throttler)).Around(Executor(), &clock);
  const absl::Status refused =
      call.With({.priority = Priority::kSheddable, .report = &report}, absl::OkStatus());
  CHECK(runs == 0);
  CHECK(refused.code() == absl::StatusCode::kUnavailable);
  const auto rejection = RejectionOf(refused);
  REQUIRE(rejection);
  CHECK(rejection->kind == RejectionKind::kThrottled);
  CHECK(rejection->policy == "AdaptiveThrottle");
  CHECK(rejection->name == "api");
  CHECK(report.ended_by == EndReason::kRejected);
  CHECK(report.attempts == 0);
  CHECK(report.retry_at == TimePoint::min());
  CHECK(throttler->stats().requests == 11);
  CHECK(throttler->stats().refused == 1);
}

TEST_CASE_METHOD(Fixture, "the priority is the call's, in stacks within stacks as well") {
  const auto inner = Stack(AdaptiveThrottle(throttler)).Around(Executor(), &clock);
  const auto outer = Stack(Retry({})).Around(inner, &clock);
  CHECK(outer.With({.priority = Priority::kCritical}, absl::OkStatus()).ok());
  CHECK(outer.With({.priority = Priority::kLow}, absl::OkStatus()).ok());
  CHECK(outer(absl::OkStatus()).ok());
  CHECK(throttler->stats().requests_of == std::array<std::uint64_t, kPriorities>{0, 1, 1, 1});
}

TEST_CASE_METHOD(Fixture, "a classifier of a throttle sees the call and its result, and decides") {
  std::vector<int> seen;
  const auto classify = [&](const Call& call, const absl::StatusOr<int>& result) {
    seen.push_back(result.value_or(-1) + call.attempt());
    return *result >= 500   ? Outcome::kFailure
           : *result == 404 ? Outcome::kIgnored
                            : Outcome::kSuccess;
  };
  const auto call = Stack(AdaptiveThrottle(throttler, classify))
                        .Around([](int code) { return absl::StatusOr<int>(code); }, &clock);
  for (const int code : {200, 503, 404}) CHECK(call(code).value() == code);
  CHECK(seen == std::vector{201, 504, 405});
  CHECK(throttler->stats().requests == 2);
  CHECK(throttler->stats().accepts == 1);
}

TEST_CASE_METHOD(Fixture, "what a classifier throws passes to the caller, and nothing is counted") {
  const auto own =
      Stack(AdaptiveThrottle(throttler, [](const Call&, const absl::Status&) -> Outcome {
        throw std::runtime_error("what");
      })).Around(Executor(), &clock);
  CHECK_THROWS_WITH(own(kDown), "what");
  CHECK(throttler->stats().requests == 0);

  throttler = Make({.classify = [](const absl::Status&) -> Outcome {
    throw std::runtime_error("of the throttler");
  }});
  const auto shared = Stack(AdaptiveThrottle(throttler)).Around(Executor(), &clock);
  CHECK_THROWS_WITH(shared(absl::OkStatus()), "of the throttler");
  CHECK(throttler->stats().requests == 0);
}

TEST_CASE_METHOD(Fixture, "what the executor throws was not accepted, and passes on unchanged") {
  const auto call = Stack(AdaptiveThrottle(throttler))
                        .Around([]() -> absl::Status { throw std::runtime_error("boom"); }, &clock);
  CHECK_THROWS_WITH(call(), "boom");
  CHECK(throttler->stats().requests == 1);
  CHECK(throttler->stats().accepts == 0);
}

TEST_CASE_METHOD(Fixture, "what inner policies refuse and callers cancel is not counted") {
  int asked = 0;
  const auto throttle = AdaptiveThrottle(throttler, [&](const Call&, const absl::Status&) {
    ++asked;
    return Outcome::kFailure;
  });
  const auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{});
  breaker->SetMode(BreakerMode::kForcedOpen);
  const auto open = Stack(throttle, CircuitBreak(breaker)).Around(Executor(), &clock);
  CHECK_FALSE(open(absl::OkStatus()).ok());
  const auto limited =
      Stack(AdaptiveThrottle(throttler),
            RateLimit(TokenBucket::Options{.rate = 0, .burst = 1}, {.max_wait = 0s}))
          .Around(Executor(), &clock);
  CHECK(limited(absl::OkStatus()).ok());
  CHECK_FALSE(limited(absl::OkStatus()).ok());
  CHECK(throttler->stats().requests == 1);

  std::stop_source stop;
  const auto cancelled = [&](const auto& around, const absl::Status& result) {
    stop = {};
    const auto call = around.Around(
        [&] {
          stop.request_stop();
          return result;
        },
        &clock);
    CHECK(call.With({.stop = stop.get_token()}).code() == absl::StatusCode::kCancelled);
  };
  cancelled(Stack(throttle), absl::CancelledError("as you wish"));
  cancelled(Stack(throttle, Retry({.backoff = Backoff::Constant(1s)})), kDown);
  CHECK(throttler->stats().requests == 1);
  CHECK(asked == 0);
}

TEST_CASE_METHOD(Fixture, "its refusals are no failures to a breaker or a throttle around it") {
  const auto inner = MakeRefusing();
  const auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{});
  const auto call =
      Stack(CircuitBreak(breaker), AdaptiveThrottle(throttler), AdaptiveThrottle(inner))
          .Around(Executor(), &clock);
  for (int i = 0; i < 20; ++i) CHECK_FALSE(call.With(kSheddable, absl::OkStatus()).ok());
  CHECK(breaker->counts().ignored == 20);
  CHECK(breaker->counts().failures == 0);
  CHECK(throttler->stats().requests == 0);

  const auto around =
      Stack(CircuitBreak(breaker))
          .Around(Stack(AdaptiveThrottle(inner)).Around(Executor(), &clock), &clock);
  CHECK_FALSE(around.With(kSheddable, absl::OkStatus()).ok());
  CHECK(breaker->counts().ignored == 21);
  CHECK(breaker->Execute([&] { return inner->Admit(Priority::kSheddable).status(); }).code() ==
        absl::StatusCode::kUnavailable);
  CHECK(breaker->counts().ignored == 22);
}

TEST_CASE_METHOD(Fixture, "a retry that waits tries again after its backoff, at no cost") {
  throttler = MakeRefusing();
  const auto budget = std::make_shared<RetryBudget>(
      RetryBudget::Options{.capacity = 10, .min_retries_per_second = 0});
  const Retry retry({.max_attempts = 3,
                     .backoff = Backoff::Constant(1s),
                     .budget = budget,
                     .wait_for_refusals = true});
  const TimePoint start = clock.Now();
  const auto call = Stack(retry, AdaptiveThrottle(throttler)).Around(Executor(), &clock);
  CHECK_FALSE(call.With(kSheddable, absl::OkStatus()).ok());
  CHECK(clock.Now() == start + 2s);
  CHECK(budget->balance() == 10);
  CHECK(throttler->stats().refused == 3);
  CHECK(runs == 0);
}

TEST_CASE_METHOD(Fixture,
                 "a throttle counts each attempt inside of Retry, and each call outside of it") {
  const RetryOptions thrice{
      .max_attempts = 3, .backoff = Backoff::Constant(0s), .budget = RetryBudget::Unlimited()};
  (void)Stack(Retry(thrice), AdaptiveThrottle(throttler)).Around(Executor(), &clock)(kDown);
  CHECK(throttler->stats().requests == 3);
  (void)Stack(AdaptiveThrottle(throttler), Retry(thrice)).Around(Executor(), &clock)(kDown);
  CHECK(throttler->stats().requests == 4);
}

TEST_CASE_METHOD(Fixture, "a call that is not accepted counts when that is known") {
  throttler = Make({.window = 10s, .buckets = 10, .max_rejection = 0});
  const auto call = Stack(AdaptiveThrottle(throttler))
                        .Around(
                            [&](Duration takes) {
                              clock.Advance(takes);
                              return kDown;
                            },
                            &clock);
  CHECK(call(60s) == kDown);
  CHECK(throttler->stats().requests == 1);
  clock.Advance(11s);
  CHECK(throttler->stats().requests == 0);
}

TEST_CASE_METHOD(Fixture, "stacks that share a throttler share what it has learned") {
  throttler = Make({.min_requests = 10});
  const auto first = Stack(AdaptiveThrottle(throttler)).Around(Executor(), &clock);
  const auto second =
      Stack(AdaptiveThrottle(throttler)).Around([] { return absl::StatusOr<int>(7); }, &clock);
  CHECK(second.With(kSheddable).value() == 7);
  for (int i = 0; i < 20; ++i) (void)first(kDown);
  int refused = 0;
  for (int i = 0; i < 20; ++i) refused += second.With(kSheddable).ok() ? 0 : 1;
  CHECK(refused > 10);
}

TEST_CASE_METHOD(Fixture, "a throttle for one stack is made from options, {} being the defaults") {
  const auto plain = Stack(AdaptiveThrottle({})).Around(Executor(), &clock);
  for (int i = 0; i < 20; ++i) CHECK(plain(kDown) == kDown);
  CHECK(RejectionOf(plain.With(kSheddable, kDown))->kind == RejectionKind::kThrottled);

  const auto of_its_own =
      Stack(AdaptiveThrottle({.k = 1, .min_requests = 1}, [](const Call&,
                                                             const absl::Status& status) {
        return status.ok() ? Outcome::kFailure : Outcome::kSuccess;
      })).Around(Executor(), &clock);
  CHECK(of_its_own(kDown) == kDown);
  CHECK(of_its_own(absl::OkStatus()).ok());
  CHECK(RejectionOf(of_its_own.With(kSheddable, kDown)));
}

TEST_CASE("a throttle of no throttler, or of one that makes no sense, is refused") {
  CHECK_THROWS_AS(AdaptiveThrottle(std::shared_ptr<AdaptiveThrottler>()), std::invalid_argument);
  CHECK_THROWS_AS(AdaptiveThrottle({.k = 0}), std::invalid_argument);
}

TEST_CASE("a throttle says what it is set to, and is asked for a window that is long enough") {
  CHECK(Stack(AdaptiveThrottle({})).Describe() ==
        "AdaptiveThrottle(K 2, window 2m, rejects up to 90%)");
  CHECK(Stack(AdaptiveThrottle({.name = "db", .k = 1.5, .window = 10s, .max_rejection = 1}))
            .Describe() == "AdaptiveThrottle(\"db\", K 1.5, window 10s, rejects up to 100%)");
  CHECK(Validate(Stack(AdaptiveThrottle({.window = 4s}), Timeout(2s))).ok());
  CHECK(Validate(Stack(AdaptiveThrottle({.window = 3s}), Timeout(2s))).message() ==
        "Stack: AdaptiveThrottle(K 2, window 3s, rejects up to 90%) counts in a window of 3s, less "
        "than "
        "twice the 2s that a call below it may take: make that longer");
}

}  // namespace
}  // namespace holdfast::adaptive_throttle_test
