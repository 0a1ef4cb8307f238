// A breaker's modes, Reset, and what it takes along into the next process.
#include <absl/status/statusor.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/breaker/breaker_snapshot.h"
#include "holdfast/breaker/circuit_breaker.h"
#include "test/support/breaker.h"
#include "test/support/catch.h"

namespace holdfast::breaker_by_hand_test {
namespace {

using namespace std::chrono_literals;
using Options = CircuitBreaker::Options;
using test::At;
using test::Changes;
using test::Record;
using test::Touchy;

constexpr auto kClosed = BreakerState::kClosed;
constexpr auto kHalfOpen = BreakerState::kHalfOpen;
constexpr auto kOpen = BreakerState::kOpen;

struct Fixture {
  Fixture() : breaker(Listening(changes)) {}

  static Options Listening(Changes& changes) {
    Options options = Touchy();
    options.on_state_change = changes.Listener();
    return options;
  }

  Changes changes;
  CircuitBreaker breaker;
};

TEST_CASE_METHOD(Fixture, "forced open, it refuses until the mode is changed, and says so") {
  breaker.SetModeAt(At(1s), BreakerMode::kForcedOpen);
  CHECK(breaker.mode() == BreakerMode::kForcedOpen);
  CHECK(breaker.StateAt(At(24h * 365)) == kOpen);
  CHECK(breaker.retry_at() == TimePoint::max());
  const auto refused = breaker.AdmitAt(At(24h * 365));
  CHECK(RejectionOf(refused.status())->kind == RejectionKind::kCircuitOpen);
  CHECK(breaker.last_trip()->cause == TripCause::kByHand);
  CHECK(breaker.last_trip()->at == At(1s));
  CHECK(breaker.last_trip()->openings == 0);  // of its own accord
  CHECK(changes.Take() == std::vector{kOpen});
}

TEST_CASE_METHOD(Fixture, "from forced open it goes on half-open, so that probes decide") {
  const BreakerMode to = GENERATE(BreakerMode::kAutomatic, BreakerMode::kMetricsOnly);
  breaker.SetModeAt(At(0s), BreakerMode::kForcedOpen);
  breaker.SetModeAt(At(1s), to);
  CHECK(breaker.mode() == to);
  CHECK(breaker.StateAt(At(1s)) == kHalfOpen);
  CHECK(breaker.retry_at() == TimePoint::min());
  Record(breaker, At(1s), Outcome::kFailure);
  CHECK(breaker.StateAt(At(11s)) == kOpen);
  Record(breaker, At(12s), Outcome::kSuccess);
  CHECK(changes.Take() == std::vector{kOpen, kHalfOpen, kOpen, kHalfOpen, kClosed});
}

TEST_CASE_METHOD(Fixture, "an open breaker that is forced open stays so, and nobody is told") {
  Record(breaker, At(0s), Outcome::kFailure);
  breaker.SetModeAt(At(1s), BreakerMode::kForcedOpen);
  breaker.SetModeAt(At(2s), BreakerMode::kForcedOpen);  // which it is
  CHECK(breaker.StateAt(At(1h)) == kOpen);
  CHECK(breaker.last_trip()->at == At(1s));
  CHECK(changes.Take() == std::vector{kOpen});
}

TEST_CASE_METHOD(Fixture, "forced closed, it counts and never opens") {
  Record(breaker, At(0s), Outcome::kFailure);
  breaker.SetModeAt(At(1s), BreakerMode::kForcedClosed);
  CHECK(breaker.mode() == BreakerMode::kForcedClosed);
  CHECK(breaker.StateAt(At(1s)) == kClosed);
  Record(breaker, At(1s), Outcome::kFailure, 50);
  Record(breaker, At(2s), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(2s)) == kClosed);
  CHECK(breaker.CountsAt(At(2s)).failures == 50);
  CHECK(breaker.retry_at() == TimePoint::min());
  CHECK(changes.Take() == std::vector{kOpen, kClosed});
}

TEST_CASE_METHOD(Fixture, "from forced closed it goes on with what it has counted") {
  breaker.SetModeAt(At(0s), BreakerMode::kForcedClosed);
  Record(breaker, At(1s), Outcome::kFailure, 50);
  breaker.SetModeAt(At(2s), BreakerMode::kAutomatic);
  CHECK(breaker.StateAt(At(2s)) == kClosed);
  CHECK(breaker.CountsAt(At(2s)).failures == 50);
  Record(breaker, At(2s), Outcome::kFailure);
  CHECK(breaker.StateAt(At(2s)) == kOpen);
  CHECK(breaker.last_trip()->counts.failures == 51);
}

TEST_CASE_METHOD(Fixture, "metrics only, it is in the state it would be in, and admits all") {
  breaker.SetModeAt(At(0s), BreakerMode::kMetricsOnly);
  CHECK(breaker.mode() == BreakerMode::kMetricsOnly);
  Record(breaker, At(0s), Outcome::kFailure);
  CHECK(breaker.StateAt(At(1s)) == kOpen);
  CHECK(breaker.last_trip()->cause == TripCause::kRule);
  Record(breaker, At(1s), Outcome::kFailure, 20);
  Record(breaker, At(1s), Outcome::kSuccess, 20);
  CHECK(breaker.StateAt(At(10s)) == kOpen);
  CHECK(breaker.CountsAt(At(10s)) == BreakerCounts{});  // as if they had not been made
  CHECK(breaker.StateAt(At(10s + 1ns)) == kHalfOpen);
  CHECK(changes.Take() == std::vector{kOpen, kHalfOpen});
}

TEST_CASE_METHOD(Fixture, "metrics only, the calls that would be probes decide, and no others") {
  breaker.SetModeAt(At(0s), BreakerMode::kMetricsOnly);
  Record(breaker, At(0s), Outcome::kFailure);
  auto probe = breaker.AdmitAt(At(11s));
  Record(breaker, At(11s), Outcome::kFailure);
  Record(breaker, At(11s), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(11s)) == kHalfOpen);
  CHECK(breaker.CountsAt(At(11s)).requests == 1);
  probe->DoneAt(At(12s), Outcome::kFailure);
  CHECK(breaker.StateAt(At(12s)) == kOpen);
  Record(breaker, At(23s), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(23s)) == kClosed);
}

