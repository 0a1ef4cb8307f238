#include "holdfast/breaker/circuit_breaker.h"

#include <absl/status/statusor.h>

#include <atomic>
#include <limits>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "holdfast/testing/fake_clock.h"
#include "test/support/breaker.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::circuit_breaker_test {
namespace {

using namespace std::chrono_literals;
using Options = CircuitBreaker::Options;
using test::At;
using test::Record;
using test::Touchy;
using testing::FakeClock;

TEST_CASE("counts are of the present generation") {
  CircuitBreaker breaker({.max_requests = 2});
  Record(breaker, At(0s), Outcome::kSuccess, 3);
  Record(breaker, At(0s), Outcome::kFailure, 2);
  Record(breaker, At(0s), Outcome::kIgnored);
  auto open_ticket = breaker.AdmitAt(At(0s));
  BreakerCounts counts = breaker.CountsAt(At(0s));
  CHECK(counts.requests == 7);
  CHECK(counts.successes == 3);
  CHECK(counts.failures == 2);
  CHECK(counts.ignored == 1);
  CHECK(counts.consecutive_failures == 2);
  CHECK(counts.consecutive_successes == 0);
  Record(breaker, At(0s), Outcome::kSuccess, 2);
  counts = breaker.CountsAt(At(0s));
  CHECK(counts.consecutive_failures == 0);
  CHECK(counts.consecutive_successes == 2);
  CHECK(counts.successes == 5);
  Record(breaker, At(0s), Outcome::kFailure, 6);
  CHECK(breaker.StateAt(At(0s)) == BreakerState::kOpen);
  CHECK(breaker.CountsAt(At(0s)).requests == 0);
}

TEST_CASE("open, it refuses until its timeout is over, and says when that is") {
  CircuitBreaker breaker(Touchy());
  CHECK(breaker.retry_at() == TimePoint::min());
  Record(breaker, At(1s), Outcome::kFailure);
  const auto refused = breaker.AdmitAt(At(2s));
  CHECK(refused.status().code() == absl::StatusCode::kUnavailable);
  CHECK(RejectionOf(refused.status())->kind == RejectionKind::kCircuitOpen);
  CHECK(breaker.retry_at() == At(11s + 1ns));
  CHECK_FALSE(breaker.AdmitAt(At(11s)).ok());  // strictly after, as gobreaker's
  CHECK(breaker.StateAt(At(11s)) == BreakerState::kOpen);
  CHECK(breaker.StateAt(At(11s + 1ns)) == BreakerState::kHalfOpen);
  CHECK(breaker.retry_at() == TimePoint::min());
}

TEST_CASE("half-open, successes and probes together never exceed max_requests") {
  Options options = Touchy();
  options.max_requests = 2;
  CircuitBreaker breaker(options);
  Record(breaker, At(0s), Outcome::kFailure);
  auto first = breaker.AdmitAt(At(11s));
  REQUIRE(first.ok());
  first->DoneAt(At(11s), Outcome::kSuccess);
  auto second = breaker.AdmitAt(At(11s));
  REQUIRE(second.ok());
  const auto third = breaker.AdmitAt(At(11s));
  CHECK(third.status().code() == absl::StatusCode::kUnavailable);
  CHECK(RejectionOf(third.status())->kind == RejectionKind::kTooManyProbes);
  CHECK(breaker.StateAt(At(11s)) == BreakerState::kHalfOpen);
  second->DoneAt(At(12s), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(12s)) == BreakerState::kClosed);
}

TEST_CASE("half-open, one failure opens it again for as long") {
  CircuitBreaker breaker(Touchy());
  Record(breaker, At(0s), Outcome::kFailure);
  Record(breaker, At(11s), Outcome::kFailure);
  CHECK(breaker.StateAt(At(21s)) == BreakerState::kOpen);
  CHECK(breaker.StateAt(At(21s + 1ns)) == BreakerState::kHalfOpen);
}

TEST_CASE("an ignored or a dropped probe gives its place back") {
  CircuitBreaker breaker(Touchy());
  Record(breaker, At(0s), Outcome::kFailure);
  Record(breaker, At(11s), Outcome::kIgnored, 3);
  {
    auto dropped = breaker.AdmitAt(At(11s));
  }
  CHECK(breaker.StateAt(At(11s)) == BreakerState::kHalfOpen);
  CHECK(breaker.CountsAt(At(11s)).ignored == 4);
  Record(breaker, At(11s), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(11s)) == BreakerState::kClosed);
}

