// What those who observe a stack are told, and what its counters say.
#include "holdfast/call/observer.h"

#include <absl/status/status.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <latch>
#include <memory>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/breaker/circuit_break.h"
#include "holdfast/breaker/keyed_circuit_breaker.h"
#include "holdfast/fallback/fallback.h"
#include "holdfast/hedge/hedge.h"
#include "holdfast/rate/rate_limit.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/testing/simulate.h"
#include "holdfast/testing/world.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"
#include "test/support/collected.h"
#include "test/support/threads.h"

namespace holdfast::observer_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

// Keeps the lines of events, without the message.
class Lines final : public Observer {
 public:
  explicit Lines(Severity least = Severity::kInfo) : least_(least) {}

  void OnEvent(const Event& event) override {
    const std::string line = ToString(event);
    lines_.push_back(line.substr(0, line.find(" message=")));
  }
  Severity least_severity() const override { return least_; }

  std::vector<std::string> Take() { return std::exchange(lines_, {}); }

 private:
  Severity least_;
  std::vector<std::string> lines_;
};

using Told = std::vector<std::string>;

template <class S>
test::Collected CountersOf(const S& stack) {
  test::Collected counters;
  const CollectedObjects objects = stack.Objects();
  objects.all().front().collect(objects.all().front().object.lock().get(), counters);
  return counters;
}

RetryOptions Twice() { return {.max_attempts = 2, .backoff = Backoff::Constant(1s)}; }

TEST_CASE("a call that fails and is retried tells each step") {
  FakeClock clock;
  const auto lines = std::make_shared<Lines>(Severity::kDebug);
  const auto stack = Stack(Retry(Twice())).Observed("orders", lines);
  const auto fetch = stack.Around([] { return absl::UnavailableError("down"); }, &clock);
  CHECK(absl::IsUnavailable(fetch.With({.key = "ann"})));
  CHECK(lines->Take() ==
        Told{
            "event=attempt severity=debug stack=orders key=ann attempt=1 code=UNAVAILABLE",
            "event=retrying severity=info stack=orders key=ann policy=Retry attempt=1 waited=1s "
            "code=UNAVAILABLE",
            "event=waited severity=debug stack=orders key=ann policy=Retry attempt=1 waited=1s",
            "event=attempt severity=debug stack=orders key=ann attempt=2 waited=1s "
            "code=UNAVAILABLE",
            "event=gave_up severity=warning stack=orders key=ann reason=attempts attempt=2 "
            "code=UNAVAILABLE",
            "event=ended severity=info stack=orders key=ann reason=attempts attempt=2 took=1s "
            "waited=1s code=UNAVAILABLE",
        });
  const test::Collected counters = CountersOf(stack);
  CHECK(counters.at("holdfast.calls",
                    "holdfast.outcome=failure,holdfast.retried=true,error.type=UNAVAILABLE") == 1);
  CHECK(counters.sum("holdfast.calls") == 1);
  CHECK(counters.at("holdfast.attempts", "holdfast.outcome=failure,error.type=UNAVAILABLE") == 2);
  CHECK(counters.at("holdfast.retries", "error.type=UNAVAILABLE") == 1);
  CHECK(counters.at("holdfast.retries.abandoned", "holdfast.reason=attempts") == 1);
}