TEST_CASE_METHOD(Fixture, "metrics only, a hung probe opens it as it would") {
  breaker.SetModeAt(At(0s), BreakerMode::kMetricsOnly);
  Record(breaker, At(0s), Outcome::kFailure);
  auto hung = breaker.AdmitAt(At(11s));
  auto dry_run = breaker.AdmitAt(At(11s));
  CHECK(breaker.StateAt(At(21s + 1ns)) == kOpen);
  CHECK(breaker.last_trip()->cause == TripCause::kProbeHung);
}

TEST_CASE("metrics only, a ramp admits all, of whom only its share counts") {
  Options options = Touchy();
  options.ramp = {0.25};
  CircuitBreaker breaker(options);
  breaker.SetModeAt(At(0s), BreakerMode::kForcedOpen);
  breaker.SetModeAt(At(0s), BreakerMode::kMetricsOnly);
  Record(breaker, At(0s), Outcome::kSuccess);
  Record(breaker, At(1s), Outcome::kSuccess, 100);
  CHECK(breaker.CountsAt(At(1s)).requests == 25);
}

TEST_CASE_METHOD(Fixture,
                 "an open breaker admits all as soon as it is metrics only, and none after") {
  Record(breaker, At(0s), Outcome::kFailure);
  breaker.SetModeAt(At(1s), BreakerMode::kMetricsOnly);
  Record(breaker, At(1s), Outcome::kSuccess, 3);
  CHECK(breaker.StateAt(At(2s)) == kOpen);
  breaker.SetModeAt(At(2s), BreakerMode::kAutomatic);
  CHECK_FALSE(breaker.AdmitAt(At(10s)).ok());
  CHECK(breaker.retry_at() == At(10s + 1ns));
  CHECK(breaker.AdmitAt(At(10s + 1ns)).ok());
  CHECK(changes.Take() == std::vector{kOpen, kHalfOpen});
}

