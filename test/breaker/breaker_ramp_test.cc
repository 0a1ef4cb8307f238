// How a breaker recovers by a ramp.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <utility>
#include <vector>

#include "holdfast/breaker/circuit_breaker.h"
#include "test/support/breaker.h"
#include "test/support/catch.h"

namespace holdfast::breaker_ramp_test {
namespace {

using namespace std::chrono_literals;
using Options = CircuitBreaker::Options;
using test::At;
using test::Record;
using test::Touchy;

constexpr auto kClosed = BreakerState::kClosed;
constexpr auto kHalfOpen = BreakerState::kHalfOpen;
constexpr auto kOpen = BreakerState::kOpen;

// Recovered but for the ramp, at 11 s.
struct Ramping {
  explicit Ramping(std::vector<double> ramp, Options options = Touchy())
      : breaker([&] {
          options.ramp = std::move(ramp);
          options.on_state_change = changes.Listener();
          return options;
        }()) {
    breaker.SetModeAt(At(0s), BreakerMode::kForcedOpen);
    breaker.SetModeAt(At(0s), BreakerMode::kAutomatic);
    Record(breaker, At(11s), Outcome::kSuccess);
  }

  int AdmittedOf(int calls, TimePoint now) {
    int admitted = 0;
    for (int i = 0; i < calls; ++i) {
      auto ticket = breaker.AdmitAt(now);
      if (!ticket.ok()) continue;
      ++admitted;
      ticket->DoneAt(now, Outcome::kSuccess);
    }
    return admitted;
  }

