#include "holdfast/metrics/recent_events.h"

#include <absl/status/status.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "holdfast/breaker/circuit_break.h"
#include "holdfast/breaker/keyed_circuit_break.h"
#include "holdfast/metrics/metrics.h"
#include "holdfast/rate/keyed_rate_limit.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::recent_events_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using testing::FakeClock;
using SystemTime = std::chrono::system_clock::time_point;

// A wall clock that a test moves.
struct Wall {
  SystemTime now{1000s};
};

RecentEventsOptions At(const std::shared_ptr<Wall>& wall, std::size_t capacity = 200) {
  return {.capacity = capacity, .now = [wall] { return wall->now; }};
}

Event Refusal(std::string_view stack, std::string_view key = "") {
  Event event;
  event.kind = EventKind::kRefused;
  event.severity = Severity::kWarning;
  event.stack = stack;
  event.key = key;
  event.policy = "RateLimit";
  event.reason = "rate limited";
  event.status = absl::ResourceExhaustedError("too much of it");
  return event;
}

TEST_CASE("the newest event comes first, and the oldest goes when there is no room") {
  const auto wall = std::make_shared<Wall>();
  RecentEvents events(At(wall, 3));
  for (const std::string stack : {"a", "b", "c", "d", "e"}) {
    events.OnEvent(Refusal(stack));
    wall->now += 1s;
  }
  const auto kept = events.Events();
  REQUIRE(kept.size() == 3);
  CHECK(kept[0].stack == "e");
  CHECK(kept[0].number == 5);
  CHECK(kept[0].time == SystemTime(1004s));
  CHECK(kept[1].stack == "d");
  CHECK(kept[2].stack == "c");
  CHECK(events.total() == 5);
}

TEST_CASE("equal events of one second are kept as one with a count") {
  const auto wall = std::make_shared<Wall>();
  RecentEvents events(At(wall));
  for (int i = 0; i < 10; ++i) {
    events.OnEvent(Refusal("a"));
    events.OnEvent(Refusal("b"));
    wall->now += 250ms;
  }
  const auto kept = events.Events();
  REQUIRE(kept.size() == 6);  // of each stack one a second
  CHECK(kept[0].count + kept[2].count + kept[4].count == 10);
  CHECK(kept[4].count == 4);
  CHECK(kept[5].last == kept[5].time + 750ms);
  CHECK(events.total() == 20);
}

TEST_CASE("changes of a breaker are kept one by one") {
  const auto events = std::make_shared<RecentEvents>();
  CircuitBreaker breaker({.name = "orders", .rules = {ConsecutiveFailures(1)}});
  breaker.Observe(events);
  for (int i = 0; i < 3; ++i) {
    breaker.SetMode(BreakerMode::kForcedOpen);
    breaker.SetMode(BreakerMode::kForcedClosed);
  }
  CHECK(events->Events().size() == 6);
  CHECK(events->Events().front().state == "closed");
}

TEST_CASE("what happened to a call is kept, without its message") {
  const auto events = std::make_shared<RecentEvents>();
  Event event = Refusal("orders");
  event.name = "limit";
  event.attempt = 2;
  event.took = 3ms;
  event.waited = 4ms;
  event.at = TimePoint(10s);
  event.until = TimePoint(12s);
  events->OnEvent(event);
  const RecentEvent kept = events->Events().at(0);
  CHECK(kept.kind == EventKind::kRefused);
  CHECK(kept.severity == Severity::kWarning);
  CHECK(kept.policy == "RateLimit");
  CHECK(kept.name == "limit");
  CHECK(kept.reason == "rate limited");
  CHECK(kept.code == absl::StatusCode::kResourceExhausted);
  CHECK(kept.message.empty());
  CHECK(kept.attempt == 2);
  CHECK(kept.took == 3ms);
  CHECK(kept.waited == 4ms);
  CHECK(kept.until == Duration(2s));
}

TEST_CASE("messages are kept where the options say so") {
  RecentEvents events({.messages = true});
  events.OnEvent(Refusal("orders"));
  CHECK(events.Events().at(0).message == "too much of it");
}

TEST_CASE("keys are kept only where the options say so") {
  for (const bool keys : {false, true}) {
    const auto events = std::make_shared<RecentEvents>(RecentEventsOptions{.keys = keys});
    KeyedCircuitBreaker breakers({.breaker = {.rules = {ConsecutiveFailures(1)}}, .name = "hosts"});
    breakers.Observe(events);
    breakers.Execute("alice", [] { return absl::UnavailableError("down"); }).IgnoreError();
    events->OnEvent(Refusal("orders", "bob"));
    const auto kept = events->Events();
    REQUIRE(kept.size() == 2);
    CHECK(kept[1].name == (keys ? "hosts/alice" : "hosts"));
    CHECK(kept[1].key == (keys ? "alice" : ""));
    CHECK(kept[0].key == (keys ? "bob" : ""));
    CHECK(events->WorstKeys().size() == (keys ? 1 : 0));
  }
}

TEST_CASE("a name that options_for made of a key is taken for the key") {
  const auto events = std::make_shared<RecentEvents>();
  KeyedCircuitBreaker breakers({.options_for =
                                    [](std::string_view key) {
                                      return CircuitBreaker::Options{
                                          .name = "of " + std::string(key),
                                          .rules = {ConsecutiveFailures(1)}};
                                    },
                                .name = "hosts"});
  breakers.Observe(events);
  breakers.Execute("alice", [] { return absl::UnavailableError("down"); }).IgnoreError();
  CHECK(events->Events().at(0).name.empty());
}