TEST_CASE_METHOD(Fixture, "metrics only on and off, closed or half-open, changes nothing") {
  auto counted = breaker.AdmitAt(At(0s));
  breaker.SetModeAt(At(0s), BreakerMode::kMetricsOnly);
  counted->DoneAt(At(0s), Outcome::kFailure);
  CHECK(breaker.StateAt(At(0s)) == kOpen);
  auto probe = breaker.AdmitAt(At(11s));
  breaker.SetModeAt(At(11s), BreakerMode::kAutomatic);
  CHECK_FALSE(breaker.AdmitAt(At(11s)).ok());
  probe->DoneAt(At(12s), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(12s)) == kClosed);
}

TEST_CASE_METHOD(Fixture, "Reset makes it as new, whatever it was") {
  const BreakerMode mode = GENERATE(BreakerMode::kAutomatic, BreakerMode::kMetricsOnly,
                                    BreakerMode::kForcedOpen, BreakerMode::kForcedClosed);
  Record(breaker, At(0s), Outcome::kFailure);
  breaker.SetModeAt(At(0s), mode);
  breaker.ResetAt(At(1s));
  CHECK(breaker.mode() == BreakerMode::kAutomatic);
  CHECK(breaker.StateAt(At(1s)) == kClosed);
  CHECK_FALSE(breaker.last_trip());
  CHECK(breaker.retry_at() == TimePoint::min());
  CHECK(breaker.CountsAt(At(1s)) == BreakerCounts{});
  CHECK(changes.Take() == std::vector{kOpen, kClosed});
  Record(breaker, At(1s), Outcome::kFailure);
  CHECK(breaker.last_trip()->openings == 1);
}

TEST_CASE_METHOD(Fixture, "what calls in flight come to across a change by hand is dropped") {
  const int how = GENERATE(0, 1, 2, 3);
  const Outcome outcome = GENERATE(Outcome::kSuccess, Outcome::kFailure, Outcome::kIgnored);
  const bool probing = GENERATE(false, true);
  if (how == 2 && !probing) return;  // see the next one
  if (probing) Record(breaker, At(-20s), Outcome::kFailure);
  auto in_flight = breaker.AdmitAt(At(0s));
  REQUIRE(in_flight.ok());
  if (how == 0) breaker.ResetAt(At(0s));
  if (how == 1) breaker.SetModeAt(At(0s), BreakerMode::kForcedOpen);
  if (how == 2) breaker.SetModeAt(At(0s), BreakerMode::kForcedClosed);
  if (how == 3) CHECK(breaker.RestoreAt(At(0s), {.state = kHalfOpen}).ok());
  const BreakerState state = breaker.StateAt(At(0s));
  in_flight->DoneAt(At(1s), outcome);
  CHECK(breaker.StateAt(At(1s)) == state);
  CHECK(breaker.CountsAt(At(1s)) == BreakerCounts{});
}

TEST_CASE_METHOD(Fixture, "forced closed, a closed breaker goes on with what it has counted") {
  auto in_flight = breaker.AdmitAt(At(0s));
  breaker.SetModeAt(At(0s), BreakerMode::kForcedClosed);
  in_flight->DoneAt(At(1s), Outcome::kFailure);
  CHECK(breaker.CountsAt(At(1s)).failures == 1);
  breaker.SetModeAt(At(1s), BreakerMode::kAutomatic);
  CHECK(breaker.CountsAt(At(1s)).failures == 1);
  CHECK(breaker.StateAt(At(1s)) == kClosed);
  Record(breaker, At(1s), Outcome::kFailure);
  CHECK(breaker.StateAt(At(1s)) == kOpen);
}