  test::Changes changes;
  CircuitBreaker breaker;
};

TEST_CASE("a ramp admits its shares of calls, step by step, and then closes") {
  Ramping ramping({0.01, 0.05, 0.25, 1});
  CHECK(ramping.AdmittedOf(1000, At(12s)) == 10);
  CHECK(ramping.AdmittedOf(1000, At(22s)) == 50);
  CHECK(ramping.AdmittedOf(1000, At(33s)) == 250);
  CHECK(ramping.AdmittedOf(1000, At(44s)) == 1000);
  CHECK(ramping.breaker.StateAt(At(54s)) == kHalfOpen);
  CHECK(ramping.breaker.StateAt(At(54s + 1ns)) == kClosed);
  CHECK(ramping.breaker.CountsAt(At(55s)) == BreakerCounts{});
}

TEST_CASE("of a thousand calls a step of a ramp admits its share to the call") {
  for (int percent = 1; percent <= 100; ++percent) {
    Ramping ramping({percent / 100.0});
    CHECK(ramping.AdmittedOf(1000, At(12s)) == percent * 10);
  }
}

TEST_CASE("a ramp spreads the calls that it admits, beginning with the first of each step") {
  Ramping ramping({0.25, 0.5});
  const auto admitted = [&](TimePoint now) {
    std::string calls;
    for (int i = 0; i < 8; ++i) calls += ramping.AdmittedOf(1, now) == 1 ? 'x' : '-';
    return calls;
  };
  CHECK(admitted(At(12s)) == "x---x---");
  CHECK(admitted(At(12s)) == "x---x---");
  CHECK(admitted(At(21s)) == "x---x---");  // at exactly the end of the step
  CHECK(admitted(At(21s + 1ns)) == "x-x-x-x-");
}

TEST_CASE("while a ramp lasts it is half-open, and nobody is told of its steps") {
  Ramping ramping({0.5, 1});
  CHECK(ramping.changes.Take() == std::vector{kOpen, kHalfOpen});
  for (const Duration at : {12s, 22s, 30s}) {
    CHECK(ramping.AdmittedOf(1, At(at)) == 1);
    CHECK(ramping.breaker.StateAt(At(at)) == kHalfOpen);
  }
  CHECK(ramping.changes.Take().empty());
  CHECK(ramping.breaker.StateAt(At(40s)) == kClosed);
  CHECK(ramping.changes.Take() == std::vector{kClosed});
}

TEST_CASE("who is refused by a ramp is told that half-open it has no place") {
  Ramping ramping({0.1});
  auto admitted = ramping.breaker.AdmitAt(At(12s));
  REQUIRE(admitted.ok());
  const auto refused = ramping.breaker.AdmitAt(At(12s));
  CHECK(refused.status().code() == absl::StatusCode::kUnavailable);
  CHECK(RejectionOf(refused.status())->kind == RejectionKind::kTooManyProbes);
}

TEST_CASE("a step of a ramp begins when somebody looks, so that none is passed over") {
  Ramping ramping({0.1, 0.5});
  CHECK(ramping.AdmittedOf(10, At(24h)) == 6);  // the first of which ends the first step
  CHECK(ramping.AdmittedOf(10, At(24h + 10s)) == 5);
  CHECK(ramping.breaker.StateAt(At(24h + 10s)) == kHalfOpen);
  CHECK(ramping.breaker.StateAt(At(48h)) == kClosed);
}

TEST_CASE("a step of a ramp lasts until a call has succeeded in it") {
  Ramping ramping({0.1, 0.5});
  auto hangs = ramping.breaker.AdmitAt(At(12s));
  CHECK(ramping.AdmittedOf(9, At(24h)) == 0);
  CHECK(ramping.AdmittedOf(1, At(24h)) == 1);
  CHECK(ramping.AdmittedOf(2, At(24h)) == 1);  // the second step
  CHECK(ramping.breaker.StateAt(At(25h)) == kClosed);
}

TEST_CASE("an ignored or a dropped call of a ramp gives its place back") {
  Ramping ramping({0.01});
  for (int i = 0; i < 3; ++i) Record(ramping.breaker, At(12s), Outcome::kIgnored);
  {
    auto dropped = ramping.breaker.AdmitAt(At(12s));
    CHECK(dropped.ok());
  }
  CHECK(ramping.AdmittedOf(96, At(12s)) == 1);
}

TEST_CASE("a ramp fails when more of its calls fail than succeed") {
  Options options = Touchy();
  options.ready_to_trip = test::Never;
  Ramping ramping({1, 1}, options);
  Record(ramping.breaker, At(12s), Outcome::kSuccess, 2);
  Record(ramping.breaker, At(12s), Outcome::kIgnored, 5);
  Record(ramping.breaker, At(22s), Outcome::kFailure, 2);  // of all its steps together
  CHECK(ramping.breaker.StateAt(At(22s)) == kHalfOpen);
  Record(ramping.breaker, At(22s), Outcome::kFailure);
  CHECK(ramping.breaker.StateAt(At(22s)) == kOpen);
  CHECK(ramping.breaker.last_trip()->cause == TripCause::kRampFailed);
  CHECK(ramping.breaker.last_trip()->counts.failures == 3);
  CHECK(ramping.breaker.last_trip()->openings == 1);
  CHECK(ramping.breaker.retry_at() == At(32s + 1ns));
}

TEST_CASE("a ramp that fails at once opens, and begins from its first step the next time") {
  Ramping ramping({0.5, 1});
  (void)ramping.breaker.StateAt(At(22s));  // the second step
  Record(ramping.breaker, At(23s), Outcome::kFailure);
  CHECK(ramping.breaker.last_trip()->cause == TripCause::kRampFailed);
  Record(ramping.breaker, At(34s), Outcome::kSuccess);
  CHECK(ramping.AdmittedOf(10, At(35s)) == 5);
}

TEST_CASE("a breaker's rules hold during a ramp") {
  Options options = Touchy();
  options.ready_to_trip = nullptr;
  options.rules = {ConsecutiveFailures(2)};
  Ramping ramping({1}, options);
  Record(ramping.breaker, At(12s), Outcome::kSuccess, 10);
  Record(ramping.breaker, At(12s), Outcome::kFailure, 2);
  CHECK(ramping.breaker.StateAt(At(12s)) == kOpen);
  CHECK(ramping.breaker.last_trip()->cause == TripCause::kRule);
  CHECK(ramping.breaker.last_trip()->rule == "consecutive failures");
}

TEST_CASE("a rolling window rolls during a ramp as well") {
  Options options = Touchy();
  options.interval = 4s;
  options.bucket_period = 1s;
  options.ready_to_trip = test::Never;
  Ramping ramping({1}, options);
  Record(ramping.breaker, At(12s), Outcome::kSuccess, 9);
  Record(ramping.breaker, At(14s), Outcome::kSuccess);
  CHECK(ramping.breaker.CountsAt(At(14s)).successes == 10);
  CHECK(ramping.breaker.CountsAt(At(16s)).successes == 1);
  CHECK(ramping.breaker.CountsAt(At(19s)).requests == 0);
  Record(ramping.breaker, At(19s), Outcome::kFailure,
         10);  // of which there are no more than of those
  CHECK(ramping.breaker.StateAt(At(19s)) == kHalfOpen);
}

TEST_CASE("what a ramp's calls come to once it has closed, or opened, is dropped") {
  Ramping ramping({1});
  std::vector<Ticket> late;
  for (int i = 0; i < 4; ++i) late.push_back(*ramping.breaker.AdmitAt(At(12s)));
  Record(ramping.breaker, At(12s), Outcome::kSuccess);
  CHECK(ramping.breaker.StateAt(At(30s)) == kClosed);
  late[0].DoneAt(At(30s), Outcome::kFailure);
  late[1].DoneAt(At(30s), Outcome::kSuccess);
  CHECK(ramping.breaker.StateAt(At(30s)) == kClosed);
  CHECK(ramping.breaker.CountsAt(At(30s)) == BreakerCounts{});
  Record(ramping.breaker, At(31s), Outcome::kFailure);
  late[2].DoneAt(At(32s), Outcome::kSuccess);
  (void)ramping.breaker.StateAt(At(42s));
  late[3].DoneAt(At(42s), Outcome::kSuccess);
  CHECK(ramping.breaker.StateAt(At(42s)) == kHalfOpen);
}

TEST_CASE("a ramp goes on though its calls take longer than the window") {
  Options options = Touchy();
  options.interval = 1s;
  options.bucket_period = 100ms;
  Ramping ramping({1}, options);
  test::RecordSlow(ramping.breaker, At(12s), 5s, Outcome::kSuccess);
  CHECK(ramping.breaker.StateAt(At(30s)) == kClosed);
}

}  // namespace
}  // namespace holdfast::breaker_ramp_test
