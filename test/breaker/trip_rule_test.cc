#include "holdfast/breaker/trip_rule.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/breaker/circuit_breaker.h"
#include "test/support/breaker.h"
#include "test/support/catch.h"

namespace holdfast::trip_rule_test {
namespace {

using namespace std::chrono_literals;
using Options = CircuitBreaker::Options;
using test::At;
using test::Record;
using test::RecordSlow;

// 's'uccess, 'f'ailure, 'i'gnored; capital letters took 2 s, where more than 1 s is slow.
BreakerState After(CircuitBreaker& breaker, std::string_view calls) {
  for (const char call : calls) {
    const bool slow = call < 'a';
    const char what = slow ? static_cast<char>(call + ('a' - 'A')) : call;
    RecordSlow(breaker, At(0s), slow ? 2s : 0s,
               what == 's'   ? Outcome::kSuccess
               : what == 'f' ? Outcome::kFailure
                             : Outcome::kIgnored);
  }
  return breaker.StateAt(At(2s));
}

bool Trips(const TripRule& rule, std::string_view calls) {
  CircuitBreaker breaker({.rules = {rule}, .slow_call = 1s});
  return After(breaker, calls) == BreakerState::kOpen;
}

TEST_CASE("failures in a row trip at their number, and not before") {
  CHECK(Trips(ConsecutiveFailures(1), "f"));
  CHECK_FALSE(Trips(ConsecutiveFailures(3), "ff"));
  CHECK(Trips(ConsecutiveFailures(3), "fff"));
  CHECK_FALSE(Trips(ConsecutiveFailures(3), "ffsff"));
  CHECK(Trips(ConsecutiveFailures(3), "ffsfff"));
  CHECK(Trips(ConsecutiveFailures(3), "fifif"));  // ignored calls end no run
}

TEST_CASE("a failure rate trips at its share, and not below") {
  CHECK_FALSE(Trips(FailureRate(0.5, 4), "sssff"));
  CHECK(Trips(FailureRate(0.5, 4), "ssff"));
  CHECK(Trips(FailureRate(0.5, 4), "sfff"));
  CHECK_FALSE(Trips(FailureRate(1, 2), "sf"));
  CHECK(Trips(FailureRate(1, 2), "ff"));
  CHECK(Trips(FailureRate(0.3, 10), "sssssssfff"));
  CHECK(Trips(FailureRate(std::numeric_limits<double>::min(), 5), "ssssf"));
}

TEST_CASE("a failure rate says nothing of fewer calls than its minimum") {
  CHECK_FALSE(Trips(FailureRate(0.5, 4), "fff"));
  CHECK(Trips(FailureRate(0.5, 4), "ffff"));
  CHECK_FALSE(Trips(FailureRate(0.5, 4), "fffs"));  // it is failures that trip
  CHECK(Trips(FailureRate(0.5, 4), "fffsf"));
  CHECK(Trips(FailureRate(0.5, 0), "f"));
}

TEST_CASE("a rate of slow calls trips at its share, and not below") {
  CHECK_FALSE(Trips(SlowCallRate(0.5, 4), "sssSS"));
  CHECK(Trips(SlowCallRate(0.5, 4), "ssSS"));
  CHECK_FALSE(Trips(SlowCallRate(0.5, 4), "SSS"));
  CHECK(Trips(SlowCallRate(0.5, 4), "SSSS"));
  CHECK(Trips(SlowCallRate(0.5, 4), "ssSF"));        // slow failures are slow calls
  CHECK_FALSE(Trips(SlowCallRate(0.5, 4), "ffff"));  // and fast ones are none
}

TEST_CASE("calls that succeed, but slowly, trip a breaker") {
  CHECK(Trips(SlowCallRate(1, 3), "SSS"));
  CHECK_FALSE(Trips(FailureRate(0.1, 1), "SSS"));
}

TEST_CASE("a call that takes slow_call is not slow, and a nanosecond more is") {
  CircuitBreaker breaker({.rules = {SlowCallRate(1, 1)}, .slow_call = 1s});
  RecordSlow(breaker, At(0s), 1s, Outcome::kSuccess);
  CHECK(breaker.CountsAt(At(1s)).slow == 0);
  breaker.ResetAt(At(1s));
  RecordSlow(breaker, At(1s), 1s + 1ns, Outcome::kSuccess);
  CHECK(breaker.StateAt(At(3s)) == BreakerState::kOpen);
}

TEST_CASE("slow calls are counted, and ignored ones are not slow") {
  CircuitBreaker breaker({.slow_call = 1s});
  for (const Duration took : {500ms, 1000ms, 1001ms, 3000ms}) {
    RecordSlow(breaker, At(0s), took, Outcome::kSuccess);
  }
  RecordSlow(breaker, At(0s), 2s, Outcome::kFailure);
  RecordSlow(breaker, At(0s), 2s, Outcome::kIgnored);
  const BreakerCounts counts = breaker.CountsAt(At(3s));
  CHECK(counts.slow == 3);
  CHECK(counts.successes == 4);
  CHECK(counts.slow_rate() == test::Approx(0.6));
}

// gobreaker: its counts of requests hold both, and a share of them is diluted.
TEST_CASE("ignored calls, and those that are still out, dilute no rate") {
  CHECK(Trips(FailureRate(0.5, 2), "iiiiiiiiiisf"));
  CHECK(Trips(SlowCallRate(0.5, 2), "IIiiiiiisS"));
  CircuitBreaker breaker({.rules = {FailureRate(0.5, 2)}});
  std::vector<Ticket> out;
  for (int i = 0; i < 100; ++i) out.push_back(*breaker.AdmitAt(At(0s)));
  CHECK(After(breaker, "sf") == BreakerState::kOpen);
}

TEST_CASE("ignored calls and those still out don't make up the minimum either") {
  CHECK_FALSE(Trips(FailureRate(0.5, 3), "iiiiff"));
  CircuitBreaker breaker({.rules = {FailureRate(0.5, 3)}});
  const auto out = breaker.AdmitAt(At(0s));
  CHECK(After(breaker, "ff") == BreakerState::kClosed);
}

TEST_CASE("rates are zero where nothing was judged") {
  CHECK(BreakerCounts{}.failure_rate() == 0);
  CHECK(BreakerCounts{.requests = 3, .ignored = 2}.slow_rate() == 0);
  CHECK(BreakerCounts{.successes = 3, .failures = 1}.failure_rate() == 0.25);
}

TEST_CASE("a rate is of the calls in the window") {
  CircuitBreaker breaker({.interval = 10s, .bucket_period = 1s, .rules = {FailureRate(0.5, 4)}});
  Record(breaker, At(0s), Outcome::kSuccess, 100);
  Record(breaker, At(5s), Outcome::kFailure, 4);
  CHECK(breaker.StateAt(At(9s)) == BreakerState::kClosed);
  Record(breaker, At(10s), Outcome::kFailure);
  CHECK(breaker.StateAt(At(10s)) == BreakerState::kOpen);
}

TEST_CASE("unless told otherwise a breaker trips on the sixth failure in a row") {
  CircuitBreaker breaker({});
  CHECK(After(breaker, "fffffsfffff") == BreakerState::kClosed);
  CHECK(After(breaker, "f") == BreakerState::kOpen);
  CHECK(breaker.last_trip()->rule == "consecutive failures");
}

TEST_CASE("a rule or ready_to_trip takes the place of the default one") {
  CHECK_FALSE(Trips(ConsecutiveFailures(8), "fffffff"));
  CircuitBreaker breaker({.ready_to_trip = test::Never});
  CHECK(After(breaker, "ffffffffff") == BreakerState::kClosed);
}

TEST_CASE("of several rules any trips, and the first that says so is the reason") {
  const auto reason = [](std::string_view calls) {
    CircuitBreaker breaker({
        .ready_to_trip = [](const BreakerCounts& counts) { return counts.failures >= 3; },
        .rules = {ConsecutiveFailures(3), FailureRate(0.5, 4), SlowCallRate(0.5, 4)},
        .slow_call = 1s,
    });
    (void)After(breaker, calls);
    const auto trip = breaker.last_trip();
    return trip ? trip->rule : "none";
  };
  CHECK(reason("ff") == "none");
  CHECK(reason("fff") == "consecutive failures");
  CHECK(reason("ssff") == "failure rate");
  CHECK(reason("ssSS") == "slow call rate");
  CHECK(reason("sssssssfsfsf") == "ready_to_trip");
  CHECK(reason("ssfF") == "failure rate");
  CHECK(reason("sFFF") == "consecutive failures");  // as are two others
}

TEST_CASE("why, when and on what counts it tripped can be asked") {
  CircuitBreaker breaker({.timeout = 10s, .rules = {FailureRate(0.5, 4)}});
  CHECK_FALSE(breaker.last_trip());
  Record(breaker, At(1s), Outcome::kSuccess, 2);
  Record(breaker, At(2s), Outcome::kIgnored);
  Record(breaker, At(3s), Outcome::kFailure, 2);
  std::optional<Trip> trip = breaker.last_trip();
  REQUIRE(trip);
  CHECK(trip->cause == TripCause::kRule);
  CHECK(trip->rule == "failure rate");
  CHECK(trip->at == At(3s));
  CHECK(trip->openings == 1);
  CHECK(trip->counts ==
        BreakerCounts{
            .requests = 5, .successes = 2, .failures = 2, .ignored = 1, .consecutive_failures = 2});
  Record(breaker, At(14s), Outcome::kFailure);
  trip = breaker.last_trip();
  CHECK(trip->cause == TripCause::kProbeFailed);
  CHECK(trip->rule.empty());
  CHECK(trip->openings == 2);
  CHECK(trip->counts.failures == 1);
  Record(breaker, At(25s), Outcome::kSuccess);
  CHECK(breaker.last_trip()->openings == 2);  // closed, it still knows
}

TEST_CASE("a rule of the user's own is asked about the counts, and named as the reason") {
  std::vector<BreakerCounts> asked;
  CircuitBreaker breaker({.rules = {{.name = "two of each", .tripped = [&](const BreakerCounts& c) {
                                       asked.push_back(c);
                                       return c.failures >= 2 && c.successes >= 2;
                                     }}}});
  CHECK(After(breaker, "ffs") == BreakerState::kClosed);
  CHECK(After(breaker, "sf") == BreakerState::kOpen);
  CHECK(breaker.last_trip()->rule == "two of each");
  REQUIRE(asked.size() == 3);
  CHECK(asked[1].failures == 2);
  CHECK(asked[2] ==
        BreakerCounts{.requests = 5, .successes = 2, .failures = 3, .consecutive_failures = 1});
}

TEST_CASE("rules are asked after failures and slow calls of a closed breaker, and nothing else") {
  int asked = 0;
  bool trips = false;
  CircuitBreaker breaker({.timeout = 10s,
                          .rules = {{.name = "mine",
                                     .tripped =
                                         [&](const BreakerCounts&) {
                                           ++asked;
                                           return trips;
                                         }}},
                          .slow_call = 1s});
  (void)After(breaker, "ssiis");
  CHECK(asked == 0);
  (void)After(breaker, "fSF");
  CHECK(asked == 3);
  trips = true;
  (void)After(breaker, "f");
  CHECK(asked == 4);
  RecordSlow(breaker, At(20s), 3s, Outcome::kIgnored);
  Record(breaker, At(24s), Outcome::kFailure);  // a probe
  CHECK(asked == 4);
}

TEST_CASE("a rule that throws has said no, and the next one is asked") {
  CircuitBreaker breaker(
      {.rules = {{.name = "broken",
                  .tripped = [](const BreakerCounts&) -> bool { throw std::runtime_error("?"); }},
                 ConsecutiveFailures(2)}});
  CHECK(After(breaker, "f") == BreakerState::kClosed);
  CHECK(After(breaker, "f") == BreakerState::kOpen);
  CHECK(breaker.last_trip()->rule == "consecutive failures");
}

TEST_CASE("rules that make no sense are refused") {
  for (const double share : {0.0, -0.5, 1.0001, std::nan(""), HUGE_VAL}) {
    CHECK_THROWS_AS(FailureRate(share, 10), std::invalid_argument);
    CHECK_THROWS_AS(SlowCallRate(share, 10), std::invalid_argument);
  }
  CHECK_THROWS_WITH(FailureRate(1.5, 10), "FailureRate: share must be in (0, 1], not 1.5");
  CHECK_THROWS_AS(ConsecutiveFailures(0), std::invalid_argument);
  CHECK_THROWS_WITH(ConsecutiveFailures(0), test::ContainsSubstring("failures must be >= 1"));

  const Options without_function{.rules = {{.name = "mine", .tripped = nullptr}}};
  CHECK_THAT(std::string(Validate(without_function).message()),
             test::ContainsSubstring("\"mine\" has no function"));
  const Options without_slow_call{.rules = {ConsecutiveFailures(1), SlowCallRate(0.5, 10)}};
  CHECK_THAT(std::string(Validate(without_slow_call).message()),
             test::ContainsSubstring("\"slow call rate\" needs slow_call > 0"));
  CHECK_THROWS_AS(CircuitBreaker(without_slow_call), std::invalid_argument);
}

TEST_CASE("the last trip has the counts that its rule was asked about") {
  CircuitBreaker* self = nullptr;
  const auto meanwhile = [&](const BreakerCounts& counts) {
    if (counts.failures == 2) test::Record(*self, test::At(0s), Outcome::kSuccess);
    return counts.failures == 2;
  };
  CircuitBreaker breaker({.ready_to_trip = meanwhile});
  self = &breaker;
  test::Record(breaker, test::At(0s), Outcome::kFailure, 2);
  const BreakerCounts counts{.requests = 2, .failures = 2, .consecutive_failures = 2};
  CHECK(breaker.last_trip()->counts == counts);
  CHECK(breaker.last_trip()->rule == "ready_to_trip");
}

TEST_CASE("a slow call that is ignored asks no rule") {
  CircuitBreaker breaker(
      {.interval = 10s, .bucket_period = 1s, .rules = {FailureRate(0.5, 2)}, .slow_call = 1s});
  test::Record(breaker, test::At(0s), Outcome::kSuccess, 100);
  test::Record(breaker, test::At(5s), Outcome::kFailure, 2);
  test::RecordSlow(breaker, test::At(9s), 3s, Outcome::kIgnored);  // the successes are forgotten
  CHECK(breaker.StateAt(test::At(12s)) == BreakerState::kClosed);
}

}  // namespace
}  // namespace holdfast::trip_rule_test