BreakerSnapshot ThroughText(const BreakerSnapshot& snapshot) {
  const auto parsed = ParseBreakerSnapshot(ToString(snapshot));
  REQUIRE(parsed.ok());
  CHECK(*parsed == snapshot);
  return *parsed;
}

TEST_CASE_METHOD(Fixture, "an outage is not relearned by the next process") {
  Record(breaker, At(0s), Outcome::kFailure);
  const BreakerSnapshot snapshot = ThroughText(breaker.SnapshotAt(At(4s)));
  CHECK(snapshot == BreakerSnapshot{.state = kOpen, .openings = 1, .open_for = 6s});

  Changes told;
  CircuitBreaker next(Listening(told));
  REQUIRE(next.RestoreAt(At(1000s), snapshot, 2s).ok());
  CHECK(told.Take() == std::vector{kOpen});
  CHECK(next.retry_at() == At(1004s + 1ns));
  CHECK_FALSE(next.AdmitAt(At(1004s)).ok());
  CHECK(next.StateAt(At(1004s + 1ns)) == kHalfOpen);
  CHECK_FALSE(next.last_trip());
  Record(next, At(1005s), Outcome::kFailure);
  CHECK(next.last_trip()->openings == 2);
}

TEST_CASE_METHOD(Fixture,
                 "of a restored open time no more passes than there is, nor less than none") {
  const BreakerSnapshot snapshot{.state = kOpen, .openings = 1, .open_for = 6s};
  const std::vector<std::pair<Duration, Duration>> rest = {{0s, 6s},
                                                           {1s, 5s},
                                                           {6s, 0s},
                                                           {7s, 0s},
                                                           {Duration::max(), 0s},
                                                           {-1s, 6s},
                                                           {-24h, 6s},
                                                           {Duration::min(), 6s}};
  for (const auto& [elapsed, left] : rest) {
    REQUIRE(breaker.RestoreAt(At(100s), snapshot, elapsed).ok());
    CHECK(breaker.StateAt(At(100s + left)) == kOpen);
    CHECK(breaker.StateAt(At(100s + left + 1ns)) == kHalfOpen);
  }
}

TEST_CASE("restored, it stays open no longer than it now would, unless a function says how long") {
  const BreakerSnapshot snapshot{.state = kOpen, .openings = 3, .open_for = 1h};
  CircuitBreaker shorter(Touchy());
  REQUIRE(shorter.RestoreAt(At(0s), snapshot).ok());
  CHECK(shorter.retry_at() == At(10s + 1ns));

  Options options = Touchy();
  std::vector<std::uint64_t> asked;
  options.open_time = [&](std::uint64_t openings) {
    asked.push_back(openings);
    return openings * 10s;
  };
  CircuitBreaker growing(options);
  REQUIRE(growing.RestoreAt(At(0s), snapshot).ok());
  CHECK(growing.retry_at() == At(1h + 1ns));
  CHECK(asked.empty());
  Record(growing, At(2h), Outcome::kFailure);  // and grows on
  CHECK(asked == std::vector<std::uint64_t>{4});
  CHECK(growing.retry_at() == At(2h + 40s + 1ns));
}

