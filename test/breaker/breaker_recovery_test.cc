// How an open breaker comes back: its open time, and its probes and their leases.
#include <absl/status/statusor.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <vector>

#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/breaker/open_time.h"
#include "test/support/breaker.h"
#include "test/support/catch.h"

namespace holdfast::breaker_recovery_test {
namespace {

using namespace std::chrono_literals;
using Options = CircuitBreaker::Options;
using test::At;
using test::Record;
using test::Touchy;

constexpr auto kClosed = BreakerState::kClosed;
constexpr auto kHalfOpen = BreakerState::kHalfOpen;
constexpr auto kOpen = BreakerState::kOpen;

Options Probing(std::int64_t probes) {
  Options options = Touchy();
  options.max_requests = probes;
  return options;
}

// gobreaker, resilience4j, Polly: half-open it waits for a probe that hangs for ever.
TEST_CASE("each probe has a lease of its own, and the first to end counts") {
  CircuitBreaker breaker(Probing(3));
  Record(breaker, At(0s), Outcome::kFailure);
  auto first = breaker.AdmitAt(At(11s));
  auto second = breaker.AdmitAt(At(14s));
  auto third = breaker.AdmitAt(At(17s));
  CHECK(breaker.StateAt(At(21s)) == kHalfOpen);
  CHECK(breaker.StateAt(At(21s + 1ns)) == kOpen);
  CHECK(breaker.last_trip()->cause == TripCause::kProbeHung);
  CHECK(breaker.last_trip()->at == At(21s));
  CHECK(breaker.retry_at() == At(31s + 1ns));
}

TEST_CASE("a probe that returns takes its lease with it") {
  const Outcome outcome = GENERATE(Outcome::kSuccess, Outcome::kIgnored);
  CircuitBreaker breaker(Probing(3));
  Record(breaker, At(0s), Outcome::kFailure);
  auto first = breaker.AdmitAt(At(11s));
  auto second = breaker.AdmitAt(At(14s));
  first->DoneAt(At(20s), outcome);
  CHECK(breaker.StateAt(At(24s)) == kHalfOpen);
  CHECK(breaker.StateAt(At(24s + 1ns)) == kOpen);
  CHECK(breaker.last_trip()->at == At(24s));
}

TEST_CASE("without a probe in flight it stays half-open, however long") {
  CircuitBreaker breaker(Probing(2));
  Record(breaker, At(0s), Outcome::kFailure);
  Record(breaker, At(11s), Outcome::kSuccess);
  {
    auto dropped = breaker.AdmitAt(At(11s));
  }
  CHECK(breaker.StateAt(At(24h * 365)) == kHalfOpen);
  Record(breaker, At(24h * 365), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(24h * 365)) == kClosed);
}

TEST_CASE(
    "leases end in the order in which they began, also of who read the clock before others did") {
  CircuitBreaker breaker(Probing(3));
  Record(breaker, At(0s), Outcome::kFailure);
  auto first = breaker.AdmitAt(At(14s));
  auto second = breaker.AdmitAt(At(11s));
  CHECK(breaker.StateAt(At(24s)) == kHalfOpen);
  first->DoneAt(At(24s), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(24s)) == kHalfOpen);
  CHECK(breaker.StateAt(At(24s + 1ns)) == kOpen);
}

TEST_CASE("a lease may be shorter than the open time, or longer") {
  const Duration lease = GENERATE(Duration(2s), Duration(100s));
  Options options = Touchy();
  options.probe_lease = lease;
  CircuitBreaker breaker(options);
  Record(breaker, At(0s), Outcome::kFailure);
  auto probe = breaker.AdmitAt(At(11s));
  CHECK(breaker.StateAt(At(11s + lease)) == kHalfOpen);
  CHECK(breaker.StateAt(At(11s + lease + 1ns)) == kOpen);
  CHECK(breaker.StateAt(At(21s + lease)) == kOpen);
  CHECK(breaker.StateAt(At(21s + lease + 1ns)) == kHalfOpen);
}

TEST_CASE("a lease may last until the end of time") {
  Options options = Touchy();
  options.probe_lease = Duration::max();
  CircuitBreaker breaker(options);
  Record(breaker, At(0s), Outcome::kFailure);
  auto probe = breaker.AdmitAt(At(11s));
  CHECK(breaker.StateAt(TimePoint::max()) == kHalfOpen);
}

TEST_CASE("a probe that ends with its lease counts, and a nanosecond later it does not") {
  CircuitBreaker breaker(Touchy());
  Record(breaker, At(0s), Outcome::kFailure);
  auto late = breaker.AdmitAt(At(11s));
  late->DoneAt(At(21s + 1ns), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(21s + 1ns)) == kOpen);
  auto in_time = breaker.AdmitAt(At(32s));
  in_time->DoneAt(At(42s), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(42s)) == kClosed);
}

