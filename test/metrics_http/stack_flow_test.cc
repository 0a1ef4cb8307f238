#include "src/metrics_http/stack_flow.h"

#include <absl/status/status.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "holdfast/breaker/circuit_break.h"
#include "holdfast/cache/cache.h"
#include "holdfast/concurrency/bulkhead.h"
#include "holdfast/metrics/metrics.h"
#include "holdfast/rate/rate_limit.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"
#include "src/metrics_http/flow_history.h"
#include "test/support/catch.h"

namespace holdfast::stack_flow_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using internal::FlowHistory;
using internal::FlowSince;
using internal::FlowsOf;
using internal::QuantileOf;
using internal::StackFlow;
using test::WithinRel;
using Counts = std::map<std::string, std::uint64_t>;
using SystemTime = std::chrono::system_clock::time_point;

StackFlow FlowOf(const Metrics& metrics) {
  return FlowsOf(metrics.Snapshot(), metrics.Stacks()).at(0);
}

TEST_CASE("calls are put down to the policies that refused them or sent them again") {
  testing::FakeClock clock;
  const Stack stack(RateLimit({.rate = 1, .burst = 3}, {.max_wait = 0s}),
                    Retry({.max_attempts = 3, .backoff = Backoff::Constant(1ms)}),
                    CircuitBreak({.name = "db", .rules = {ConsecutiveFailures(5)}}));
  Metrics metrics;
  REQUIRE(metrics.Add("orders", stack).ok());
  const auto call = stack.Around([] { return absl::UnavailableError("down"); }, &clock);
  for (int i = 0; i < 5; ++i) call().IgnoreError();

  const StackFlow flow = FlowOf(metrics);
  // A call with three attempts; one with two, whose third is refused by the breaker; one that is
  // refused by the breaker; two that are refused by the limit.
  CHECK(internal::SumOf(flow.calls) == 5);
  CHECK(flow.attempts == Counts{{"failure", 5}, {"success", 0}});
  REQUIRE(flow.policies.size() == 3);
  CHECK(flow.policies[0].refused == Counts{{"rate_limited", 2}});
  CHECK(flow.policies[1].refused.empty());
  CHECK(flow.policies[1].again == 4);
  CHECK(flow.policies[2].refused == Counts{{"circuit_open", 2}});
  CHECK(flow.no_time == 0);
}

TEST_CASE("what a cache answers does not come further") {
  testing::FakeClock clock;
  const Stack stack(Cache<absl::Status>({.ttl = 10s}), Timeout(1s));
  Metrics metrics;
  REQUIRE(metrics.Add("orders", stack).ok());
  const auto call = stack.Around([] { return absl::OkStatus(); }, &clock);
  for (int i = 0; i < 4; ++i) CHECK(call.With({.key = "a"}).ok());
  const StackFlow flow = FlowOf(metrics);
  CHECK(flow.policies[0].answered == 3);
  CHECK(flow.attempts.at("success") == 1);
}

TEST_CASE("a call without time is refused by no policy") {
  testing::FakeClock clock;
  const Stack stack(Bulkhead({.limit = 1}));
  Metrics metrics;
  REQUIRE(metrics.Add("orders", stack).ok());
  const auto call = stack.Around([] { return absl::OkStatus(); }, &clock);
  clock.Advance(1s);
  call.With({.deadline = TimePoint(500ms)}).IgnoreError();
  CHECK(FlowOf(metrics).no_time == 1);
}

StackFlow Counted(std::uint64_t good, std::uint64_t bad) {
  return {.calls = {{"success", good}, {"failure", bad}},
          .durations = {.offset = -4, .counts = {good, bad}, .sum = static_cast<double>(good)},
          .policies = {{.refused = {{"full", bad}}, .again = bad}}};
}

TEST_CASE("a flow since another one is what came after it") {
  const StackFlow since = FlowSince(Counted(10, 5), Counted(7, 1));
  CHECK(since == Counted(3, 4));
  CHECK(FlowSince(Counted(10, 5), StackFlow{.policies = {{}}}) == Counted(10, 5));
}

TEST_CASE("a stack that counts less than before is a new one") {
  CHECK(FlowSince(Counted(3, 0), Counted(7, 1)) == Counted(3, 0));
  StackFlow other = Counted(3, 0);
  other.policies.emplace_back();
  CHECK(FlowSince(other, Counted(1, 0)) == other);
}