TEST_CASE_METHOD(Fixture, "every state and mode can be restored") {
  const std::vector<BreakerSnapshot> snapshots = {
      {.state = kClosed},
      {.state = kClosed, .mode = BreakerMode::kMetricsOnly},
      {.state = kClosed, .mode = BreakerMode::kForcedClosed},
      {.state = kHalfOpen, .openings = 2},
      {.state = kHalfOpen, .mode = BreakerMode::kMetricsOnly, .openings = 2},
      {.state = kOpen, .openings = 1, .open_for = 3s},
      {.state = kOpen, .mode = BreakerMode::kMetricsOnly, .openings = 1, .open_for = 3s},
      {.state = kOpen, .mode = BreakerMode::kForcedOpen, .openings = 7}};
  Record(breaker, At(0s), Outcome::kFailure);
  for (const BreakerSnapshot& snapshot : snapshots) {
    REQUIRE(breaker.RestoreAt(At(5s), ThroughText(snapshot)).ok());
    CHECK(breaker.StateAt(At(5s)) == snapshot.state);
    CHECK(breaker.mode() == snapshot.mode);
    CHECK(breaker.SnapshotAt(At(5s)) == snapshot);
    CHECK_FALSE(breaker.last_trip());
    const bool admits = snapshot.state != kOpen || snapshot.mode == BreakerMode::kMetricsOnly;
    CHECK(breaker.AdmitAt(At(5s)).ok() == admits);
  }
  CHECK(breaker.StateAt(At(1h)) == kOpen);  // the last one, by hand
  breaker.SetModeAt(At(1h), BreakerMode::kAutomatic);
  Record(breaker, At(1h), Outcome::kFailure);
  CHECK(breaker.last_trip()->openings == 8);
}

TEST_CASE_METHOD(Fixture, "restored half-open, it begins to probe anew") {
  Record(breaker, At(0s), Outcome::kFailure);
  auto probe = breaker.AdmitAt(At(11s));
  const BreakerSnapshot snapshot = breaker.SnapshotAt(At(11s));
  CHECK(snapshot == BreakerSnapshot{.state = kHalfOpen, .openings = 1});
  REQUIRE(breaker.RestoreAt(At(12s), snapshot).ok());
  CHECK(breaker.CountsAt(At(12s)) == BreakerCounts{});
  Record(breaker, At(12s), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(12s)) == kClosed);
}

TEST_CASE("a snapshot of a ramp is one of half-open, and restored it probes first") {
  Options options = Touchy();
  options.ramp = {1};
  CircuitBreaker breaker(options);
  Record(breaker, At(0s), Outcome::kFailure);
  Record(breaker, At(11s), Outcome::kSuccess);
  const BreakerSnapshot snapshot = breaker.SnapshotAt(At(12s));
  CHECK(snapshot == BreakerSnapshot{.state = kHalfOpen, .openings = 1});
  REQUIRE(breaker.RestoreAt(At(12s), snapshot).ok());
  auto probe = breaker.AdmitAt(At(12s));
  CHECK(probe.ok());
  CHECK_FALSE(breaker.AdmitAt(At(12s)).ok());
}

TEST_CASE("a snapshot says what time has made of the breaker, and no less time than none") {
  CircuitBreaker breaker(Touchy());
  Record(breaker, At(0s), Outcome::kFailure);
  CHECK(breaker.SnapshotAt(At(10s)) == BreakerSnapshot{.state = kOpen, .openings = 1});
  CHECK(breaker.SnapshotAt(At(10s + 1ns)).state == kHalfOpen);
}

TEST_CASE_METHOD(Fixture,
                 "a snapshot of what no breaker can be in is refused, and changes nothing") {
  const std::vector<std::pair<BreakerSnapshot, std::string>> wrong = {
      {{.version = 2}, "version must be 1, not 2"},
      {{.version = 0}, "version must be 1, not 0"},
      {{.state = kClosed, .mode = BreakerMode::kForcedOpen},
       "in mode forced-open, state must be open"},
      {{.state = kHalfOpen, .mode = BreakerMode::kForcedClosed},
       "in mode forced-closed, state must be closed"},
      {{.state = kOpen, .open_for = -1ns}, "open_for must be >= 0"},
      {{.state = kHalfOpen, .open_for = 1s}, "open_for must be 0 unless state is open"},
      {{.state = kClosed, .openings = 1}, "openings must be 0 if state is closed"}};
  Record(breaker, At(0s), Outcome::kFailure);
  for (const auto& [snapshot, text] : wrong) {
    const absl::Status status = breaker.RestoreAt(At(1s), snapshot);
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(status.message()), test::ContainsSubstring(text));
    CHECK_FALSE(ParseBreakerSnapshot(ToString(snapshot)).ok());
  }
  CHECK(breaker.retry_at() == At(10s + 1ns));
  CHECK(breaker.last_trip());
  CHECK(changes.Take() == std::vector{kOpen});
}