TEST_CASE("an observer is told nothing below its severity, and of a success only as debug") {
  FakeClock clock;
  const auto all = std::make_shared<Lines>(Severity::kDebug);
  const auto some = std::make_shared<Lines>();
  const auto few = std::make_shared<Lines>(Severity::kWarning);
  const auto stack =
      Stack(Retry(Twice())).Observed("a", all).Observed("a", some).Observed("b", few);
  bool down = true;
  const auto fetch = stack.Around(
      [&] {
        return std::exchange(down, false) ? absl::UnavailableError("down") : absl::OkStatus();
      },
      &clock);
  CHECK(fetch().ok());
  CHECK(all->Take().size() == 5);
  CHECK(some->Take() == Told{"event=retrying severity=info stack=a policy=Retry attempt=1 "
                             "waited=1s code=UNAVAILABLE"});
  CHECK(few->Take().empty());
  const test::Collected counters = CountersOf(stack);
  CHECK(counters.at("holdfast.calls",
                    "holdfast.outcome=success,holdfast.retried=true,error.type=") == 1);
  CHECK(counters.at("holdfast.attempts", "holdfast.outcome=success,error.type=") == 1);
  CHECK(counters.at("holdfast.attempts", "holdfast.outcome=failure,error.type=UNAVAILABLE") == 1);
}

TEST_CASE("a refusal tells which policy refused, why, and when another try can succeed") {
  FakeClock clock;
  const auto lines = std::make_shared<Lines>();
  const auto breaker = std::make_shared<CircuitBreaker>(
      CircuitBreaker::Options{.name = "orders", .rules = {ConsecutiveFailures(1)}});
  const auto stack = Stack(breaker).Observed("fetch", lines);
  const auto fetch = stack.Around([] { return absl::UnavailableError("down"); }, &clock);
  fetch().IgnoreError();
  lines->Take();
  CHECK(absl::IsUnavailable(fetch.With({.priority = Priority::kLow})));
  const Told told = lines->Take();
  REQUIRE(told.size() == 2);
  CHECK(told[0].starts_with("event=refused severity=warning stack=fetch policy=CircuitBreak"));
  CHECK(told[0].find("reason=\"circuit open\"") != std::string::npos);
  CHECK(told[0].find("until=60s") != std::string::npos);
  CHECK(told[1].starts_with("event=ended severity=info stack=fetch reason=rejected until="));
  const test::Collected counters = CountersOf(stack);
  CHECK(counters.sum("holdfast.refusals") == 1);
  CHECK(counters.at("holdfast.calls",
                    "holdfast.outcome=rejected,holdfast.retried=false,error.type=UNAVAILABLE") ==
        1);
  CHECK(counters.sum("holdfast.attempts") == 1);
}

TEST_CASE("a breaker tells each change of its state once, to whoever observes it or its stack") {
  FakeClock clock;
  const auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{
      .name = "orders", .timeout = 5s, .rules = {ConsecutiveFailures(1)}, .clock = &clock});
  const auto lines = std::make_shared<Lines>();
  breaker->Observe(lines);
  const auto stack = Stack(breaker, Timeout(1s));
  stack.Observed("a", lines);
  bool down = true;
  const auto fetch = stack.Around(
      [&] { return down ? absl::UnavailableError("down") : absl::OkStatus(); }, &clock);
  fetch().IgnoreError();
  CHECK(lines->Take().front() ==
        "event=breaker_changed severity=warning policy=CircuitBreak name=orders state=open "
        "reason=rule");
  clock.Advance(6s);
  down = false;
  CHECK(fetch().ok());
  CHECK(lines->Take() ==
        Told{"event=breaker_changed severity=info policy=CircuitBreak name=orders state=half_open "
             "reason=open_time",
             "event=breaker_changed severity=info policy=CircuitBreak name=orders state=closed "
             "reason=probes"});
  breaker->SetMode(BreakerMode::kForcedOpen);
  CHECK(lines->Take() == Told{"event=breaker_changed severity=warning policy=CircuitBreak "
                              "name=orders state=open reason=by_hand"});
  CHECK_THROWS_AS(breaker->Observe(nullptr), std::invalid_argument);
}

