// New options for a circuit breaker while calls run. (What becomes of what it counts, whatever
// happens before and after: circuit_breaker_model_test.cc.)
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/breaker/circuit_break.h"
#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/stack/update_all.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/breaker.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::circuit_breaker_update_test {
namespace {

using namespace std::chrono_literals;
using Options = CircuitBreaker::Options;
using States = std::vector<BreakerState>;
using test::At;
using test::Never;
using test::Record;
using test::RecordSlow;
using test::Touchy;
using testing::FakeClock;

constexpr auto kClosed = BreakerState::kClosed;
constexpr auto kHalfOpen = BreakerState::kHalfOpen;
constexpr auto kOpen = BreakerState::kOpen;
constexpr auto kSuccess = Outcome::kSuccess;
constexpr auto kFailure = Outcome::kFailure;

// The breaker's options with one thing changed.
template <class Change>
void Update(CircuitBreaker& breaker, Change change) {
  Options options = breaker.options();
  change(options);
  REQUIRE(breaker.Update(options).ok());
}

TEST_CASE("the next failure is judged by the new rules, with all that was counted before") {
  CircuitBreaker breaker({.timeout = 10s});
  Record(breaker, At(0s), kFailure, 4);
  Update(breaker, [](Options& o) { o.rules = {ConsecutiveFailures(5)}; });
  CHECK(breaker.StateAt(At(1s)) == kClosed);
  CHECK(breaker.CountsAt(At(1s)).consecutive_failures == 4);
  Record(breaker, At(1s), kFailure);
  CHECK(breaker.StateAt(At(1s)) == kOpen);
  CHECK(breaker.last_trip()->rule == "consecutive failures");
  CHECK(breaker.last_trip()->counts.failures == 5);

  SECTION("and the reason outlives its rules") {
    for (int i = 0; i < 2; ++i) {
      Update(breaker, [](Options& o) { o.rules = {}, o.ready_to_trip = Never; });
    }
    CHECK(breaker.last_trip()->rule == "consecutive failures");
  }
  SECTION("as by a new ready_to_trip") {
    breaker.ResetAt(At(1s));
    Update(breaker, [](Options& o) { o.ready_to_trip = Touchy().ready_to_trip; });
    Record(breaker, At(1s), kFailure);
    CHECK(breaker.last_trip()->rule == "ready_to_trip");
  }
}

TEST_CASE("an open breaker stays open until the time that it was given") {
  CircuitBreaker breaker(Touchy());
  Record(breaker, At(0s), kFailure);
  Update(breaker, [](Options& o) { o.timeout = 1s; });
  CHECK(breaker.StateAt(At(10s)) == kOpen);
  CHECK(breaker.StateAt(At(10s + 1ns)) == kHalfOpen);
  Record(breaker, At(11s), kFailure);
  CHECK(breaker.retry_at() == At(12s + 1ns));
  Update(breaker, [](Options& o) { o.open_time = [](auto) -> TimeSpan { return 3s; }; });
  CHECK(breaker.retry_at() == At(12s + 1ns));
  Record(breaker, At(13s), kFailure);
  CHECK(breaker.retry_at() == At(16s + 1ns));
  Update(breaker, [](Options& o) { o.open_time = nullptr; });
  Record(breaker, At(17s), kFailure);
  CHECK(breaker.retry_at() == At(18s + 1ns));
}

TEST_CASE("a half-open breaker admits as many probes as it now may, and closes by as many") {
  Options options = Touchy();
  options.max_requests = 3;
  CircuitBreaker breaker(options);
  Record(breaker, At(0s), kFailure);
  auto first = breaker.AdmitAt(At(11s));
  auto second = breaker.AdmitAt(At(11s));
  Update(breaker, [](Options& o) { o.max_requests = 2; });
  CHECK_FALSE(breaker.AdmitAt(At(11s)).ok());
  Update(breaker, [](Options& o) { o.max_requests = 4; });
  CHECK(breaker.AdmitAt(At(11s)).ok());
  first->DoneAt(At(12s), kSuccess);
  second->DoneAt(At(12s), kSuccess);
  CHECK(breaker.StateAt(At(12s)) == kHalfOpen);

  SECTION("also if so many have succeeded already") {
    test::Changes changes;
    Update(breaker, [&](Options& o) {
      o.max_requests = 1;
      o.on_state_change = changes.Listener();
    });
    CHECK(changes.Take().empty());
    CHECK(breaker.AdmitAt(At(13s)).ok());
    CHECK(changes.Take() == States{kClosed});
  }
}

TEST_CASE("a probe that is out keeps its lease, and the next one has the new one") {
  CircuitBreaker breaker(Touchy());
  Record(breaker, At(0s), kFailure);
  auto hangs = breaker.AdmitAt(At(11s));
  Update(breaker, [](Options& o) { o.probe_lease = 3s; });
  CHECK(breaker.StateAt(At(21s)) == kHalfOpen);
  CHECK(breaker.StateAt(At(21s + 1ns)) == kOpen);
  auto again = breaker.AdmitAt(At(32s));
  CHECK(breaker.StateAt(At(35s)) == kHalfOpen);
  CHECK(breaker.StateAt(At(35s + 1ns)) == kOpen);
}

TEST_CASE("a new ramp holds from its next step on, and a shorter one ends early") {
  Options options = Touchy();
  options.ramp = {0.25, 0.5, 0.75};
  options.ramp_step = 10s;
  CircuitBreaker breaker(options);
  Record(breaker, At(0s), kFailure);
  Record(breaker, At(11s), kSuccess);
  CHECK(breaker.StateAt(At(11s)) == kHalfOpen);
  Record(breaker, At(12s), kSuccess);
  const auto admitted = [&](TimePoint now) {
    int passed = 0;
    for (int i = 0; i < 12; ++i) {
      auto ticket = breaker.AdmitAt(now);
      if (!ticket.ok()) continue;
      ++passed;
      ticket->DoneAt(now, kSuccess);
    }
    return passed;
  };
  Update(breaker, [](Options& o) { o.ramp = {1, 1.0 / 3, 1}, o.ramp_step = 5s; });
  CHECK(admitted(At(20s)) == 3);
  CHECK(admitted(At(22s)) == 4);
  SECTION("empty") {
    Update(breaker, [](Options& o) { o.ramp = {}; });
    CHECK(admitted(At(26s)) == 4);
    CHECK(breaker.StateAt(At(28s)) == kClosed);
  }
  SECTION("shorter than it has come") {
    Update(breaker, [](Options& o) { o.ramp = {0.5}; });
    CHECK(breaker.StateAt(At(28s)) == kClosed);
  }
  SECTION("the last step") {
    CHECK(admitted(At(28s)) == 12);
    CHECK(breaker.StateAt(At(34s)) == kClosed);
  }
}

TEST_CASE("where a breaker counts otherwise it counts anew, but for its run of failures") {
  CircuitBreaker breaker({.rules = {ConsecutiveFailures(4)}});
  Record(breaker, At(0s), kSuccess);
  Record(breaker, At(0s), kFailure, 2);
  auto late = breaker.AdmitAt(At(0s));
  SECTION("in fixed windows") {
    Update(breaker, [](Options& o) { o.interval = 10s; });
    Record(breaker, At(100s), kSuccess);
    CHECK(breaker.CountsAt(At(110s)).successes == 1);
    CHECK(breaker.CountsAt(At(110s + 1ns)).successes == 0);
  }
  SECTION("in a rolling window") {
    Update(breaker, [](Options& o) { o.interval = 10s, o.bucket_period = 5s; });
    Record(breaker, At(100s), kSuccess);
    Record(breaker, At(105s), kSuccess);
    CHECK(breaker.CountsAt(At(109s)).successes == 2);
    CHECK(breaker.CountsAt(At(110s)).successes == 1);
  }
  SECTION("the last calls") {
    Update(breaker, [](Options& o) { o.last_calls = 2; });
    Record(breaker, At(100s), kSuccess, 3);
    CHECK(breaker.CountsAt(At(100s)).successes == 2);
  }
  SECTION("slow calls, also for a rule that needs them") {
    Update(breaker, [](Options& o) { o.slow_call = 1s; });
    RecordSlow(breaker, At(100s), 2s, kSuccess);
    CHECK(breaker.CountsAt(At(102s)).slow == 1);
    Update(breaker, [](Options& o) { o.rules.push_back(SlowCallRate(1, 1)); });
    CHECK(breaker.CountsAt(At(102s)) == BreakerCounts{});
    RecordSlow(breaker, At(102s), 2s, kSuccess);
    CHECK(breaker.last_trip()->rule == "slow call rate");
    return;
  }
  late->DoneAt(At(110s), kFailure);  // is dropped
  CHECK(breaker.CountsAt(At(110s)).failures == 0);
  CHECK(breaker.CountsAt(At(110s)).consecutive_failures == 0);
}

TEST_CASE("the run of failures goes on where a breaker counts anew") {
  CircuitBreaker breaker({.rules = {ConsecutiveFailures(4)}});
  Record(breaker, At(0s), kFailure, 3);
  Update(breaker, [](Options& o) { o.interval = 10s; });
  Update(breaker, [](Options& o) { o.bucket_period = 2s; });
  CHECK(breaker.CountsAt(At(1s)) == BreakerCounts{.consecutive_failures = 3});
  Update(breaker, [](Options& o) { o.interval = 20s; });
  Record(breaker, At(2s), kFailure);
  CHECK(breaker.StateAt(At(2s)) == kOpen);
}

TEST_CASE("where it counts otherwise a half-open breaker probes anew, and an open one stays open") {
  CircuitBreaker breaker(Touchy());
  Record(breaker, At(0s), kFailure);
  Update(breaker, [](Options& o) { o.interval = 10s, o.bucket_period = 1s; });
  CHECK(breaker.StateAt(At(10s)) == kOpen);
  auto dropped = breaker.AdmitAt(At(11s));
  CHECK_FALSE(breaker.AdmitAt(At(11s)).ok());
  Update(breaker, [](Options& o) { o.slow_call = 1s; });
  auto probe = breaker.AdmitAt(At(12s));
  REQUIRE(probe.ok());
  dropped->DoneAt(At(12s), kFailure);
  CHECK(breaker.StateAt(At(12s)) == kHalfOpen);
  probe->DoneAt(At(13s), kSuccess);
  CHECK(breaker.StateAt(At(13s)) == kClosed);
}

TEST_CASE("an Update with the options that there are changes nothing") {
  test::Changes changes;
  Options options = {.name = "api",
                     .interval = 100s,
                     .bucket_period = 1s,
                     .rules = {SlowCallRate(1, 100)},
                     .slow_call = 10s,
                     .on_state_change = changes.Listener()};
  CircuitBreaker breaker(options);
  Record(breaker, At(0s), kSuccess, 2);
  Record(breaker, At(1s), kFailure);
  auto out = breaker.AdmitAt(At(1s));
  const BreakerCounts counts = breaker.CountsAt(At(1s));
  for (int i = 0; i < 3; ++i) REQUIRE(breaker.Update(breaker.options()).ok());
  CHECK(breaker.CountsAt(At(1s)) == counts);
  out->DoneAt(At(2s), kSuccess);
  CHECK(breaker.CountsAt(At(2s)).successes == 3);
  CHECK(changes.Take().empty());
  CHECK(breaker.options().name == "api");
  CHECK(breaker.options().rules.size() == 1);
}

TEST_CASE("what Validate refuses, and another name or clock, changes nothing") {
  FakeClock clock;
  FakeClock other;
  CircuitBreaker breaker({.name = "api", .timeout = 10s, .clock = &clock});
  Record(breaker, At(0s), kFailure, 5);
  const auto refused = [&](Options options) {
    options.rules = {ConsecutiveFailures(1)};
    CHECK(absl::IsInvalidArgument(breaker.Update(std::move(options))));
  };
  refused({.max_requests = 0});
  refused({.interval = -1s});
  refused({.bucket_period = 1s});
  refused({.timeout = 0s});
  refused({.ramp = {2}});
  refused({.name = "other"});
  refused({.clock = &other});
  CHECK(breaker.options().timeout == 10s);
  CHECK(breaker.options().rules.empty());
  CHECK(breaker.CountsAt(At(0s)).failures == 5);
  CHECK_THAT(std::string(breaker.Update({.name = "api", .timeout = -1s}).message()),
             test::ContainsSubstring("api") && test::ContainsSubstring("timeout"));
  CHECK(breaker.Update({.timeout = 20s}).ok());
  CHECK(breaker.name() == "api");
  CHECK(breaker.options().clock == &clock);
  Record(breaker, At(0s), kFailure);
  CHECK(breaker.retry_at() == At(20s + 1ns));
}

TEST_CASE("a ticket that is dropped begins no ramp before its time") {
  CircuitBreaker breaker({.max_requests = 2,
                          .interval = 6s,
                          .bucket_period = 2s,
                          .timeout = 1s,
                          .ramp = {0.5},
                          .rules = {ConsecutiveFailures(1)}});
  auto held = breaker.AdmitAt(At(0s));
  Record(breaker, At(0s), Outcome::kFailure);
  Record(breaker, At(3s), Outcome::kSuccess);  // of two probes
  Options options = breaker.options();
  options.max_requests = 1;
  REQUIRE(breaker.Update(options).ok());
  *held = Ticket();
  CHECK(breaker.StateAt(At(3s)) == BreakerState::kHalfOpen);
}

TEST_CASE("a clock that a stack gave it stays as well") {
  FakeClock clock;
  FakeClock other;
  const auto breaker = std::make_shared<CircuitBreaker>(Options{});
  const auto call = Stack(CircuitBreak(breaker)).Around([] { return absl::OkStatus(); }, &clock);
  CHECK(breaker->Update({.timeout = 1s}).ok());
  CHECK(breaker->Update({.timeout = 1s, .clock = &clock}).ok());
  CHECK_FALSE(breaker->Update({.timeout = 1s, .clock = &other}).ok());
  CHECK(breaker->options().clock == &clock);
}

TEST_CASE("an outcome is classified, and a change told, by the options of then") {
  FakeClock clock;
  CircuitBreaker breaker({.clock = &clock});
  const auto fail = [] { return absl::NotFoundError("none"); };
  (void)breaker.Execute(fail);
  Update(breaker, [](Options& o) { o.classify = [](const auto&) { return kSuccess; }; });
  (void)breaker.Execute(fail);
  Update(breaker, [](Options& o) { o.classify = nullptr; });
  (void)breaker.Execute(fail);
  CHECK(breaker.counts().failures == 2);
  CHECK(breaker.counts().successes == 1);

  test::Changes first;
  test::Changes second;
  Update(breaker, [&](Options& o) { o.on_state_change = first.Listener(); });
  breaker.SetMode(BreakerMode::kForcedOpen);
  Update(breaker, [&](Options& o) { o.on_state_change = second.Listener(); });
  breaker.SetMode(BreakerMode::kAutomatic);
  Update(breaker, [](Options& o) { o.on_state_change = nullptr; });
  breaker.Reset();
  CHECK(first.Take() == States{kOpen});
  CHECK(second.Take() == States{kHalfOpen});
}

TEST_CASE("the mode is no option, and stays") {
  CircuitBreaker breaker(Touchy());
  const auto mode =
      GENERATE(BreakerMode::kForcedOpen, BreakerMode::kForcedClosed, BreakerMode::kMetricsOnly);
  breaker.SetModeAt(At(0s), mode);
  for (const Duration interval : {0s, 10s}) {
    Update(breaker, [&](Options& o) { o.interval = interval; });
    CHECK(breaker.mode() == mode);
    CHECK(breaker.AdmitAt(At(100h)).ok() == (mode != BreakerMode::kForcedOpen));
  }
}

// Asks the breaker when it is destroyed: possible only with nothing locked.
struct AsksAtItsEnd {
  explicit AsksAtItsEnd(CircuitBreaker& b, int& c) : breaker(&b), count(c) {}
  AsksAtItsEnd(const AsksAtItsEnd&) = delete;
  AsksAtItsEnd& operator=(const AsksAtItsEnd&) = delete;
  ~AsksAtItsEnd() {
    (void)breaker->StateAt(At(0s));
    ++count;
  }

