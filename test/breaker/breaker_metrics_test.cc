// What a breaker tells a collector.
#include <absl/status/status.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/breaker/circuit_break.h"
#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/breaker.h"
#include "test/support/catch.h"
#include "test/support/collected.h"
#include "test/support/threads.h"

namespace holdfast::breaker_metrics_test {
namespace {

using namespace std::chrono_literals;
using test::At;
using test::Collected;
using test::Never;
using test::Record;
using test::Touchy;
using testing::FakeClock;
using Options = CircuitBreaker::Options;

constexpr std::array kOutcomes = {Outcome::kSuccess, Outcome::kFailure, Outcome::kIgnored};

Collected Of(const CircuitBreaker& breaker) {
  Collected collected;
  breaker.Collect(collected);
  return collected;
}

double Calls(const Collected& collected, Outcome outcome) {
  constexpr std::array kNames = {"success", "failure", "ignored"};
  return collected.at("holdfast.breaker.calls", std::string("holdfast.outcome=") +
                                                    kNames.at(static_cast<std::size_t>(outcome)));
}
double Refusals(const Collected& collected, const std::string& reason) {
  return collected.at("holdfast.breaker.refusals", "holdfast.reason=" + reason);
}
double Gauge(const Collected& collected, const std::string& name) {
  return collected.at("holdfast.breaker." + name);
}
// Which of the series of 0 and 1 is 1.
std::string Which(const Collected& collected, const std::string& name) {
  std::string found;
  for (const auto& [series, value] : collected.all()) {
    if (series.first == "holdfast.breaker." + name && value == 1) found += series.second;
  }
  return found;
}
std::string State(const Collected& collected) { return Which(collected, "state"); }

// The transitions that were counted, as "open rule 1, ...".
std::string Transitions(const CircuitBreaker& breaker) {
  std::string text;
  const Collected collected = Of(breaker);
  for (const auto& [series, value] : collected.all()) {
    if (series.first != "holdfast.breaker.transitions" || value == 0) continue;
    if (!text.empty()) text += "; ";
    text += series.second + " " + std::to_string(static_cast<int>(value));
  }
  return text;
}
std::string Made(const std::string& state, const std::string& cause, int times = 1) {
  return "holdfast.state=" + state + ",holdfast.cause=" + cause + " " + std::to_string(times);
}

void OpenIt(CircuitBreaker& breaker, TimePoint now) {
  Record(breaker, now, Outcome::kFailure);
  REQUIRE(breaker.StateAt(now) == BreakerState::kOpen);
}

TEST_CASE("a new breaker tells every series, and counts nothing") {
  const CircuitBreaker breaker({.name = "orders"});
  const Collected collected = Of(breaker);
  CHECK(collected.all().size() == 30);
  CHECK(State(collected) == "holdfast.state=closed");
  CHECK(Which(collected, "mode") == "holdfast.mode=automatic");
  for (const auto& [series, value] : collected.all()) {
    INFO(series.first << ' ' << series.second);
    CHECK(value ==
          (series.second == "holdfast.state=closed" || series.second == "holdfast.mode=automatic"
               ? 1
               : 0));
  }
}

TEST_CASE("each call that ends is counted by its outcome, whoever makes it") {
  FakeClock clock;
  CircuitBreaker breaker({.ready_to_trip = Never, .clock = &clock});
  for (int i = 0; i < 4; ++i) breaker.Execute([] { return absl::OkStatus(); }).IgnoreError();
  breaker.Execute([] { return absl::InternalError("down"); }).IgnoreError();
  breaker.Execute([] { return absl::CancelledError(); }).IgnoreError();
  CHECK_THROWS_AS(breaker.Execute([]() -> absl::Status { throw 1; }), int);
  Record(breaker, clock.Now(), Outcome::kFailure);
  (void)breaker.Admit();  // dropped
  std::optional<absl::StatusOr<Ticket>> out = breaker.Admit();
  const Collected meanwhile = Of(breaker);
  CHECK(Calls(meanwhile, Outcome::kSuccess) == 4);
  CHECK(Calls(meanwhile, Outcome::kFailure) == 3);
  CHECK(Calls(meanwhile, Outcome::kIgnored) == 2);
  (*out)->Done(Outcome::kSuccess);
  (*out)->Done(Outcome::kFailure);  // only the first counts
  out.reset();
  CHECK(Calls(Of(breaker), Outcome::kSuccess) == 5);
  CHECK(Calls(Of(breaker), Outcome::kFailure) == 3);
}

TEST_CASE("a late outcome counts in the totals, though the breaker ignores it") {
  CircuitBreaker breaker({.interval = 10s, .ready_to_trip = [](const BreakerCounts& counts) {
                            return counts.failures == 2;
                          }});
  std::vector<Ticket> old;
  for (int i = 0; i < 6; ++i) old.push_back(*breaker.AdmitAt(At(1s)));
  (void)breaker.CountsAt(At(20s));  // another window has begun
  old[0].DoneAt(At(20s), Outcome::kFailure);
  old[1].DoneAt(At(20s), Outcome::kSuccess);
  CHECK(breaker.CountsAt(At(20s)).judged() == 0);
  Record(breaker, At(21s), Outcome::kFailure, 2);
  old[2].DoneAt(At(22s), Outcome::kFailure);
  breaker.ResetAt(At(23s));
  old[3].DoneAt(At(23s), Outcome::kSuccess);
  REQUIRE(breaker.RestoreAt(At(24s), {.state = BreakerState::kHalfOpen}).ok());
  old[4].DoneAt(At(24s), Outcome::kIgnored);
  REQUIRE(breaker.Update({.last_calls = 5}).ok());
  old[5] = Ticket();
  const Collected collected = Of(breaker);
  CHECK(Calls(collected, Outcome::kSuccess) == 2);
  CHECK(Calls(collected, Outcome::kFailure) == 4);
  CHECK(Calls(collected, Outcome::kIgnored) == 2);
}

TEST_CASE(
    "calls that take longer than slow_call are counted as slow, but not if they are ignored") {
  CircuitBreaker breaker({.ready_to_trip = Never, .slow_call = 1s});
  for (const Outcome outcome : kOutcomes) {
    test::RecordSlow(breaker, At(1s), 1s, outcome);
    test::RecordSlow(breaker, At(1s), 1s + 1ns, outcome);
  }
  const Collected collected = Of(breaker);
  CHECK(Gauge(collected, "slow_calls") == 2);
  CHECK(Calls(collected, Outcome::kSuccess) == 2);
  CHECK(Gauge(collected, "failure_ratio") == 0.5);
  CHECK(Gauge(collected, "slow_ratio") == 0.5);
  REQUIRE(breaker.Update({}).ok());
  CHECK(Gauge(Of(breaker), "slow_calls") == 2);
}

TEST_CASE("refusals are counted by their reason, and those of a dry run are none") {
  FakeClock clock;
  Options options = Touchy();
  options.clock = &clock;
  CircuitBreaker breaker(options);
  OpenIt(breaker, clock.Now());
  for (int i = 0; i < 3; ++i) CHECK(!breaker.Admit().ok());
  breaker.Execute([] { return absl::OkStatus(); }).IgnoreError();
  clock.Advance(11s);
  auto probe = breaker.Admit();
  REQUIRE(probe.ok());
  for (int i = 0; i < 2; ++i) CHECK(!breaker.Admit().ok());
  CHECK(Refusals(Of(breaker), "open") == 4);
  CHECK(Refusals(Of(breaker), "no_probe") == 2);
  breaker.SetMode(BreakerMode::kMetricsOnly);
  CHECK(breaker.Admit().ok());  // half-open
  probe->Done(Outcome::kFailure);
  REQUIRE(breaker.state() == BreakerState::kOpen);
  CHECK(breaker.Admit().ok());
  breaker.SetMode(BreakerMode::kForcedOpen);
  CHECK(!breaker.Admit().ok());
  const Collected collected = Of(breaker);
  CHECK(Refusals(collected, "open") == 5);
  CHECK(Refusals(collected, "no_probe") == 2);
  CHECK(Calls(collected, Outcome::kIgnored) == 0);
}

TEST_CASE("a ramp refuses calls for want of a place") {
  Options options = Touchy();
  options.ramp = {0.5};
  CircuitBreaker breaker(options);
  OpenIt(breaker, At(1s));
  Record(breaker, At(12s), Outcome::kSuccess);
  Record(breaker, At(12s), Outcome::kSuccess);
  CHECK(!breaker.AdmitAt(At(12s)).ok());
  CHECK(Refusals(Of(breaker), "no_probe") == 1);
  CHECK(Gauge(Of(breaker), "probes") == 0);
}

TEST_CASE("changes of state are counted by the state entered and the cause") {
  Options options = Touchy();
  options.probe_lease = 5s;
  options.ramp = {1};
  CircuitBreaker breaker(options);
  SECTION("by the breaker") {
    OpenIt(breaker, At(0s));
    CHECK(Transitions(breaker) == Made("open", "rule"));
    Record(breaker, At(20s), Outcome::kFailure);
    Record(breaker, At(40s), Outcome::kIgnored);
    auto hangs = breaker.AdmitAt(At(40s));
    (void)breaker.StateAt(At(50s));  // the lease ended at 45 s, so it is open until 55 s
    Record(breaker, At(60s), Outcome::kSuccess);
    Record(breaker, At(60s), Outcome::kFailure);  // of the ramp
    Record(breaker, At(80s), Outcome::kSuccess);
    Record(breaker, At(80s), Outcome::kSuccess);
    REQUIRE(breaker.StateAt(At(100s)) == BreakerState::kClosed);
    CHECK(Transitions(breaker) ==
          Made("closed", "ramp") + "; " + Made("half_open", "open_time", 4) + "; " +
              Made("open", "probe_failed") + "; " + Made("open", "probe_hung") + "; " +
              Made("open", "ramp_failed") + "; " + Made("open", "rule"));
  }
  SECTION("by probes") {
    options.ramp.clear();
    REQUIRE(breaker.Update(options).ok());
    OpenIt(breaker, At(0s));
    Record(breaker, At(20s), Outcome::kSuccess);
    CHECK(Transitions(breaker) == Made("closed", "probes") + "; " + Made("half_open", "open_time") +
                                      "; " + Made("open", "rule"));
  }
  SECTION("by hand; to a state that it is in is no change") {
    breaker.ResetAt(At(0s));
    breaker.SetModeAt(At(0s), BreakerMode::kForcedClosed);
    CHECK(Transitions(breaker).empty());
    breaker.SetModeAt(At(0s), BreakerMode::kForcedOpen);
    breaker.SetModeAt(At(0s), BreakerMode::kAutomatic);
    breaker.SetModeAt(At(0s), BreakerMode::kForcedClosed);
    breaker.SetModeAt(At(0s), BreakerMode::kAutomatic);
    OpenIt(breaker, At(0s));
    breaker.SetModeAt(At(0s), BreakerMode::kForcedOpen);
    breaker.ResetAt(At(0s));
    CHECK(Transitions(breaker) == Made("closed", "by_hand", 2) + "; " +
                                      Made("half_open", "by_hand") + "; " +
                                      Made("open", "by_hand") + "; " + Made("open", "rule"));
  }
  SECTION("by a snapshot") {
    for (const BreakerState state :
         {BreakerState::kClosed, BreakerState::kOpen, BreakerState::kOpen, BreakerState::kHalfOpen,
          BreakerState::kHalfOpen, BreakerState::kClosed}) {
      REQUIRE(breaker.RestoreAt(At(0s), {.state = state}).ok());
    }
    CHECK(Transitions(breaker) == Made("closed", "restored") + "; " +
                                      Made("half_open", "restored") + "; " +
                                      Made("open", "restored"));
  }
}

TEST_CASE("attributes are the names of enumerators, with underscores") {
  const Collected collected = Of(CircuitBreaker({}));
  const auto name = [](std::string_view text) {
    std::string with(text);
    std::ranges::replace_if(with, [](char c) { return c == ' ' || c == '-'; }, '_');
    return with;
  };
  for (int i = 0; i < 3; ++i) {
    CHECK(collected.has("holdfast.breaker.state",
                        "holdfast.state=" + name(ToString(static_cast<BreakerState>(i)))));
  }
  for (int i = 0; i < 4; ++i) {
    CHECK(collected.has("holdfast.breaker.mode",
                        "holdfast.mode=" + name(ToString(static_cast<BreakerMode>(i)))));
  }
  for (int i = 0; i < 5; ++i) {
    CHECK(collected.has(
        "holdfast.breaker.transitions",
        "holdfast.state=open,holdfast.cause=" + name(ToString(static_cast<TripCause>(i)))));
  }
}

TEST_CASE("the gauges tell what the breaker is, and a look brings no change about") {
  FakeClock clock;
  int told = 0;
  Options options = Touchy();
  options.max_requests = 2;
  options.on_state_change = [&](std::string_view, BreakerState, BreakerState) { ++told; };
  options.clock = &clock;
  CircuitBreaker breaker(options);
  OpenIt(breaker, clock.Now());
  clock.Advance(4s);
  CHECK(State(Of(breaker)) == "holdfast.state=open");
  CHECK(Gauge(Of(breaker), "open_remaining") == 6);
  clock.Advance(1h);
  CHECK(State(Of(breaker)) == "holdfast.state=open");
  CHECK(Gauge(Of(breaker), "open_remaining") == 0);
  CHECK(told == 1);
  auto probe = breaker.Admit();
  CHECK(State(Of(breaker)) == "holdfast.state=half_open");
  CHECK(Gauge(Of(breaker), "probes") == 1);
  CHECK(Gauge(Of(breaker), "open_remaining") == 0);
  clock.Advance(1h);  // the lease has ended
  CHECK(Gauge(Of(breaker), "probes") == 1);
  CHECK(told == 2);
  breaker.SetMode(BreakerMode::kForcedOpen);
  CHECK(State(Of(breaker)) == "holdfast.state=open");
  CHECK(Which(Of(breaker), "mode") == "holdfast.mode=forced_open");
  CHECK(Gauge(Of(breaker), "open_remaining") == 0);  // it has no end
}

TEST_CASE("CircuitBreak tells a registry of its breaker") {
  auto breaker = std::make_shared<CircuitBreaker>(Options{.name = "orders"});
  Record(*breaker, At(1s), Outcome::kSuccess, 3);
  CollectedObjects objects;
  CircuitBreak(breaker).Objects(objects);
  REQUIRE(objects.all().size() == 1);
  const CollectedObject& object = objects.all()[0];
  CHECK(object.kind == "CircuitBreak");
  CHECK(object.name(object.object.lock().get()) == "orders");
  Collected collected;
  object.collect(object.object.lock().get(), collected);
  CHECK(Calls(collected, Outcome::kSuccess) == 3);
}

TEST_CASE("threads: every call that ends is counted once, and no counter shrinks") {
  constexpr int kThreads = 4;
  constexpr int kCalls = 20'000;
  CircuitBreaker breaker(
      {.interval = 1h, .bucket_period = 1s, .ready_to_trip = [](const BreakerCounts& counts) {
         return counts.consecutive_failures >= 2;
       }});
  std::array<std::atomic<std::uint64_t>, 3> ended{};
  std::atomic<std::uint64_t> refused = 0;
  std::atomic<int> shrunk = 0;
  {
    const std::jthread looks([&](const std::stop_token& stop) {
      std::map<Collected::Series, double> before;
      while (!stop.stop_requested()) {
        const Collected collected = Of(breaker);
        for (const auto& [series, value] : collected.all()) {
          const bool grows = series.first == "holdfast.breaker.calls" ||
                             series.first == "holdfast.breaker.refusals" ||
                             series.first == "holdfast.breaker.transitions";
          if (grows && value < before[series]) ++shrunk;
          before[series] = value;
        }
      }
    });
    test::InThreads(kThreads, [&](int thread) {
      std::mt19937 random(static_cast<unsigned>(thread));
      for (int i = 0; i < kCalls; ++i) {
        const TimePoint now = At(100s + i * 10ms);
        auto ticket = breaker.AdmitAt(now);
        if (!ticket.ok()) {
          refused.fetch_add(1, std::memory_order_relaxed);
          continue;
        }
        if (i % 1000 == 999) breaker.ResetAt(now);
        const std::size_t which = random() % 10 < 8 ? 0 : random() % 3;
        ticket->DoneAt(now, kOutcomes.at(which));
        ended.at(which).fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  CHECK(shrunk == 0);
  const Collected collected = Of(breaker);
  for (std::size_t i = 0; i < kOutcomes.size(); ++i) {
    CHECK(Calls(collected, kOutcomes.at(i)) == static_cast<double>(ended.at(i)));
  }
  CHECK(Refusals(collected, "open") + Refusals(collected, "no_probe") ==
        static_cast<double>(refused));
}

}  // namespace
}  // namespace holdfast::breaker_metrics_test