TEST_CASE("the breakers of all keys tell those who observe them, whenever a key comes") {
  const auto lines = std::make_shared<Lines>();
  KeyedCircuitBreaker breakers({.breaker = {.rules = {ConsecutiveFailures(1)}}, .name = "hosts"});
  const auto fail = [&](std::string_view key) {
    breakers.Execute(key, [] { return absl::UnavailableError("down"); }).IgnoreError();
  };
  (void)breakers.Get("known");
  breakers.Observe(lines);
  fail("known");
  fail("new");
  CHECK(lines->Take() ==
        Told{"event=breaker_changed severity=warning key=known policy=CircuitBreak "
             "name=hosts/known state=open reason=rule",
             "event=breaker_changed severity=warning key=new policy=CircuitBreak "
             "name=hosts/new state=open reason=rule"});
}

TEST_CASE("a call that has no time left is refused by no policy") {
  FakeClock clock;
  const auto lines = std::make_shared<Lines>();
  const auto stack = Stack(Timeout(1s)).Observed("fetch", lines);
  const auto fetch = stack.Around([] { return absl::OkStatus(); }, &clock);
  clock.Advance(2s);
  CHECK(absl::IsDeadlineExceeded(fetch.With({.deadline = TimePoint(1s)})));
  CHECK(lines->Take().front() ==
        "event=refused severity=warning stack=fetch reason=deadline code=DEADLINE_EXCEEDED");
  CHECK(CountersOf(stack).at(
            "holdfast.refusals",
            "holdfast.policy=,holdfast.name=,holdfast.reason=deadline,holdfast.priority=normal") ==
        1);
}

TEST_CASE("an attempt is cut off at its own deadline, or at that of the call") {
  FakeClock clock;
  const auto lines = std::make_shared<Lines>(Severity::kWarning);
  const auto stack = Stack(Timeout(6s), Retry(Twice()), Timeout(2s)).Observed("fetch", lines);
  const auto fetch = stack.Around(
      [&clock](Call& call) -> absl::Status {
        clock.Advance(call.deadline() - clock.Now());
        return absl::DeadlineExceededError("late");
      },
      &clock);
  CHECK(absl::IsDeadlineExceeded(fetch()));
  CHECK(lines->Take() ==
        Told{"event=cut_off severity=warning stack=fetch attempt=1 code=DEADLINE_EXCEEDED",
             "event=cut_off severity=warning stack=fetch attempt=2 code=DEADLINE_EXCEEDED",
             "event=gave_up severity=warning stack=fetch reason=attempts attempt=2 "
             "code=DEADLINE_EXCEEDED"});
  CHECK(CountersOf(stack).at("holdfast.timeouts", "holdfast.scope=attempt") == 2);
  CHECK(absl::IsDeadlineExceeded(fetch.With({.deadline = clock.Now() + 1s})));
  CHECK(CountersOf(stack).at("holdfast.timeouts", "holdfast.scope=call") == 1);
}

TEST_CASE("a fallback tells the failure that it replaces, and the call is a success") {
  const auto lines = std::make_shared<Lines>();
  const auto stack = Stack(Fallback([](const absl::Status&) {
                       return absl::OkStatus();
                     })).Observed("fetch", lines);
  CHECK(stack.Around([] { return absl::NotFoundError("no"); })().ok());
  CHECK(lines->Take() == Told{"event=fell_back severity=warning stack=fetch policy=Fallback "
                              "attempt=1 code=NOT_FOUND"});
  const test::Collected counters = CountersOf(stack);
  CHECK(counters.at("holdfast.fallbacks") == 1);
  CHECK(counters.at("holdfast.calls",
                    "holdfast.outcome=success,holdfast.retried=false,error.type=") == 1);
  CHECK(counters.at("holdfast.attempts", "holdfast.outcome=failure,error.type=NOT_FOUND") == 1);
}