TEST_CASE("a hung probe has failed when it takes longer than the timeout, and wedges nothing") {
  std::vector<BreakerState> told;
  Options options = Touchy();
  options.on_state_change = [&](std::string_view, BreakerState, BreakerState to) {
    told.push_back(to);
  };
  CircuitBreaker breaker(options);
  Record(breaker, At(0s), Outcome::kFailure);
  auto hung = breaker.AdmitAt(At(11s));
  REQUIRE(hung.ok());
  CHECK_FALSE(breaker.AdmitAt(At(21s)).ok());
  CHECK(breaker.StateAt(At(21s)) == BreakerState::kHalfOpen);
  CHECK(breaker.StateAt(At(21s + 1ns)) == BreakerState::kOpen);
  CHECK(breaker.retry_at() == At(31s + 1ns));
  auto next = breaker.AdmitAt(At(24h * 365));
  REQUIRE(next.ok());
  hung->DoneAt(At(24h * 365), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(24h * 365)) == BreakerState::kHalfOpen);
  next->DoneAt(At(24h * 365), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(24h * 365)) == BreakerState::kClosed);
  CHECK(told == std::vector{BreakerState::kOpen, BreakerState::kHalfOpen, BreakerState::kOpen,
                            BreakerState::kHalfOpen, BreakerState::kClosed});
}

TEST_CASE("stale outcomes change nothing, in any state") {
  CircuitBreaker breaker(Touchy());
  std::vector<Ticket> of_closed;
  for (int i = 0; i < 4; ++i) of_closed.push_back(*breaker.AdmitAt(At(0s)));
  Record(breaker, At(0s), Outcome::kFailure);

  of_closed[0].DoneAt(At(1s), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(1s)) == BreakerState::kOpen);
  of_closed[1].DoneAt(At(11s), Outcome::kSuccess);  // the stale success that closes others
  CHECK(breaker.StateAt(At(11s)) == BreakerState::kHalfOpen);
  of_closed[2].DoneAt(At(11s), Outcome::kFailure);  // and the stale failure
  CHECK(breaker.StateAt(At(11s)) == BreakerState::kHalfOpen);
  auto probe = breaker.AdmitAt(At(11s));
  REQUIRE(probe.ok());
  of_closed[3].DoneAt(At(11s), Outcome::kIgnored);  // a stale drop must not free a place
  CHECK_FALSE(breaker.AdmitAt(At(11s)).ok());
  probe->DoneAt(At(11s), Outcome::kSuccess);
  CHECK(breaker.CountsAt(At(11s)).requests == 0);
}

TEST_CASE("the first Done counts, and no other") {
  Options options = Touchy();
  options.max_requests = 3;
  CircuitBreaker breaker(options);
  Record(breaker, At(0s), Outcome::kFailure);
  auto probe = breaker.AdmitAt(At(11s));
  for (int i = 0; i < 3; ++i) probe->DoneAt(At(11s), Outcome::kSuccess);
  CHECK(breaker.StateAt(At(11s)) == BreakerState::kHalfOpen);
  Ticket moved = *std::move(probe);
  moved.DoneAt(At(11s), Outcome::kSuccess);
  CHECK(breaker.CountsAt(At(11s)).successes == 1);
  CHECK_NOTHROW(Ticket().Done(Outcome::kSuccess));
}

TEST_CASE("a ticket assigned over is dropped") {
  CircuitBreaker breaker({});
  Ticket ticket = *breaker.AdmitAt(At(0s));
  ticket = *breaker.AdmitAt(At(0s));
  CHECK(breaker.CountsAt(At(0s)).ignored == 1);
  ticket.DoneAt(At(0s), Outcome::kSuccess);
  CHECK(breaker.CountsAt(At(0s)).successes == 1);
}

TEST_CASE("each change is told once, in order, by the breaker's name") {
  std::vector<std::string> told;
  Options options = Touchy();
  options.name = "api";
  options.on_state_change = [&](std::string_view name, BreakerState from, BreakerState to) {
    told.push_back(std::string(name) + ": " + std::string(ToString(from)) + " to " +
                   std::string(ToString(to)));
  };
  CircuitBreaker breaker(options);
  Record(breaker, At(0s), Outcome::kFailure);
  Record(breaker, At(11s), Outcome::kFailure);
  Record(breaker, At(22s), Outcome::kSuccess);
  CHECK(told == std::vector<std::string>{"api: closed to open", "api: open to half-open",
                                         "api: half-open to open", "api: open to half-open",
                                         "api: half-open to closed"});
}