TEST_CASE("a probe that hung counts for nothing when it comes back, whatever is probing then") {
  const Outcome outcome = GENERATE(Outcome::kSuccess, Outcome::kFailure, Outcome::kIgnored);
  CircuitBreaker breaker(Touchy());
  Record(breaker, At(0s), Outcome::kFailure);
  auto hung = breaker.AdmitAt(At(11s));
  auto next = breaker.AdmitAt(At(50s));
  REQUIRE(next.ok());
  hung->DoneAt(At(50s), outcome);
  CHECK(breaker.StateAt(At(50s)) == kHalfOpen);
  CHECK_FALSE(breaker.AdmitAt(At(50s)).ok());
  next->DoneAt(At(51s), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(51s)) == kClosed);
}

TEST_CASE("more probes than last_calls close a breaker all the same") {
  Options options = Probing(5);
  options.last_calls = 2;
  CircuitBreaker breaker(options);
  Record(breaker, At(0s), Outcome::kFailure);
  Record(breaker, At(11s), Outcome::kSuccess, 4);
  CHECK(breaker.StateAt(At(11s)) == kHalfOpen);
  Record(breaker, At(11s), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(11s)) == kClosed);
}

TEST_CASE("the open time grows with each opening until the breaker closes") {
  std::vector<std::uint64_t> asked;
  Options options = Touchy();
  options.open_time = [&](std::uint64_t openings) {
    asked.push_back(openings);
    return openings * 10s;
  };
  CircuitBreaker breaker(options);
  TimePoint now = At(0s);
  for (int opening = 1; opening <= 4; ++opening) {
    Record(breaker, now, Outcome::kFailure);
    CHECK(breaker.retry_at() == now + opening * 10s + 1ns);
    for (int i = 0; i < 3; ++i) CHECK_FALSE(breaker.AdmitAt(now + 1s).ok());
    CHECK(breaker.last_trip()->openings == static_cast<std::uint64_t>(opening));
    now += opening * 10s + 1ns;
  }
  CHECK(asked == std::vector<std::uint64_t>{1, 2, 3, 4});  // once for each
  Record(breaker, now, Outcome::kSuccess);
  Record(breaker, now, Outcome::kFailure);
  CHECK(breaker.retry_at() == now + 10s + 1ns);
  breaker.SetModeAt(now, BreakerMode::kForcedOpen);
  CHECK(asked.back() == 1);
  CHECK(asked.size() == 5);  // an opening by hand has no time
}

TEST_CASE("an open time that throws is the timeout, and one of nothing a nanosecond") {
  Options options = Touchy();
  options.open_time = [](std::uint64_t openings) -> Duration {
    if (openings == 1) throw std::runtime_error("undecided");
    return openings == 2 ? -1h : openings == 3 ? 0s : Duration::max();
  };
  CircuitBreaker breaker(options);
  CHECK_NOTHROW(Record(breaker, At(0s), Outcome::kFailure));
  CHECK(breaker.retry_at() == At(10s + 1ns));
  for (const Duration at : {11s, 12s}) {
    Record(breaker, At(at), Outcome::kFailure);
    CHECK(breaker.StateAt(At(at + 1ns)) == kOpen);
    CHECK(breaker.StateAt(At(at + 2ns)) == kHalfOpen);
  }
  Record(breaker, At(13s), Outcome::kFailure);
  CHECK(breaker.StateAt(TimePoint::max()) == kOpen);
}

TEST_CASE("an open time may ask the breaker, which is open for the timeout until it answers") {
  CircuitBreaker* self = nullptr;
  int asked = 0;
  Options options = Touchy();
  options.open_time = [&](std::uint64_t) {
    ++asked;
    CHECK(self->StateAt(At(1s)) == kOpen);
    CHECK(self->retry_at() == At(10s + 1ns));
    CHECK_FALSE(self->AdmitAt(At(1s)).ok());
    CHECK(self->CountsAt(At(1s)) == BreakerCounts{});
    return 30s;
  };
  CircuitBreaker breaker(options);
  self = &breaker;
  Record(breaker, At(0s), Outcome::kFailure);
  CHECK(breaker.retry_at() == At(30s + 1ns));
  CHECK(asked == 1);
}

TEST_CASE("an answer about an opening that is over is of no use") {
  CircuitBreaker* self = nullptr;
  Options options = Touchy();
  options.open_time = [&](std::uint64_t) {
    self->ResetAt(At(0s));
    return 30s;
  };
  CircuitBreaker breaker(options);
  self = &breaker;
  Record(breaker, At(0s), Outcome::kFailure);
  CHECK(breaker.StateAt(At(0s)) == kClosed);
  CHECK(breaker.AdmitAt(At(0s)).ok());
}