TEST_CASE("a dry run tells what it would have refused or delayed") {
  FakeClock clock;
  const auto lines = std::make_shared<Lines>();
  const auto stack = Stack(RateLimit({.rate = 1, .burst = 1}, {.max_wait = 1s, .dry_run = true}))
                         .Observed("fetch", lines);
  const auto fetch = stack.Around([] { return absl::OkStatus(); }, &clock);
  for (int i = 0; i < 3; ++i) CHECK(fetch().ok());
  const Told told = lines->Take();
  REQUIRE(told.size() == 2);
  CHECK(
      told[0].starts_with("event=dry_run severity=info stack=fetch policy=RateLimit reason=wait"));
  CHECK(told[1].find("reason=\"rate limited\"") != std::string::npos);
  const test::Collected counters = CountersOf(stack);
  CHECK(counters.at("holdfast.dry_run.findings",
                    "holdfast.policy=RateLimit,holdfast.name=,holdfast.reason=wait") == 1);
  CHECK(counters.at("holdfast.dry_run.findings",
                    "holdfast.policy=RateLimit,holdfast.name=,holdfast.reason=rate_limited") == 1);
}

TEST_CASE("a hedge tells that it was sent, and that it won") {
  testing::World world;
  const auto lines = std::make_shared<Lines>();
  const auto stack = Stack(Hedge({.delay = 1s, .budget = RetryBudget::Unlimited()}, HedgeAll()))
                         .Observed("fetch", lines);
  int sent = 0;
  const auto fetch =
      testing::Simulate(world, stack, [&](Call&, testing::Reply<absl::Status> reply) {
        const Duration takes = ++sent == 1 ? 10s : 1s;
        world.After(takes, [reply] { reply.Done(absl::OkStatus()); });
      });
  fetch();
  world.Run();
  CHECK(lines->Take() == Told{"event=hedged severity=info stack=fetch attempt=2",
                              "event=hedge_won severity=info stack=fetch attempt=2"});
  const test::Collected counters = CountersOf(stack);
  CHECK(counters.at("holdfast.hedges", "holdfast.outcome=won") == 1);
  CHECK(counters.sum("holdfast.hedges") == 1);
  CHECK(counters.sum("holdfast.calls") == 1);
  CHECK(counters.at("holdfast.attempts", "holdfast.outcome=success,error.type=") == 1);
  CHECK(counters.sum("holdfast.attempts") == 2);
}

TEST_CASE("a hedge that loses, fails or has no budget is counted as that") {
  testing::World world;
  const auto budget = std::make_shared<RetryBudget>(
      RetryBudget::Options{.capacity = 2, .per_success = 0, .min_retries_per_second = 0});
  const auto stack = Stack(Hedge({.delay = 1s, .budget = budget}, HedgeAll()));
  int sent = 0;
  const auto fetch =
      testing::Simulate(world, stack, [&](Call&, testing::Reply<absl::Status> reply) {
        const bool fails = ++sent == 4;
        world.After(fails ? 500ms : 3s, [reply, fails] {
          reply.Done(fails ? absl::NotFoundError("no") : absl::OkStatus());
        });
      });
  for (int i = 0; i < 3; ++i) {
    fetch();
    world.Run();
  }
  const test::Collected counters = CountersOf(stack);
  CHECK(counters.at("holdfast.hedges", "holdfast.outcome=lost") == 1);
  CHECK(counters.at("holdfast.hedges", "holdfast.outcome=failed") == 1);
  CHECK(counters.at("holdfast.hedges", "holdfast.outcome=unaffordable") == 1);
  CHECK(counters.sum("holdfast.calls") == 3);
  CHECK(counters.sum("holdfast.attempts") == 5);
}

TEST_CASE("what the executor or a policy throws ends a call, and is counted once") {
  FakeClock clock;
  const auto lines = std::make_shared<Lines>();
  const auto throws = [](const Call&, const absl::Status&) -> bool {
    throw std::runtime_error("check");
  };
  const auto stack = Stack(Retry(Twice(), throws)).Observed("fetch", lines);
  CHECK_THROWS(stack.Around([]() -> absl::Status { throw std::runtime_error("run"); }, &clock)());
  CHECK(lines->Take() == Told{"event=ended severity=info stack=fetch reason=\"not retryable\" "
                              "attempt=1 code=UNKNOWN"});
  CHECK_THROWS(stack.Around([] { return absl::OkStatus(); }, &clock)());
  const test::Collected counters = CountersOf(stack);
  CHECK(counters.at("holdfast.calls",
                    "holdfast.outcome=exception,holdfast.retried=false,error.type=UNKNOWN") == 2);
  CHECK(counters.at("holdfast.attempts", "holdfast.outcome=exception,error.type=UNKNOWN") == 1);
  CHECK(counters.at("holdfast.attempts", "holdfast.outcome=success,error.type=") == 1);
  CHECK(counters.sum("holdfast.calls") == 2);
}