TEST_CASE("callbacks may call back into the breaker, and may throw") {
  int changes = 0;
  CircuitBreaker* self = nullptr;
  CircuitBreaker breaker({.timeout = 10s,
                          .ready_to_trip =
                              [&](const BreakerCounts& counts) {
                                CHECK(self->CountsAt(At(0s)).failures == counts.failures);
                                if (counts.failures == 1) throw std::runtime_error("undecided");
                                return true;
                              },
                          .on_state_change =
                              [&](std::string_view, BreakerState, BreakerState to) {
                                ++changes;
                                CHECK(self->StateAt(At(0s)) == to);
                                throw std::runtime_error("tired");
                              }});
  self = &breaker;
  CHECK_NOTHROW(Record(breaker, At(0s), Outcome::kFailure));
  CHECK(breaker.StateAt(At(0s)) == BreakerState::kClosed);
  CHECK_NOTHROW(Record(breaker, At(0s), Outcome::kFailure));
  CHECK(breaker.StateAt(At(0s)) == BreakerState::kOpen);
  CHECK(changes == 1);
}

TEST_CASE("a change that a callback makes is told after the one it was told of") {
  std::vector<BreakerState> told;
  CircuitBreaker* self = nullptr;
  Options options = Touchy();
  options.on_state_change = [&](std::string_view, BreakerState, BreakerState to) {
    if (to == BreakerState::kHalfOpen) Record(*self, At(11s), Outcome::kSuccess);
    told.push_back(to);
  };
  CircuitBreaker breaker(options);
  self = &breaker;
  Record(breaker, At(0s), Outcome::kFailure);
  (void)breaker.StateAt(At(11s));
  CHECK(told == std::vector<BreakerState>{BreakerState::kOpen, BreakerState::kHalfOpen,
                                          BreakerState::kClosed});
}

TEST_CASE("Execute counts what the function returns, and lets exceptions pass") {
  FakeClock clock;
  Options options = Touchy();
  options.clock = &clock;
  CircuitBreaker breaker(options);
  CHECK(breaker.Execute([]() -> absl::StatusOr<int> { return 7; }).value() == 7);
  CHECK(breaker.Execute([] { return absl::CancelledError("never mind"); }).code() ==
        absl::StatusCode::kCancelled);
  CHECK(breaker.counts().ignored == 1);
  CHECK_THROWS_AS(breaker.Execute([]() -> absl::Status { throw std::runtime_error("boom"); }),
                  std::runtime_error);
  CHECK(breaker.state() == BreakerState::kOpen);
  bool ran = false;
  const absl::StatusOr<int> refused = breaker.Execute([&]() -> absl::StatusOr<int> {
    ran = true;
    return 1;
  });
  CHECK_FALSE(ran);
  CHECK(RejectionOf(refused.status())->policy == "CircuitBreak");
}

TEST_CASE("a throwing probe opens the breaker, and does not wedge it") {
  FakeClock clock;
  Options options = Touchy();
  options.clock = &clock;
  CircuitBreaker breaker(options);
  (void)breaker.Execute([] { return absl::InternalError("down"); });
  clock.Advance(11s);
  CHECK_THROWS(breaker.Execute([]() -> absl::Status { throw 1; }));
  CHECK(breaker.state() == BreakerState::kOpen);
  clock.Advance(11s);
  CHECK(breaker.Execute([] { return absl::OkStatus(); }).ok());
  CHECK(breaker.state() == BreakerState::kClosed);
}

TEST_CASE("a user's classification decides what is a failure") {
  CircuitBreaker breaker({.classify = [](const absl::Status& status) {
    return status.code() == absl::StatusCode::kNotFound ? Outcome::kSuccess : Outcome::kIgnored;
  }});
  (void)breaker.Execute([] { return absl::NotFoundError("no such thing"); });
  (void)breaker.Execute([] { return absl::InternalError("boom"); });
  CHECK(breaker.counts().successes == 1);
  CHECK(breaker.counts().ignored == 1);
}

