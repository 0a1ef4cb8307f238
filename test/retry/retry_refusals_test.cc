// What Retry does with what a policy below it refuses, and with what a backend asks for.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "holdfast/breaker/circuit_break.h"
#include "holdfast/concurrency/bulkhead.h"
#include "holdfast/rate/rate_limit.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"

namespace holdfast {

// A reply with a Retry-After.
struct Told {
  absl::Status status;
  std::optional<Duration> retry_after = std::nullopt;
};
template <>
struct ResultTraits<Told> {
  static absl::Status StatusOf(const Told& told) { return told.status; }
  static Told FromStatus(absl::Status status) { return {.status = std::move(status)}; }
  static std::optional<Duration> RetryAfter(const Told& told) { return told.retry_after; }
};

namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

std::shared_ptr<CircuitBreaker> OpenBreaker(FakeClock& clock, Duration timeout) {
  auto breaker = std::make_shared<CircuitBreaker>(
      CircuitBreaker::Options{.timeout = timeout, .rules = {ConsecutiveFailures(1)}});
  breaker->AdmitAt(clock.Now())->DoneAt(clock.Now(), Outcome::kFailure);
  return breaker;
}

const auto kSucceed = [] { return absl::OkStatus(); };

// Defect: Retry waited for the breaker, for exactly as long as that was open. The calls that still
// fitted were at the end of their time; one of them got the only probe, ran out of time, and the
// breaker opened again.
TEST_CASE("a refusal is final, and handed on with the time at which a try can succeed") {
  FakeClock clock;
  const TimePoint start = clock.Now();
  int asked = 0;
  std::vector<EndReason> gave_up;
  RetryOptions options;
  options.on_give_up = [&](const Call&, const RetryEvent& event) {
    gave_up.push_back(event.ended_by);
  };
  const auto check = [&](const Call&, const absl::Status&) {
    ++asked;
    return true;
  };
  Report report;
  const auto refused = [&](auto policy) {
    return Stack(Retry(options, check), std::move(policy))
        .Around(kSucceed, &clock)
        .With({.report = &report});
  };
  CHECK(RejectionOf(refused(CircuitBreak(OpenBreaker(clock, 10s))))->kind ==
        RejectionKind::kCircuitOpen);
  CHECK(report.retry_at == start + 10s + 1ns);
  const auto bucket = std::make_shared<TokenBucket>(TokenBucket::Options{.rate = 1, .burst = 1});
  CHECK(bucket->AllowAt(start));
  CHECK(absl::IsResourceExhausted(refused(RateLimit(bucket, {.max_wait = 0s}))));
  const auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  const auto permit = semaphore->TryAcquire();
  CHECK(absl::IsResourceExhausted(refused(Bulkhead(semaphore, {.max_wait = 0s}))));
  CHECK(clock.Now() == start);
  CHECK(report.attempts == 0);
  CHECK(report.ended_by == EndReason::kRejected);
  CHECK(gave_up == std::vector(3, EndReason::kRejected));
  CHECK(asked == 0);
}

TEST_CASE("with wait_for_refusals it waits for the breaker, at no cost to its budget") {
  FakeClock clock;
  const auto budget = std::make_shared<RetryBudget>(RetryBudget::Options{.capacity = 10});
  const auto call = Stack(Retry({.budget = budget, .wait_for_refusals = true, .seed = 1}),
                          CircuitBreak(OpenBreaker(clock, 10s)))
                        .Around(kSucceed, &clock);
  Report report;
  CHECK(call.With({.report = &report}).ok());
  CHECK(report.waited > 10s);
  CHECK(report.waited <= 10s + 1ns + 80s);
  CHECK(budget->balance() == 10);
}

TEST_CASE("those who wait for a breaker come back over eight times as long as it was open") {
  std::vector<int> eighths(9);
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    FakeClock clock;
    const auto call = Stack(Retry({.wait_for_refusals = true, .seed = seed}),
                            CircuitBreak(OpenBreaker(clock, 10s)))
                          .Around(kSucceed, &clock);
    Report report;
    REQUIRE(call.With({.report = &report}).ok());
    ++eighths[static_cast<std::size_t>((report.waited - 10s) / 10s)];
  }
  for (int i = 0; i < 8; ++i) {
    CHECK(eighths[static_cast<std::size_t>(i)] > 180);
    CHECK(eighths[static_cast<std::size_t>(i)] < 320);
  }
}