TEST_CASE("a call that its caller stops is cancelled, as is its attempt") {
  std::stop_source stop;
  const auto stack = Stack(Retry(Twice()));
  const auto fetch = stack.Around([&] {
    stop.request_stop();
    return absl::CancelledError("stopped");
  });
  CHECK(absl::IsCancelled(fetch.With({.stop = stop.get_token()})));
  CHECK(CountersOf(stack).at(
            "holdfast.calls",
            "holdfast.outcome=cancelled,holdfast.retried=false,error.type=CANCELLED") == 1);
  CHECK(CountersOf(stack).at("holdfast.attempts",
                             "holdfast.outcome=cancelled,error.type=CANCELLED") == 1);
}

TEST_CASE("a call that its driver leaves is cancelled, and so is its attempt") {
  const auto stack = Stack(Timeout(1h));
  const auto bare = Stack();
  {
    testing::World world;
    const auto never = [](Call&, const testing::Reply<absl::Status>&) {};
    const auto fetch = testing::Simulate(world, stack, never);
    const auto without = testing::Simulate(world, bare, never);
    fetch();
    without();
  }
  for (const auto& counters : {CountersOf(stack), CountersOf(bare)}) {
    CHECK(counters.at("holdfast.calls",
                      "holdfast.outcome=cancelled,holdfast.retried=false,error.type=CANCELLED") ==
          1);
    CHECK(counters.at("holdfast.attempts", "holdfast.outcome=cancelled,error.type=CANCELLED") == 1);
  }
}

TEST_CASE("a retry below a policy that forks is a retry of the call") {
  testing::World world;
  const auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{});
  const auto stack = Stack(Timeout(1h, pool), Retry(Twice()));
  int runs = 0;
  const auto fetch =
      testing::Simulate(world, stack, [&](Call&, const testing::Reply<absl::Status>& reply) {
        reply.Done(++runs == 1 ? absl::UnavailableError("down") : absl::OkStatus());
      });
  fetch();
  world.Run();
  const test::Collected counters = CountersOf(stack);
  CHECK(counters.at("holdfast.calls",
                    "holdfast.outcome=success,holdfast.retried=true,error.type=") == 1);
  CHECK(counters.at("holdfast.retries", "error.type=UNAVAILABLE") == 1);
}

TEST_CASE("a call for which the pool has no room is refused by the policy whose pool it is") {
  std::latch begun(1);
  std::latch end(1);
  const auto pool =
      std::make_shared<ThreadPool>(ThreadPool::Options{.max_threads = 1, .max_queue = 0});
  REQUIRE(pool->TryRun([&] {
    begun.count_down();
    end.wait();
  }));
  begun.wait();
  const auto lines = std::make_shared<Lines>(Severity::kWarning);
  const auto stack = Stack(Timeout(1h, pool)).Observed("fetch", lines);
  CHECK(absl::IsResourceExhausted(stack.Around([] { return absl::OkStatus(); })()));
  end.count_down();
  CHECK(lines->Take().front().starts_with(
      "event=refused severity=warning stack=fetch policy=Timeout"));
  const test::Collected counters = CountersOf(stack);
  CHECK(counters.sum("holdfast.refusals") == 1);
  CHECK(counters.sum("holdfast.attempts") == 0);
}