TEST_CASE("a snapshot is a line of text, and no other text is one") {
  const BreakerSnapshot snapshot{.state = kHalfOpen,
                                 .mode = BreakerMode::kMetricsOnly,
                                 .openings = BreakerSnapshot::kMaxOpenings};
  CHECK(ToString(snapshot) == "holdfast-breaker 1 half-open metrics-only 1000000000 0");
  ThroughText(snapshot);
  ThroughText({.state = kOpen, .open_for = Duration::max()});
  for (const std::string_view text : {"",
                                      " ",
                                      "holdfast-breaker",
                                      "holdfast-breaker 1",
                                      "holdfast-breaker one open automatic 0 0",
                                      "holdfast-bucket 1 open automatic 0 0",
                                      "HOLDFAST-BREAKER 1 open automatic 0 0",
                                      " holdfast-breaker 1 open automatic 0 0",
                                      "holdfast-breaker  1 open automatic 0 0",
                                      "holdfast-breaker 1 open automatic 0",
                                      "holdfast-breaker 1 open automatic 0 0 0",
                                      "holdfast-breaker 1 ajar automatic 0 0",
                                      "holdfast-breaker 1 Open automatic 0 0",
                                      "holdfast-breaker 1 open manual 0 0",
                                      "holdfast-breaker 1 automatic open 0 0",
                                      "holdfast-breaker 1 open automatic -1 0",
                                      "holdfast-breaker 1 open automatic x 0",
                                      "holdfast-breaker 1 open automatic 1.5 0",
                                      "holdfast-breaker 1 open automatic 0 5s",
                                      "holdfast-breaker 1 open automatic 0 -1",
                                      "holdfast-breaker 1 open automatic  0",
                                      "holdfast-breaker 1 open automatic 1000000001 0",
                                      "holdfast-breaker 1 open automatic 18446744073709551616 0",
                                      "holdfast-breaker 1 open automatic 0 9223372036854775808",
                                      "holdfast-breaker 99999999999999999999 open automatic 0 0",
                                      "holdfast-breaker 2 closed automatic 0 0",
                                      "holdfast-breaker 2 and what it may hold"}) {
    CAPTURE(text);
    CHECK(ParseBreakerSnapshot(text).status().code() == absl::StatusCode::kInvalidArgument);
  }
  CHECK(ParseBreakerSnapshot("limit 3").status().message() ==
        "BreakerSnapshot: not a breaker snapshot");
  CHECK(ParseBreakerSnapshot("holdfast-breaker 1 open").status().message() ==
        "BreakerSnapshot: malformed; a snapshot is "
        "\"holdfast-breaker 1 <state> <mode> <openings> <open_for in ns>\"");
}

TEST_CASE_METHOD(Fixture, "a snapshot of no state there is changes nothing") {
  const auto no_state = static_cast<BreakerState>(3);
  const auto no_mode = static_cast<BreakerMode>(-1);
  CHECK(ToString(no_state).empty());
  CHECK_FALSE(breaker.RestoreAt(At(0s), {.state = no_state}).ok());
  CHECK_FALSE(breaker.RestoreAt(At(0s), {.mode = no_mode}).ok());
  CHECK_FALSE(breaker.RestoreAt(At(0s), {.version = 2}).ok());
  CHECK(breaker.StateAt(At(0s)) == kClosed);
  CHECK(breaker.mode() == BreakerMode::kAutomatic);
}

}  // namespace
}  // namespace holdfast::breaker_by_hand_test