TEST_CASE("a classification that throws leaves no trace but an ignored call") {
  CircuitBreaker breaker(
      {.classify = [](const absl::Status&) -> Outcome { throw std::runtime_error("what"); }});
  CHECK_THROWS(breaker.Execute([] { return absl::OkStatus(); }));
  CHECK(breaker.counts().ignored == 1);
}

TEST_CASE("a breaker refuses options that make no sense") {
  const std::vector<std::pair<Options, std::string>> wrong = {
      {{.max_requests = 0}, "max_requests"},
      {{.timeout = 0s}, "timeout"},
      {{.probe_lease = -1s}, "probe_lease"},
      {{.ramp = {0.5, 0}}, "ramp"},
      {{.ramp = {1.5}}, "ramp"},
      {{.ramp = {std::numeric_limits<double>::quiet_NaN()}}, "ramp"},
      {{.ramp = {0.5}, .ramp_step = 0s}, "ramp_step"},
      {{.slow_call = -1s}, "slow_call"},
  };
  for (const auto& [options, text] : wrong) {
    CHECK_THAT(std::string(Validate(options).message()), test::ContainsSubstring(text));
    CHECK_THROWS_WITH(CircuitBreaker(options), std::string(Validate(options).message()));
  }
  CHECK_NOTHROW(CircuitBreaker({.timeout = Duration::max()}));
}

// Real threads over a breaker that opens and closes all the time: probes in flight never exceed the
// quota, and counts add up whenever they can be known.
TEST_CASE("threads never pass the probes of a half-open breaker") {
  constexpr int kProbes = 2;
  std::atomic<int> opened = 0;
  CircuitBreaker breaker(
      {.max_requests = kProbes,
       .timeout = 50us,
       .ready_to_trip = [](const BreakerCounts& counts) { return counts.failures >= 3; },
       .on_state_change =
           [&](std::string_view, BreakerState, BreakerState to) {
             if (to == BreakerState::kOpen) ++opened;
           }});
  std::atomic<int> admitted = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 20'000; ++i) {
          auto ticket = breaker.Admit();
          if (!ticket.ok()) continue;
          ++admitted;
          const int what = (i + t) % 7;
          if (what == 6) continue;  // dropped
          ticket->Done(what == 0 ? Outcome::kFailure : Outcome::kSuccess);
          const BreakerCounts counts = breaker.counts();
          if (counts.successes + counts.failures + counts.ignored > counts.requests) std::abort();
        }
      });
    }
  }
  CHECK(admitted > 0);
  CHECK(opened > 0);
}

TEST_CASE(
    "threads are told of each change once, in order, though who is told calls back and throws") {
  test::Changes changes;
  CircuitBreaker* self = nullptr;
  std::atomic<int> at_once = 0;
  std::atomic<bool> overlapped = false;
  CircuitBreaker breaker({.timeout = 20us,
                          .ready_to_trip = [](const BreakerCounts&) { return true; },
                          .on_state_change =
                              [&](std::string_view name, BreakerState from, BreakerState to) {
                                if (++at_once > 1) overlapped = true;
                                changes.Listener()(name, from, to);
                                if (auto ticket = self->Admit(); ticket.ok())
                                  ticket->Done(Outcome::kSuccess);
                                --at_once;
                                throw std::runtime_error("tired");
                              }});
  self = &breaker;
  test::InThreads(4, [&](int thread) {
    for (int i = 0; i < 10'000; ++i) {
      auto ticket = breaker.Admit();
      if (!ticket.ok()) continue;
      ticket->Done((i + thread) % 3 == 0 ? Outcome::kFailure : Outcome::kSuccess);
    }
  });
  breaker.Reset();
  CHECK_FALSE(overlapped);
  CHECK(changes.LeadTo(BreakerState::kClosed));
  CHECK(changes.Take().size() > 2);
}

TEST_CASE("threads that only succeed are all counted") {
  CircuitBreaker breaker({.ready_to_trip = [](const BreakerCounts&) { return false; }});
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 10'000; ++i) {
          auto ticket = breaker.AdmitAt(At(1s));
          const bool fails = t == 0 && i % 100 == 0;
          ticket->DoneAt(At(1s), fails ? Outcome::kFailure : Outcome::kSuccess);
        }
      });
    }
  }
  const BreakerCounts counts = breaker.CountsAt(At(1s));
  CHECK(counts.requests == 40'000);
  CHECK(counts.failures == 100);
  CHECK(counts.successes == 39'900);
}

}  // namespace
}  // namespace holdfast::circuit_breaker_test