TEST_CASE("what a stack inside of another finds in a dry run, that one counts, and both tell") {
  FakeClock clock;
  const auto outside = std::make_shared<Lines>();
  const auto inside = std::make_shared<Lines>();
  const TokenBucket::Options few = {.rate = 1, .burst = 1, .name = "few"};
  const auto inner = Stack(RateLimit(few, {.max_wait = 0s, .dry_run = true}));
  const auto outer = Stack(RateLimit({.rate = 100, .name = "many"}));
  const auto fetch =
      outer.Observed("out", outside)
          .Around(inner.Observed("in", inside).Around([] { return absl::OkStatus(); }, &clock),
                  &clock);
  CHECK(fetch().ok());
  CHECK(fetch().ok());
  CHECK(inside->Take().front().starts_with(
      "event=dry_run severity=info stack=in policy=RateLimit name=few"));
  CHECK(outside->Take().front().starts_with(
      "event=dry_run severity=info stack=out policy=RateLimit name=few"));
  CHECK(CountersOf(inner).sum("holdfast.dry_run.findings") == 1);
  CHECK(CountersOf(outer).sum("holdfast.dry_run.findings") == 0);
}

TEST_CASE("what an observer throws is dropped, and the next one is told") {
  class Broken final : public Observer {
    void OnEvent(const Event&) override { throw std::runtime_error("observer"); }
  };
  const auto lines = std::make_shared<Lines>();
  const auto stack =
      Stack(Retry({})).Observed("fetch", std::make_shared<Broken>()).Observed("", lines);
  CHECK(absl::IsNotFound(stack.Around([] { return absl::NotFoundError("no"); })()));
  CHECK(lines->Take().size() == 1);
}

TEST_CASE("an observer may call through the stack that it observes") {
  class Asks final : public Observer {
   public:
    void OnEvent(const Event& event) override {
      if (event.kind == EventKind::kEnded && calls++ == 0) ask();
    }
    std::function<void()> ask;
    int calls = 0;
  };
  const auto asks = std::make_shared<Asks>();
  const auto stack = Stack(Retry({})).Observed("fetch", asks);
  const auto fetch = stack.Around([] { return absl::NotFoundError("no"); });
  asks->ask = [&] { fetch().IgnoreError(); };
  fetch().IgnoreError();
  CHECK(asks->calls == 2);
  asks->ask = nullptr;
}

TEST_CASE("copies of a stack and all that its Around returns count together") {
  const auto stack = Stack(Retry({}));
  const auto copy = stack;
  const auto fetch = stack.Around([] { return absl::OkStatus(); });
  const auto other = copy.Around([] { return absl::OkStatus(); });
  fetch().IgnoreError();
  other().IgnoreError();
  const auto outer = Stack(stack, Timeout(1s));
  outer.Around([] { return absl::OkStatus(); })().IgnoreError();
  CHECK(CountersOf(copy).sum("holdfast.calls") == 2);
  CHECK(CountersOf(outer).sum("holdfast.calls") == 1);
}

TEST_CASE("calls, attempts and waits are timed once somebody wants that") {
  FakeClock clock;
  const auto stack = Stack(Retry(Twice()));
  bool down = true;
  const auto fetch = stack.Around(
      [&]() -> absl::Status {
        clock.Advance(3s);
        return std::exchange(down, false) ? absl::UnavailableError("down") : absl::OkStatus();
      },
      &clock);
  const CollectedObjects objects = stack.Objects();
  const CollectedObject& meter = objects.all().front();
  const auto alive = meter.object.lock();
  CHECK(fetch().ok());
  CHECK_FALSE(CountersOf(stack).has("holdfast.call.duration", "holdfast.outcome=success"));
  meter.time(alive.get());
  down = true;
  CHECK(fetch().ok());
  CHECK(fetch().ok());

  struct Times final : Collector {
    void TakeCount(const Metric&, std::uint64_t, std::span<const Attribute>) override {}
    void TakeGauge(const Metric&, double, std::span<const Attribute>) override {}
    void TakeHistogram(const Metric& metric, const HistogramCounts& counts,
                       std::span<const Attribute> attributes) override {
      std::uint64_t count = 0;
      for (const std::uint64_t n : counts.counts) count += n;
      lines.push_back(std::string(metric.name) + " " + std::string(attributes.front().value) + " " +
                      std::to_string(count) + " " + std::to_string(counts.sum));
    }
    Told lines;
  } times;
  meter.collect(alive.get(), times);
  CHECK(times.lines == Told{"holdfast.call.duration success 2 10.000000",
                            "holdfast.attempt.duration success 2 6.000000",
                            "holdfast.attempt.duration failure 1 3.000000",
                            "holdfast.wait.duration Retry 1 1.000000"});
}