TEST_CASE("the open time of a hung probe's opening begins at the end of its lease") {
  std::vector<std::uint64_t> asked;
  Options options = Touchy();
  options.open_time = [&](std::uint64_t openings) {
    asked.push_back(openings);
    return openings * 20s;
  };
  CircuitBreaker breaker(options);
  Record(breaker, At(0s), Outcome::kFailure);
  auto hung = breaker.AdmitAt(At(21s));
  CHECK(breaker.StateAt(At(71s)) == kOpen);  // 21 + 10 + 40
  CHECK(breaker.StateAt(At(71s + 1ns)) == kHalfOpen);
  auto hung_too = breaker.AdmitAt(At(80s));
  CHECK(breaker.StateAt(At(24h)) == kHalfOpen);  // it opened meanwhile, which was over as well
  CHECK(asked == std::vector<std::uint64_t>{1, 2, 3});
  CHECK(breaker.last_trip()->at == At(90s));
}

TEST_CASE("an open time by backoff grows, with jitter within its bounds") {
  const auto open_time =
      BackoffOpenTime(Backoff::Exponential({.initial = 5s, .max = 300s, .jitter = Jitter::kEqual}));
  for (std::uint64_t opening = 1; opening <= 12; ++opening) {
    const Duration most = std::min<Duration>(5s * (1 << (opening - 1)), 300s);
    for (int i = 0; i < 100; ++i) {
      const Duration time = open_time(opening);
      CHECK((time >= most / 2 && time <= most));
    }
  }
  CHECK(open_time(std::numeric_limits<std::uint64_t>::max()) >= 150s);
}

TEST_CASE("an open time by backoff repeats itself with a seed, and copies share it") {
  const auto times = [](std::optional<std::uint64_t> seed) {
    const auto open_time = BackoffOpenTime(
        Backoff::Exponential({.initial = 5s, .max = 300s, .jitter = Jitter::kEqual}), seed);
    const auto copy = open_time;
    std::vector<Duration> drawn;
    for (std::uint64_t i = 1; i < 10; ++i) drawn.push_back((i % 2 == 0 ? open_time : copy)(i));
    return drawn;
  };
  CHECK(times(7) == times(7));
  CHECK(times(7) != times(8));
  CHECK(times({}) != times({}));
}

TEST_CASE("who read the clock before others did shortens no lease and no opening") {
  CircuitBreaker breaker(Touchy());
  Record(breaker, At(0s), Outcome::kFailure);
  CHECK(breaker.StateAt(At(30s)) == BreakerState::kHalfOpen);
  auto probe = breaker.AdmitAt(At(15s));
  REQUIRE(probe.ok());
  CHECK(breaker.StateAt(At(40s)) == BreakerState::kHalfOpen);
  probe->DoneAt(At(20s), Outcome::kFailure);
  CHECK(breaker.last_trip()->at == At(40s));
  CHECK(breaker.StateAt(At(50s)) == BreakerState::kOpen);
  CHECK(breaker.StateAt(At(50s + 1ns)) == BreakerState::kHalfOpen);
}

TEST_CASE("any time is a time to a closed breaker") {
  CircuitBreaker breaker({});
  for (const TimePoint now : {TimePoint::min(), TimePoint{}, TimePoint::max()}) {
    Record(breaker, now, Outcome::kSuccess);
  }
  CHECK(breaker.CountsAt(At(0s)).successes == 3);
}

TEST_CASE("a probe that succeeds slowly fails where slowness is what trips") {
  CircuitBreaker breaker({.timeout = 10s, .rules = {SlowCallRate(1, 1)}, .slow_call = 1s});
  test::RecordSlow(breaker, At(0s), 2s, Outcome::kSuccess);
  REQUIRE(breaker.StateAt(At(2s)) == BreakerState::kOpen);
  test::RecordSlow(breaker, At(13s), 2s, Outcome::kSuccess);
  CHECK(breaker.StateAt(At(15s)) == BreakerState::kOpen);
  CHECK(breaker.last_trip()->cause == TripCause::kProbeFailed);
  test::RecordSlow(breaker, At(26s), 1s, Outcome::kSuccess);
  CHECK(breaker.StateAt(At(27s)) == BreakerState::kClosed);
}

TEST_CASE("a backoff of the user's own may ask the breaker that asks for its open time") {
  CircuitBreaker* self = nullptr;
  int asked = 0;
  const Backoff backoff = Backoff::Custom([&](int) {
    if (++asked == 1) {
      self->ResetAt(At(0s));
      Record(*self, At(0s), Outcome::kFailure);  // which asks again
    }
    return 3s;
  });
  Options options = Touchy();
  options.open_time = BackoffOpenTime(backoff);
  CircuitBreaker breaker(options);
  self = &breaker;
  Record(breaker, At(0s), Outcome::kFailure);
  CHECK(asked == 2);
  CHECK(breaker.retry_at() == At(3s + 1ns));
}

}  // namespace
}  // namespace holdfast::breaker_recovery_test