TEST_CASE("those whom a ramp refuses come back over eight times as long as it takes") {
  Duration longest{};
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    FakeClock clock;
    const auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{
        .timeout = 1s, .ramp = {0.5, 0.9}, .ramp_step = 10s, .rules = {ConsecutiveFailures(1)}});
    const auto call = Stack(Retry({.max_attempts = 2, .wait_for_refusals = true, .seed = seed}),
                            CircuitBreak(breaker))
                          .Around(kSucceed, &clock);
    breaker->AdmitAt(clock.Now())->DoneAt(clock.Now(), Outcome::kFailure);
    clock.Advance(2s);
    REQUIRE(call().ok());  // the probe
    REQUIRE(call().ok());  // the first of the ramp, and then every other one
    Report report;
    (void)call.With({.report = &report});
    longest = std::max(longest, report.waited);
  }
  CHECK(longest > 140s);
  CHECK(longest <= 160s);
}

// A breaker that is open for a second after each failure.
class Tripping {
 public:
  Tripping()
      : breaker_(std::make_shared<CircuitBreaker>(
            CircuitBreaker::Options{.timeout = 1s, .rules = {ConsecutiveFailures(1)}})) {}

  void Record(Outcome outcome) { breaker_->AdmitAt(clock_.Now())->DoneAt(clock_.Now(), outcome); }
  void Probe(Outcome outcome) {
    clock_.Advance(1s + 1ns);
    Record(outcome);
  }
  void Advance(Duration by) { clock_.Advance(by); }

  // How long a call whose retry draws from `seed` waits for it.
  Duration Wait(std::uint64_t seed) {
    const auto call = Stack(Retry({.max_attempts = 2, .wait_for_refusals = true, .seed = seed}),
                            CircuitBreak(breaker_))
                          .Around(kSucceed, &clock_);
    Report report;
    REQUIRE(call.With({.report = &report}).ok());
    return report.waited - 1s;
  }

 private:
  FakeClock clock_;
  std::shared_ptr<CircuitBreaker> breaker_;
};

// The longest that calls wait for a breaker to which this has happened, beyond its open time.
template <class History>
Duration LongestWait(History happen) {
  Duration longest{};
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Tripping breaker;
    happen(breaker);
    longest = std::max(longest, breaker.Wait(seed));
  }
  return longest;
}

TEST_CASE("each trip while refused calls come back doubles the time that the next ones take") {
  const auto [trips, spread] =
      GENERATE(table<int, Duration>({{1, 8s}, {2, 16s}, {3, 24s}, {4, 32s}, {8, 64s}}));
  CAPTURE(trips);  // three times 8 s after three trips: the trouble has lasted no longer
  const Duration longest = LongestWait([count = trips](Tripping& breaker) {
    breaker.Record(Outcome::kFailure);
    for (int i = 1; i < count; ++i) {
      breaker.Probe(Outcome::kSuccess);
      breaker.Record(Outcome::kFailure);
    }
  });
  CHECK(longest > spread * 9 / 10);
  CHECK(longest <= spread + 100ns);
}

TEST_CASE("probes that fail do not lengthen it, nor does a trip after all have come back") {
  const bool back = GENERATE(false, true);
  const Duration longest = LongestWait([back](Tripping& breaker) {
    breaker.Record(Outcome::kFailure);
    for (int i = 0; i < 5; ++i) breaker.Probe(Outcome::kFailure);
    if (!back) return;
    breaker.Probe(Outcome::kSuccess);
    breaker.Advance(8s);
    breaker.Record(Outcome::kFailure);
  });
  CHECK(longest > 7s);
  CHECK(longest <= 8s + 1ns);
}

