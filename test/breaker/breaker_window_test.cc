// What a breaker counts in, and for how long it remembers.
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "holdfast/breaker/circuit_breaker.h"
#include "test/support/breaker.h"
#include "test/support/catch.h"

namespace holdfast::breaker_window_test {
namespace {

using namespace std::chrono_literals;
using Options = CircuitBreaker::Options;
using test::At;
using test::Never;
using test::Record;

Options Rolling(Duration interval, Duration period) {
  return {.interval = interval, .bucket_period = period, .ready_to_trip = Never};
}

Options LastCalls(std::int64_t calls) { return {.last_calls = calls, .ready_to_trip = Never}; }

// gobreaker: they are of 32 bits, and at 100,000 calls a second begin anew after twelve hours.
TEST_CASE("counts have 64 bits") {
  STATIC_REQUIRE(std::is_same_v<decltype(BreakerCounts::requests), std::uint64_t>);
  STATIC_REQUIRE(std::is_same_v<decltype(BreakerCounts::successes), std::uint64_t>);
  STATIC_REQUIRE(std::is_same_v<decltype(BreakerCounts::failures), std::uint64_t>);
  STATIC_REQUIRE(std::is_same_v<decltype(BreakerCounts::ignored), std::uint64_t>);
  STATIC_REQUIRE(std::is_same_v<decltype(BreakerCounts::consecutive_successes), std::uint64_t>);
  STATIC_REQUIRE(std::is_same_v<decltype(BreakerCounts::consecutive_failures), std::uint64_t>);
  STATIC_REQUIRE(std::is_same_v<decltype(BreakerCounts::slow), std::uint64_t>);
}

TEST_CASE("without a window all is counted since it closed, however long ago") {
  CircuitBreaker breaker({.ready_to_trip = Never});
  Record(breaker, At(0s), Outcome::kFailure, 2);
  Record(breaker, At(1s), Outcome::kSuccess, 3);
  CHECK(breaker.CountsAt(At(24h * 365)).failures == 2);
  CHECK(breaker.CountsAt(TimePoint::max()).successes == 3);
}

TEST_CASE("a fixed window clears the counts, and drops what began before") {
  CircuitBreaker breaker({.interval = 10s});
  Record(breaker, At(100s), Outcome::kFailure, 5);
  auto late = breaker.AdmitAt(At(100s));
  CHECK(breaker.CountsAt(At(110s)).failures == 5);  // at exactly its end it still stands
  CHECK(breaker.CountsAt(At(110s + 1ns)).failures == 0);
  late->DoneAt(At(110s + 1ns), Outcome::kFailure);
  CHECK(breaker.CountsAt(At(110s + 1ns)).failures == 0);
}

TEST_CASE("a success that ends after its fixed window is dropped, and one at its end is not") {
  CircuitBreaker breaker({.interval = 10s});
  auto in_time = breaker.AdmitAt(At(0s));
  auto late = breaker.AdmitAt(At(10s));
  in_time->DoneAt(At(10s), Outcome::kSuccess);
  CHECK(breaker.CountsAt(At(10s)).successes == 1);
  late->DoneAt(At(10s + 1ns), Outcome::kSuccess);
  CHECK(breaker.CountsAt(At(10s + 1ns)) == BreakerCounts{});
}

TEST_CASE("a fixed window begins with the first look, and the next one with the first after it") {
  CircuitBreaker breaker({.interval = 30s, .ready_to_trip = Never});
  Record(breaker, At(1000s), Outcome::kFailure);
  CHECK(breaker.CountsAt(At(1030s)).failures == 1);
  Record(breaker, At(1045s), Outcome::kFailure);  // not on a grid of 30 s
  CHECK(breaker.CountsAt(At(1075s)).failures == 1);
  CHECK(breaker.CountsAt(At(1075s + 1ns)).failures == 0);
  Record(breaker, At(1105s), Outcome::kSuccess);
  CHECK(breaker.CountsAt(At(1105s + 1ns)).successes == 1);
  CHECK(breaker.CountsAt(At(1105s + 2ns)).successes == 0);
}

TEST_CASE("a fixed window is renewed without a change of state") {
  test::Changes changes;
  CircuitBreaker breaker(
      {.interval = 10s, .ready_to_trip = test::Never, .on_state_change = changes.Listener()});
  for (int i = 0; i < 20; ++i) Record(breaker, At(i * 7s), Outcome::kFailure);
  CHECK(changes.Take().empty());
}

TEST_CASE("sparse failures trip a breaker with a fixed window") {
  CircuitBreaker breaker({.interval = 10s});
  for (int i = 0; i < 5; ++i) Record(breaker, At(i * 7s), Outcome::kFailure);
  CHECK(breaker.CountsAt(At(39s)) == BreakerCounts{.consecutive_failures = 5});
  Record(breaker, At(39s), Outcome::kFailure);
  CHECK(breaker.StateAt(At(39s)) == BreakerState::kOpen);
}

TEST_CASE("a success ends a run of failures also in the window before") {
  CircuitBreaker breaker({.interval = 10s});
  Record(breaker, At(0s), Outcome::kFailure, 5);
  Record(breaker, At(1s), Outcome::kSuccess);
  Record(breaker, At(11s), Outcome::kFailure, 5);
  CHECK(breaker.StateAt(At(11s)) == BreakerState::kClosed);
}

TEST_CASE("a rolling window forgets bucket by bucket") {
  CircuitBreaker breaker(Rolling(10s, 2s));
  for (int second = 0; second < 10; ++second) {
    Record(breaker, At(100s + second * 1s), Outcome::kFailure);
  }
  CHECK(breaker.CountsAt(At(109s)).failures == 10);
  CHECK(breaker.CountsAt(At(110s)).failures == 8);
  CHECK(breaker.CountsAt(At(105s)).failures == 8);  // an older time brings nothing back
  CHECK(breaker.CountsAt(At(117s)).failures == 2);
  CHECK(breaker.CountsAt(At(1000s)).failures == 0);
  CHECK(breaker.CountsAt(At(1000s)).requests == 0);
}

TEST_CASE("an interval is rounded up to whole periods") {
  CircuitBreaker breaker(Rolling(30s, 7s));  // five buckets, 35 s
  for (int bucket = 0; bucket < 5; ++bucket) Record(breaker, At(bucket * 7s), Outcome::kFailure);
  CHECK(breaker.CountsAt(At(35s - 1ns)).failures == 5);
  CHECK(breaker.CountsAt(At(35s)).failures == 4);
  CHECK(breaker.CountsAt(At(63s - 1ns)).failures == 1);
  CHECK(breaker.CountsAt(At(63s)).failures == 0);
}

TEST_CASE("a rolling window of one bucket is a fixed one of its period") {
  const Duration interval = GENERATE(Duration(1s), Duration(10s));
  CircuitBreaker breaker(Rolling(interval, 10s));
  auto late = breaker.AdmitAt(At(0s));
  Record(breaker, At(1s), Outcome::kFailure);
  CHECK(breaker.CountsAt(At(10s)).failures == 1);
  CHECK(breaker.CountsAt(At(10s + 1ns)).requests == 0);
  late->DoneAt(At(10s + 1ns), Outcome::kFailure);
  const BreakerCounts run{.consecutive_failures = 1};
  CHECK(breaker.CountsAt(At(10s + 1ns)) == run);
  CHECK(breaker.CountsAt(At(15s)) == run);
}

TEST_CASE("whatever number of periods is passed over, a rolling window keeps what is its own") {
  for (int gap = 0; gap < 12; ++gap) {
    CircuitBreaker breaker(Rolling(4s, 1s));
    Record(breaker, At(0s), Outcome::kFailure);
    Record(breaker, At(1s), Outcome::kSuccess);
    const TimePoint second = At(1s + gap * 1s);
    Record(breaker, second, Outcome::kFailure);
    for (int later = gap + 1; later < 20; ++later) {
      const BreakerCounts counts = breaker.CountsAt(At(later * 1s));
      const std::uint64_t first_stays = later < 4 ? 1 : 0;
      const std::uint64_t second_stays = later - (gap + 1) < 4 ? 1 : 0;
      CHECK(counts.failures == first_stays + second_stays);
      CHECK(counts.successes == (later - 1 < 4 ? 1 : 0));
      CHECK(counts.requests == counts.judged());
    }
  }
}

TEST_CASE("a late result belongs to the bucket its call began in, or to none") {
  CircuitBreaker breaker({.interval = 4s, .bucket_period = 1s});
  auto soon = breaker.AdmitAt(At(0s));
  auto late = breaker.AdmitAt(At(0s));
  soon->DoneAt(At(3s), Outcome::kFailure);
  CHECK(breaker.CountsAt(At(3s)).failures == 1);
  CHECK(breaker.CountsAt(At(4s)).failures == 0);
  late->DoneAt(At(4s), Outcome::kFailure);
  CHECK(breaker.CountsAt(At(4s)).failures == 0);
  CHECK(breaker.CountsAt(At(4s)).consecutive_failures == 2);  // of which it is one all the same
}

TEST_CASE("calls that fail after longer than the window trip a breaker as well") {
  CircuitBreaker breaker({.interval = 10s, .bucket_period = 1s});
  for (int i = 0; i < 6; ++i) test::RecordSlow(breaker, At(i * 1s), 15s, Outcome::kFailure);
  CHECK(breaker.StateAt(At(20s)) == BreakerState::kOpen);
}

TEST_CASE("a result of any kind, however many buckets late, leaves with the call's own bucket") {
  const Outcome outcome = GENERATE(Outcome::kSuccess, Outcome::kFailure, Outcome::kIgnored);
  const bool somebody_looks = GENERATE(false, true);
  const auto count = [outcome](const BreakerCounts& counts) {
    return outcome == Outcome::kSuccess   ? counts.successes
           : outcome == Outcome::kFailure ? counts.failures
                                          : counts.ignored;
  };
  for (int late = 0; late < 8; ++late) {
    CircuitBreaker breaker(Rolling(5s, 1s));
    Record(breaker, At(0s), Outcome::kIgnored, 2);
    auto ticket = breaker.AdmitAt(At(2s));
    if (somebody_looks) (void)breaker.StateAt(At(2s + late * 1s));
    ticket->DoneAt(At(2s + late * 1s), outcome);
    for (int second = 2 + late; second < 15; ++second) {
      const BreakerCounts counts = breaker.CountsAt(At(second * 1s));
      const std::uint64_t others = outcome == Outcome::kIgnored && second < 5 ? 2 : 0;
      CHECK(count(counts) == others + (second < 7 ? 1 : 0));
      CHECK(counts.requests == (second < 5 ? 2U : 0U) + (second < 7 ? 1U : 0U));
    }
  }
}

TEST_CASE("a call that is still out leaves a rolling window with its bucket") {
  CircuitBreaker breaker(Rolling(3s, 1s));
  auto out = breaker.AdmitAt(At(0s));
  CHECK(breaker.CountsAt(At(2s)).requests == 1);
  CHECK(breaker.CountsAt(At(3s)).requests == 0);
}

TEST_CASE("a rolling window that was idle for ages is empty, and counts on") {
  CircuitBreaker breaker(Rolling(10s, 1ms));  // as many buckets as there may be
  Record(breaker, At(0s), Outcome::kFailure, 3);
  CHECK(breaker.CountsAt(At(24h * 365 * 100)).failures == 0);
  Record(breaker, At(24h * 365 * 100), Outcome::kFailure);
  CHECK(breaker.CountsAt(At(24h * 365 * 100 + 9999ms)).failures == 1);
  CHECK(breaker.CountsAt(TimePoint::max()).failures == 0);
  Record(breaker, TimePoint::max(), Outcome::kFailure);
  CHECK(breaker.CountsAt(TimePoint::max()).failures == 1);
}

TEST_CASE("a call of who read the clock before others did is counted with theirs") {
  CircuitBreaker breaker(Rolling(4s, 1s));
  Record(breaker, At(10s), Outcome::kFailure);
  Record(breaker, At(13s), Outcome::kFailure);
  Record(breaker, At(11s), Outcome::kFailure);
  Record(breaker, At(-20s), Outcome::kSuccess);
  CHECK(breaker.CountsAt(At(13s)).failures == 3);
  CHECK(breaker.CountsAt(At(16s)).failures == 2);
  CHECK(breaker.CountsAt(At(16s)).successes == 1);
  CHECK(breaker.CountsAt(At(17s)).requests == 0);
}

TEST_CASE("a window of time begins anew when a breaker closes") {
  CircuitBreaker breaker(
      {.interval = 4s,
       .bucket_period = 1s,
       .timeout = 10s,
       .ready_to_trip = [](const BreakerCounts& counts) { return counts.failures >= 2; }});
  Record(breaker, At(0s), Outcome::kFailure, 2);
  Record(breaker, At(10s + 500ms), Outcome::kSuccess);
  CHECK(breaker.CountsAt(At(10s + 500ms)) == BreakerCounts{});
  Record(breaker, At(11s + 400ms), Outcome::kFailure);
  CHECK(breaker.CountsAt(At(14s + 499ms)).failures == 1);
  CHECK(breaker.CountsAt(At(14s + 500ms)).failures == 0);
}

TEST_CASE("a probe's success is not forgotten by a window, of whatever kind") {
  Options options = GENERATE(Options{.interval = 2s}, Options{.interval = 2s, .bucket_period = 1s},
                             Options{.last_calls = 1});
  options.max_requests = 3;
  options.timeout = 10s;
  options.ready_to_trip = [](const BreakerCounts&) { return true; };
  CircuitBreaker breaker(options);
  Record(breaker, At(0s), Outcome::kFailure);
  for (const Duration at : {11s, 100s, 10'000s}) {
    CHECK(breaker.StateAt(At(at)) == BreakerState::kHalfOpen);
    Record(breaker, At(at), Outcome::kSuccess);
  }
  CHECK(breaker.StateAt(At(10'000s)) == BreakerState::kClosed);
}

// gobreaker: its window takes them out of the run, and it never trips.
TEST_CASE("sparse failures trip a breaker with a rolling window") {
  CircuitBreaker breaker({.interval = 10s, .bucket_period = 1s});
  for (int i = 0; i < 6; ++i) Record(breaker, At(i * 2s), Outcome::kFailure);
  CHECK(breaker.StateAt(At(10s)) == BreakerState::kOpen);
}

TEST_CASE("a run of failures is longer than the last calls that are counted") {
  CircuitBreaker breaker({.last_calls = 2});
  Record(breaker, At(0s), Outcome::kFailure, 5);
  CHECK(breaker.CountsAt(At(0s)).failures == 2);
  CHECK(breaker.CountsAt(At(0s)).consecutive_failures == 5);
  Record(breaker, At(0s), Outcome::kFailure);
  CHECK(breaker.StateAt(At(0s)) == BreakerState::kOpen);
}

// gobreaker: a late result makes runs of what has left the window, and takes from those that stay.
TEST_CASE("runs are of the outcomes in the order in which they came, late ones too") {
  CircuitBreaker breaker(Rolling(4s, 1s));
  auto late = breaker.AdmitAt(At(0s));
  auto too_late = breaker.AdmitAt(At(0s));
  Record(breaker, At(1s), Outcome::kSuccess, 2);
  late->DoneAt(At(3s), Outcome::kFailure);
  CHECK(breaker.CountsAt(At(3s)).consecutive_failures == 1);
  CHECK(breaker.CountsAt(At(3s)).consecutive_successes == 0);
  Record(breaker, At(3s), Outcome::kFailure);
  CHECK(breaker.CountsAt(At(3s)).consecutive_failures == 2);
  too_late->DoneAt(At(4s), Outcome::kFailure);  // of no bucket any more
  CHECK(breaker.CountsAt(At(4s)).consecutive_failures == 3);
  CHECK(breaker.CountsAt(At(100s)).requests == 0);
  CHECK(breaker.CountsAt(At(100s)).consecutive_failures == 3);  // whatever the window
  Record(breaker, At(100s), Outcome::kSuccess, 3);
  CHECK(breaker.CountsAt(At(100s)).consecutive_failures == 0);
  CHECK(breaker.CountsAt(At(100s)).consecutive_successes == 3);
}

TEST_CASE("of the last calls, the newest makes it forget the oldest") {
  CircuitBreaker breaker(LastCalls(3));
  Record(breaker, At(0s), Outcome::kFailure);
  Record(breaker, At(0s), Outcome::kSuccess, 2);
  CHECK(breaker.CountsAt(At(0s)).failures == 1);
  CHECK(breaker.CountsAt(At(24h)).judged() == 3);  // time makes it forget nothing
  Record(breaker, At(24h), Outcome::kSuccess);
  CHECK(breaker.CountsAt(At(24h)).failures == 0);
  CHECK(breaker.CountsAt(At(24h)).successes == 3);
}

TEST_CASE("the last calls are of the present generation") {
  CircuitBreaker breaker({.last_calls = 4, .timeout = 10s, .rules = {FailureRate(0.5, 4)}});
  Record(breaker, At(0s), Outcome::kSuccess, 2);
  Record(breaker, At(0s), Outcome::kFailure, 2);
  Record(breaker, At(11s), Outcome::kSuccess);
  Record(breaker, At(11s), Outcome::kSuccess, 3);
  Record(breaker, At(11s), Outcome::kFailure);
  CHECK(breaker.CountsAt(At(11s)).failures == 1);
  CHECK(breaker.StateAt(At(11s)) == BreakerState::kClosed);
}

// tower-resilience: its window never slides, and a million successes need a million failures.
TEST_CASE("after any number of successes the last calls can be failures") {
  CircuitBreaker breaker({.last_calls = 10, .rules = {FailureRate(0.5, 10)}});
  Record(breaker, At(0s), Outcome::kSuccess, 10'000);
  Record(breaker, At(0s), Outcome::kFailure, 4);
  CHECK(breaker.StateAt(At(0s)) == BreakerState::kClosed);
  Record(breaker, At(0s), Outcome::kFailure);
  CHECK(breaker.StateAt(At(0s)) == BreakerState::kOpen);
}

TEST_CASE("an ignored call is none of the last calls") {
  CircuitBreaker breaker(LastCalls(2));
  Record(breaker, At(0s), Outcome::kFailure, 2);
  Record(breaker, At(0s), Outcome::kIgnored, 10);
  const BreakerCounts counts = breaker.CountsAt(At(0s));
  CHECK(counts.failures == 2);
  CHECK(counts.ignored == 0);
  CHECK(counts.requests == 2);
}

TEST_CASE("the requests of the last calls are those and the ones that are still out") {
  CircuitBreaker breaker(LastCalls(3));
  Record(breaker, At(0s), Outcome::kSuccess, 5);
  std::vector<Ticket> out;
  for (int i = 0; i < 4; ++i) out.push_back(*breaker.AdmitAt(At(0s)));
  CHECK(breaker.CountsAt(At(0s)).requests == 3 + 4);
  out[0].DoneAt(At(24h), Outcome::kFailure);
  out[1].DoneAt(At(24h), Outcome::kIgnored);
  CHECK(breaker.CountsAt(At(24h)).requests == 3 + 2);
  CHECK(breaker.CountsAt(At(24h)).failures == 1);
  out.clear();
  CHECK(breaker.CountsAt(At(24h)).requests == 3);
}

TEST_CASE("the last calls are those that a list of them holds") {
  const std::int64_t size = GENERATE(1, 2, 3, 7, 50);
  CircuitBreaker breaker({.last_calls = size, .ready_to_trip = Never, .slow_call = 1s});
  struct Ended {
    bool failed;
    bool slow;
  };
  std::deque<Ended> last;
  for (std::uint32_t i = 0; i < 500; ++i) {
    const std::uint32_t what = i * 2654435761U >> 28;  // as good as random
    const Ended ended{.failed = what % 3 == 0, .slow = what >= 12};
    test::RecordSlow(breaker, At(i * 1s), ended.slow ? 2s : 0s,
                     ended.failed ? Outcome::kFailure : Outcome::kSuccess);
    last.push_back(ended);
    if (std::cmp_greater(last.size(), size)) last.pop_front();
    BreakerCounts want{.requests = last.size()};
    for (const Ended& one : last) {
      ++(one.failed ? want.failures : want.successes);
      want.slow += one.slow ? 1 : 0;
    }
    BreakerCounts got = breaker.CountsAt(At(i * 1s));
    got.consecutive_failures = got.consecutive_successes = 0;
    REQUIRE(got == want);
  }
}

TEST_CASE("as many last calls as there may be are kept to the last") {
  CircuitBreaker breaker(LastCalls(CircuitBreaker::kMaxLastCalls));
  Record(breaker, At(0s), Outcome::kFailure);
  for (int i = 1; i < CircuitBreaker::kMaxLastCalls; ++i) {
    breaker.AdmitAt(At(0s))->DoneAt(At(0s), Outcome::kSuccess);
  }
  CHECK(breaker.CountsAt(At(0s)).failures == 1);
  Record(breaker, At(0s), Outcome::kSuccess);
  CHECK(breaker.CountsAt(At(0s)).failures == 0);
}

// gobreaker: 24 h in buckets of 1 ms are 86.4 million buckets.
TEST_CASE("a breaker refuses a window that makes no sense") {
  const std::vector<std::pair<Options, std::string>> wrong = {
      {{.interval = -1ns}, "interval"},
      {{.interval = 1s, .bucket_period = -1ns}, "bucket_period"},
      {{.bucket_period = 1s}, "bucket_period needs interval > 0"},
      {{.interval = 24h, .bucket_period = 1ms}, "at most 10000"},
      {{.interval = 10s + 1ns, .bucket_period = 1ms}, "at most 10000"},
      {{.interval = Duration::max(), .bucket_period = 1ns}, "at most 10000"},
      {{.last_calls = -1}, "last_calls"},
      {{.last_calls = CircuitBreaker::kMaxLastCalls + 1}, "0 to 100000"},
      {{.interval = 1s, .last_calls = 1}, "interval and last_calls exclude each other"},
  };
  for (const auto& [options, text] : wrong) {
    CHECK_THAT(std::string(Validate(options).message()), test::ContainsSubstring(text));
    CHECK_THROWS_AS(CircuitBreaker(options), std::invalid_argument);
  }
  CHECK(Validate(Rolling(10s, 1ms)).ok());
}

TEST_CASE("a window may last until the end of time") {
  const Duration period = GENERATE(Duration(0s), Duration::max() / 2, Duration::max());
  CircuitBreaker breaker(Rolling(Duration::max(), period));
  Record(breaker, At(1s), Outcome::kFailure);
  CHECK(breaker.CountsAt(At(24h * 365 * 100)).failures == 1);
  Record(breaker, At(24h * 365 * 250), Outcome::kFailure);
  CHECK(breaker.CountsAt(At(24h * 365 * 250)).failures == 2);
}

}  // namespace
}  // namespace holdfast::breaker_window_test