  CircuitBreaker* breaker;
  int& count;
};

TEST_CASE("functions that are replaced end with nothing locked, and not while they run") {
  CircuitBreaker breaker(Touchy());
  int ended = 0;
  const auto update = [&](bool within) {
    const auto object = std::make_shared<AsksAtItsEnd>(breaker, ended);
    Options options = Touchy();
    options.on_state_change = [&breaker, &ended, object, within](auto, auto, auto) {
      if (!within) return;
      const int before = ended;
      REQUIRE(breaker.Update(Touchy()).ok());
      CHECK(object->breaker == &breaker);
      CHECK(ended == before);
    };
    options.classify = [object](const absl::Status&) { return kFailure; };
    options.open_time = [object](std::uint64_t) -> TimeSpan { return 1s; };
    options.ready_to_trip = [object](const BreakerCounts&) { return true; };
    REQUIRE(breaker.Update(std::move(options)).ok());
  };
  update(false);
  update(false);
  CHECK(ended == 1);
  update(true);
  CHECK(ended == 2);
  Record(breaker, At(0s), kFailure);
  CHECK(ended == 3);
  CHECK(breaker.StateAt(At(1s)) == kOpen);
}

TEST_CASE(
    "a rule that says yes after its options have gone opens nothing: the new ones are asked") {
  CircuitBreaker breaker({});
  bool yes = true;
  Update(breaker, [&](Options& o) {
    o.ready_to_trip = [&](const BreakerCounts&) {
      Update(breaker, [&](Options& other) {
        other.ready_to_trip = [&yes](const BreakerCounts&) { return yes; };
      });
      return true;
    };
  });
  SECTION("and say no") {
    yes = false;
    Record(breaker, At(0s), kFailure);
    CHECK(breaker.StateAt(At(0s)) == kClosed);
  }
  SECTION("and say yes") {
    Record(breaker, At(0s), kFailure);
    CHECK(breaker.StateAt(At(0s)) == kOpen);
    CHECK(breaker.last_trip()->counts.failures == 1);
  }
}

TEST_CASE("UpdateAll changes a breaker together with a timeout, or neither") {
  auto limit = std::make_shared<Settings<TimeoutOptions>>(TimeoutOptions{.limit = 2s});
  auto breaker =
      std::make_shared<CircuitBreaker>(Options{.name = "api", .interval = 20s, .timeout = 5s});
  const Stack stack{CircuitBreak(breaker), Timeout(limit)};
  const absl::Status refused = UpdateAll(stack, Change(limit, {.limit = 4s}),
                                         Change(breaker, {.interval = 6s, .timeout = 3s}));
  CHECK(absl::IsInvalidArgument(refused));
  CHECK(limit->options().limit == 2s);
  CHECK(breaker->options().interval == 20s);
  CHECK(UpdateAll(stack, Change(limit, {.limit = 4s}),
                  Change(breaker, {.max_requests = 2, .interval = 10s, .timeout = 3s}))
            .ok());
  CHECK(limit->options().limit == 4s);
  CHECK(breaker->options().interval == 10s);
  CHECK_THAT(stack.Describe(), test::ContainsSubstring("\"api\", window 10s, open 3s, 2 probes"));
  CHECK_FALSE(UpdateAll(stack, Change(std::make_shared<CircuitBreaker>(Options{}), {})).ok());
}

// Meant for TSan as well.
TEST_CASE("threads call, ask and update, and nothing is lost") {
  constexpr int kThreads = 3;
  constexpr int kCalls = 20'000;
  CircuitBreaker breaker({.ready_to_trip = Never});
  std::atomic<std::uint64_t> judged = 0;
  {
    const std::jthread updater([&](const std::stop_token& stop) {
      for (int i = 0; !stop.stop_requested(); ++i) {
        const auto counted = std::make_shared<int>(i);
        Options options = {.max_requests = 1 + i % 3, .timeout = 1s * (1 + i % 4)};
        options.ready_to_trip = [counted](const auto&) { return *counted < 0; };
        options.classify = [&, counted](const absl::Status& status) {
          judged += *counted < 0 ? 0 : 1;
          return status.ok() ? kSuccess : kFailure;
        };
        REQUIRE(breaker.Update(std::move(options)).ok());
        std::this_thread::yield();
      }
    });
    test::InThreads(kThreads, [&](int thread) {
      while (!breaker.options().classify) std::this_thread::yield();
      for (int i = 0; i < kCalls; ++i) {
        const bool ok = (thread + i) % 10 > 0;
        (void)breaker.Execute([&] { return ok ? absl::OkStatus() : absl::InternalError("no"); });
        if (i % 100 == 0) CHECK(breaker.options().classify != nullptr);
      }
    });
  }
  CHECK(judged == std::uint64_t{kThreads} * kCalls);
  CHECK(breaker.counts().requests == judged);
  CHECK(breaker.counts().successes == judged / 10 * 9);
  CHECK(breaker.counts().failures == judged / 10);
}

TEST_CASE(
    "threads call while a breaker counts otherwise, and each call counts once or not at all") {
  constexpr int kCalls = 20'000;
  CircuitBreaker breaker({.ready_to_trip = Never});
  std::atomic<int> wrong = 0;
  {
    const std::jthread updater([&](const std::stop_token& stop) {
      for (int i = 0; !stop.stop_requested(); ++i) {
        Options options = {.interval = i % 2 * 1h, .bucket_period = i % 4 / 3 * 1min};
        options.last_calls = i % 8 == 0 ? 10 : 0;
        options.slow_call = i % 3 * 1s;
        options.ready_to_trip = Never;
        REQUIRE(breaker.Update(std::move(options)).ok());
        std::this_thread::yield();
      }
    });
    test::InThreads(3, [&](int thread) {
      for (int i = 0; i < kCalls; ++i) {
        auto ticket = breaker.AdmitAt(At(100s));
        if (i % 64 == 0) std::this_thread::yield();
        ticket->DoneAt(At(100s), (thread + i) % 10 > 0 ? kSuccess : kFailure);
        const BreakerCounts counts = breaker.CountsAt(At(100s));
        if (counts.judged() + counts.ignored > counts.requests) ++wrong;
      }
    });
  }
  CHECK(wrong == 0);
  REQUIRE(breaker.Update({.last_calls = 5}).ok());
  Record(breaker, At(100s), kSuccess, 3);
  CHECK(breaker.CountsAt(At(100s)).requests == 3);
  CHECK(breaker.CountsAt(At(100s)).successes == 3);
}

}  // namespace
}  // namespace holdfast::circuit_breaker_update_test