TEST_CASE("equal policies of a stack are told apart") {
  FakeClock clock;
  const auto stack = Stack(RateLimit({.rate = 1, .burst = 5}, {.max_wait = 0s}),
                           RateLimit({.rate = 1, .burst = 1}, {.max_wait = 0s}));
  const auto fetch = stack.Around([] { return absl::OkStatus(); }, &clock);
  fetch().IgnoreError();
  fetch().IgnoreError();
  CHECK(CountersOf(stack).at("holdfast.refusals",
                             "holdfast.policy=RateLimit,holdfast.name=#2,holdfast.reason=rate_"
                             "limited,holdfast.priority=normal") == 1);
}

TEST_CASE("what threads do is counted in full, while others look at it and begin to observe it") {
  constexpr int kThreads = 4;
  constexpr int kCalls = 500;
  class Counts final : public Observer {
   public:
    void OnEvent(const Event&) override { events.fetch_add(1, std::memory_order_relaxed); }
    Severity least_severity() const override { return Severity::kDebug; }
    std::atomic<int> events{0};
  };
  const auto stack = Stack(Retry({.max_attempts = 2, .backoff = Backoff::Constant(0s)}));
  const auto fetch = stack.Around(
      [](int i) { return i % 3 == 0 ? absl::UnavailableError("down") : absl::OkStatus(); });
  const auto counts = std::make_shared<Counts>();
  bool shrank = false;
  test::InThreads(kThreads + 1, [&](int thread) {
    if (thread < kThreads) {
      for (int i = 0; i < kCalls; ++i) fetch(i).IgnoreError();
      return;
    }
    double before = 0;
    for (int i = 0; i < 50; ++i) {
      const double calls = CountersOf(stack).sum("holdfast.calls");
      shrank = shrank || calls < before;
      before = calls;
      stack.Observed("threads", counts);
    }
  });
  CHECK_FALSE(shrank);
  const test::Collected counters = CountersOf(stack);
  CHECK(counters.sum("holdfast.calls") == kThreads * kCalls);
  CHECK(counters.sum("holdfast.attempts") ==
        counters.sum("holdfast.calls") + counters.sum("holdfast.retries"));
  const int told = counts->events.load(std::memory_order_relaxed);
  fetch(1).IgnoreError();
  CHECK(counts->events.load(std::memory_order_relaxed) == told + 2);  // an attempt, and the end
}

TEST_CASE("an event is a line of logfmt") {
  Event event;
  event.kind = EventKind::kCutOff;
  event.severity = Severity::kWarning;
  event.stack = "a \"b\"\\\n\x01";
  event.policy = "Timeout";
  event.took = 1500ms;
  event.status = absl::UnavailableError("x=y");
  CHECK(ToString(event) ==
        "event=cut_off severity=warning stack=\"a \\\"b\\\"\\\\\\n\\u0001\" policy=Timeout "
        "took=1.5s code=UNAVAILABLE message=\"x=y\"");
}

TEST_CASE("a null observer is refused") {
  CHECK_THROWS_AS(Stack(Retry({})).Observed("fetch", nullptr), std::invalid_argument);
}

}  // namespace
}  // namespace holdfast::observer_test