TEST_CASE("it waits for a refusal only if there is time for a whole attempt after it") {
  FakeClock clock;
  // Refused until a second has passed.
  const auto one_second = [] {
    return RateLimit(TokenBucket::Options{.rate = 1, .burst = 1}, {.max_wait = 0s});
  };
  const RetryOptions waiting = {
      .max_attempts = 2, .backoff = Backoff::Constant(0s), .wait_for_refusals = true};
  const auto waited = [&](const auto& stack, Duration deadline) {
    const auto call = stack.Around(kSucceed, &clock);
    REQUIRE(call().ok());  // the token
    const TimePoint start = clock.Now();
    const bool ok = call.With({.deadline = start + deadline}).ok();
    CHECK((clock.Now() - start == 1s) == ok);
    return ok;
  };
  const auto with_timeout = Stack(Retry(waiting), one_second(), Timeout(200ms));
  CHECK(waited(with_timeout, 1200ms));
  clock.Advance(1h);
  CHECK_FALSE(waited(with_timeout, 1200ms - 1ns));
  // What is not known is not asked for.
  CHECK(waited(Stack(Retry(waiting), one_second()), 1001ms));
}

TEST_CASE("what a backend asks for beyond the cap is a no") {
  FakeClock clock;
  const TimePoint start = clock.Now();
  Duration asked = 1h;
  int runs = 0;
  const auto call = Stack(Retry({.max_attempts = 3, .max_retry_after = 60s}))
                        .Around(
                            [&] {
                              ++runs;
                              return Told{absl::UnavailableError("later"), asked};
                            },
                            &clock);
  Report report;
  CHECK(absl::IsUnavailable(call.With({.report = &report}).status));
  CHECK(runs == 1);
  CHECK(clock.Now() == start);
  CHECK(report.ended_by == EndReason::kRetryAfterTooFar);
  CHECK(ToString(report.ended_by) == "retry-after too far");
  CHECK(report.retry_at == start + 1h);

  asked = 60s;
  (void)call.With({.report = &report});
  CHECK(runs == 4);
  CHECK(report.ended_by == EndReason::kAttempts);
  CHECK(report.waited == 120s);

  CHECK(Validate(RetryOptions{.max_retry_after = -1ns}).message() ==
        "Retry: max_retry_after must be >= 0");
}

TEST_CASE("a pause that one call was asked for holds for all") {
  FakeClock clock;
  const auto pause = std::make_shared<RetryPause>("orders");
  const auto stack = [&](bool waits) {
    return Stack(Retry(
        {.max_attempts = 1, .wait_for_refusals = waits, .max_retry_after = 60s, .pause = pause}));
  };
  Duration asked = 30s;
  const auto told =
      stack(false).Around([&] { return Told{absl::UnavailableError("later"), asked}; }, &clock);
  const auto other = stack(false).Around(kSucceed, &clock);
  CHECK(other().ok());
  const TimePoint start = clock.Now();
  (void)told();

  SECTION("they are refused meanwhile") {
    Report report;
    const absl::Status refused = other.With({.report = &report});
    CHECK(absl::IsUnavailable(refused));
    CHECK(RejectionOf(refused)->name == "orders");
    CHECK(report.retry_at == start + 30s);
    CHECK(report.attempts == 0);
    clock.Advance(30s);
    CHECK(other().ok());
  }
  SECTION("or wait, and do not come back all at once") {
    const auto batch = stack(true).Around(kSucceed, &clock);
    CHECK(batch().ok());
    CHECK(clock.Now() > start + 30s);
    CHECK(clock.Now() <= start + 60s);
  }
  SECTION("unless they have no time for that") {
    const auto batch = stack(true).Around(kSucceed, &clock);
    CHECK(absl::IsUnavailable(batch.With({.deadline = start + 29s})));
    CHECK(clock.Now() == start);
  }
  SECTION("for no longer than max_retry_after, and it never gets shorter") {
    clock.Advance(31s);
    asked = 24h;
    (void)told();
    CHECK(pause->until() == start + 31s + 60s);
    pause->Extend(start);
    CHECK(pause->until() == start + 31s + 60s);
  }
}

TEST_CASE("a retry that is due in a pause that another call was asked for waits for its end") {
  FakeClock clock;
  const TimePoint start = clock.Now();
  const auto pause = std::make_shared<RetryPause>();
  int runs = 0;
  const auto call = Stack(Retry({.backoff = Backoff::Constant(1s), .pause = pause}))
                        .Around(
                            [&] {
                              if (++runs > 1) return absl::OkStatus();
                              pause->Extend(start + 30s);
                              return absl::UnavailableError("later");
                            },
                            &clock);
  CHECK(call().ok());
  CHECK(clock.Now() == start + 31s);
}

}  // namespace
}  // namespace holdfast