TEST_CASE("a quantile lies in the bucket of its rank") {
  CHECK(std::isnan(QuantileOf({}, 0.5)));
  CHECK(std::isnan(QuantileOf({.offset = 0, .counts = {0, 0}}, 0.5)));
  // From 1 to 2 s in four buckets.
  const HistogramCounts even = {.offset = 0, .counts = {10, 10, 10, 10}};
  CHECK_THAT(QuantileOf(even, 0.5), WithinRel(std::sqrt(2.0), 1e-9));
  CHECK_THAT(QuantileOf(even, 1), WithinRel(2.0, 1e-9));
  CHECK_THAT(QuantileOf(even, 0.25), WithinRel(std::exp2(0.25), 1e-9));
  const HistogramCounts gap = {.offset = -8, .counts = {99, 0, 0, 0, 0, 0, 0, 1}};
  CHECK(QuantileOf(gap, 0.5) < 0.3);
  CHECK(QuantileOf(gap, 0.995) > 0.8);
}

// A registry whose time a test moves, with a stack whose calls succeed or fail.
struct Scene {
  Scene() { CHECK(metrics.Add("orders", stack).ok()); }

  void Calls(int good, int bad) {
    for (int i = 0; i < good; ++i) CHECK(fetch(true).ok());
    for (int i = 0; i < bad; ++i) fetch(false).IgnoreError();
  }
  void Sample(FlowHistory& history) {
    const MetricsSnapshot snapshot = metrics.Snapshot();
    const auto stacks = metrics.Stacks();
    history.Add(snapshot, stacks, FlowsOf(snapshot, stacks));
  }
  FlowHistory::Recent Recent(const FlowHistory& history) {
    return history.RecentOf("orders", FlowOf(metrics), now);
  }

  SystemTime now{1000s};
  testing::FakeClock clock;
  Metrics metrics{{.now = [this] { return now; }}};
  Stack<CircuitBreak<>> stack{CircuitBreak({.name = "db", .rules = {ConsecutiveFailures(1000)}})};
  std::function<absl::Status(bool)> fetch = stack.Around(
      [](bool good) { return good ? absl::OkStatus() : absl::UnavailableError("down"); }, &clock);
};

TEST_CASE("a step of the history has rates of that step") {
  Scene scene;
  FlowHistory history(1s);
  scene.Calls(5, 0);
  scene.Sample(history);
  scene.now += 2s;
  scene.Calls(6, 2);
  scene.Sample(history);
  const auto& points = history.stacks().at("orders");
  REQUIRE(points.size() == 2);
  CHECK(std::isnan(points[0].calls));  // nobody knows since when
  CHECK(points[1].calls == 4);
  CHECK(points[1].lost == 1);
  CHECK(points[1].attempts == 4);
  CHECK(points[1].p50 >= 0);
  CHECK(history.breakers().at("db") == std::deque<signed char>{0, 0});
}

TEST_CASE("samples that come too early are left out, and a clock set back begins anew") {
  Scene scene;
  FlowHistory history(1s);
  scene.Sample(history);
  scene.Sample(history);
  scene.now += 900ms;
  scene.Sample(history);
  CHECK(history.times().size() == 1);
  scene.now -= 1h;
  scene.Sample(history);
  CHECK(history.times() == std::deque<SystemTime>{scene.now});
}

TEST_CASE("a history is bounded, and forgets what is gone") {
  Scene scene;
  FlowHistory history(1s);
  for (int i = 0; i < 500; ++i) {
    scene.now += 1s;
    scene.Sample(history);
  }
  CHECK(history.times().size() == FlowHistory::kSteps);
  CHECK(history.stacks().at("orders").size() == FlowHistory::kSteps);
  scene.stack = Stack<CircuitBreak<>>{CircuitBreak({.name = "other"})};
  scene.fetch = nullptr;
  scene.now += 1s;
  scene.Sample(history);
  CHECK(history.stacks().empty());
  CHECK(history.breakers().empty());
}

TEST_CASE("what is recent is at most a minute and a step old") {
  Scene scene;
  FlowHistory history(1s);
  for (int i = 0; i < 300; ++i) {
    scene.Sample(history);
    scene.Calls(1, 0);
    scene.now += 1s;
  }
  const auto recent = scene.Recent(history);
  CHECK(recent.seconds >= 60);
  CHECK(recent.seconds <= 62);
  CHECK(internal::SumOf(recent.flow.calls) == static_cast<std::uint64_t>(recent.seconds));
}

TEST_CASE("a stack that came later is recent since then") {
  Scene scene;
  FlowHistory history(1s);
  scene.Calls(3, 0);
  CHECK(scene.Recent(history).seconds == 0);
  CHECK(internal::SumOf(scene.Recent(history).flow.calls) == 3);
  scene.Sample(history);
  scene.now += 5s;
  scene.Calls(2, 0);
  CHECK(scene.Recent(history).seconds == 5);
  CHECK(internal::SumOf(scene.Recent(history).flow.calls) == 2);
}

}  // namespace
}  // namespace holdfast::stack_flow_test