TEST_CASE("the keys that are refused most come first, of a million keys") {
  RecentEvents events({.keys = true, .worst_keys = 3});
  for (int i = 0; i < 30'000; ++i) {
    events.OnEvent(Refusal("orders", "key" + std::to_string(i)));
    if (i % 10 == 0) events.OnEvent(Refusal("orders", "bad"));
    if (i % 20 == 0) events.OnEvent(Refusal("orders", "worse"));
    if (i % 20 == 1) events.OnEvent(Refusal("orders", "worse"));
    if (i % 20 == 2) events.OnEvent(Refusal("orders", "worse"));
  }
  const auto worst = events.WorstKeys();
  REQUIRE(worst.size() == 3);
  CHECK(worst[0].key == "worse");
  CHECK(worst[1].key == "bad");
  CHECK(worst[0].refused >= 4500);
  CHECK(worst[0].refused - worst[0].too_many <= 4500);
  CHECK(worst[0].stack == "orders");
  CHECK(worst[0].policy == "RateLimit");
}

TEST_CASE("texts are cut, and are UTF-8") {
  RecentEvents events({.keys = true});
  std::string stack;
  for (int i = 0; i < 1000; ++i) stack += "\xC3\xA4";
  events.OnEvent(Refusal(stack, "\xFF\xC3"));
  const RecentEvent kept = events.Events().at(0);
  CHECK(kept.stack.size() <= 128);
  CHECK(kept.stack.ends_with("\xC3\xA4\xE2\x80\xA6"));
  CHECK(kept.key == "\xEF\xBF\xBD\xEF\xBF\xBD");
}

class Counting final : public Observer {
 public:
  explicit Counting(Severity least) : least_(least) {}
  void OnEvent(const Event&) override { ++count; }
  Severity least_severity() const override { return least_; }

  int count = 0;

 private:
  Severity least_;
};

TEST_CASE("another observer is told what it wants") {
  const auto next = std::make_shared<Counting>(Severity::kDebug);
  const auto events = std::make_shared<RecentEvents>(RecentEventsOptions{.next = next});
  CHECK(events->least_severity() == Severity::kDebug);
  const auto call =
      Stack(CircuitBreak({})).Observed("orders", events).Around([] { return absl::OkStatus(); });
  CHECK(call().ok());
  CHECK(next->count == 2);  // the attempt and the end
  CHECK(events->Events().empty());

  const auto few = std::make_shared<Counting>(Severity::kWarning);
  RecentEvents all({.next = few});
  CHECK(all.least_severity() == Severity::kInfo);
  Event event;
  event.severity = Severity::kInfo;
  all.OnEvent(event);
  all.OnEvent(Refusal("orders"));
  CHECK(few->count == 1);
  CHECK(all.total() == 2);
}

TEST_CASE("a registry gives it the events of its stacks") {
  FakeClock clock;
  const auto events = std::make_shared<RecentEvents>(RecentEventsOptions{.keys = true});
  Metrics metrics({.observer = events});
  const Stack stack(
      KeyedRateLimit({.limits = {.rate = 1, .burst = 1}, .name = "users"}, {.max_wait = 0s}));
  REQUIRE(metrics.Add("orders", stack).ok());
  const auto call = stack.Around([] { return absl::OkStatus(); }, &clock);
  for (int i = 0; i < 3; ++i) call.With({.key = "alice"}).IgnoreError();
  REQUIRE(events->WorstKeys().size() == 1);
  CHECK(events->WorstKeys()[0].key == "alice");
  CHECK(events->WorstKeys()[0].refused == 2);
  CHECK(events->WorstKeys()[0].name == "users");
  CHECK(events->WorstKeys()[0].stack == "orders");
}

TEST_CASE("options out of their range are refused") {
  CHECK(Validate(RecentEventsOptions{}).ok());
  CHECK_THROWS_AS(RecentEvents({.capacity = 0}), std::invalid_argument);
  CHECK_THROWS_AS(RecentEvents({.capacity = 10'001}), std::invalid_argument);
  CHECK_THROWS_AS(RecentEvents({.worst_keys = 0}), std::invalid_argument);
  CHECK_THROWS_AS(RecentEvents({.worst_keys = 101}), std::invalid_argument);
  CHECK_THROWS_AS(RecentEvents({.now = nullptr}), std::invalid_argument);
}

TEST_CASE("events come and are asked for in many threads") {
  constexpr int kEach = 500;
  RecentEvents events({.capacity = 20, .keys = true});
  test::InThreads(4, [&](int thread) {
    const std::string stack = "stack" + std::to_string(thread);
    for (int i = 0; i < kEach; ++i) {
      if (thread == 0) {
        (void)events.Events();
        (void)events.WorstKeys();
      } else {
        events.OnEvent(Refusal(stack, "key" + std::to_string(i % 7)));
      }
    }
  });
  CHECK(events.total() == 3 * kEach);
  std::uint64_t refused = 0;
  for (const WorstKey& key : events.WorstKeys()) refused += key.refused;
  CHECK(refused > 0);
}

}  // namespace
}  // namespace holdfast::recent_events_test
