// What a keyed breaker tells a collector.
#include <absl/status/status.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/breaker/keyed_circuit_break.h"
#include "holdfast/breaker/keyed_circuit_breaker.h"
#include "holdfast/testing/fake_clock.h"
#include "src/breaker/live_breakers.h"
#include "test/support/breaker.h"
#include "test/support/catch.h"
#include "test/support/collected.h"
#include "test/support/threads.h"

namespace holdfast::keyed_breaker_metrics_test {
namespace {

using namespace std::chrono_literals;
using test::At;
using test::Collected;
using test::Record;
using test::Touchy;
using testing::FakeClock;
using WhenFull = KeyedCircuitBreaker::WhenFull;

Collected Of(const KeyedCircuitBreaker& breakers) {
  Collected collected;
  breakers.Collect(collected);
  return collected;
}
double Calls(const Collected& collected, const std::string& outcome) {
  return collected.at("holdfast.breaker.calls", "holdfast.outcome=" + outcome);
}
double InState(const Collected& collected, const std::string& state) {
  return collected.at("holdfast.keys.state", "holdfast.state=" + state);
}
std::string Key(std::int64_t i) { return "key " + std::to_string(i); }

TEST_CASE(
    "a keyed breaker tells sums over its keys, and as many series for ten as for a thousand") {
  KeyedCircuitBreaker breakers({.breaker = Touchy(), .max_keys = 2000, .name = "orders"});
  const std::size_t series = Of(breakers).all().size();
  CHECK(series == 25);
  const int keys = GENERATE(10, 1000);
  for (int i = 0; i < keys; ++i) {
    const auto breaker = breakers.GetAt(At(1s), Key(i));
    Record(*breaker, At(1s), Outcome::kSuccess, 2);
    Record(*breaker, At(1s), i % 2 == 0 ? Outcome::kIgnored : Outcome::kFailure);
    if (i % 2 == 1) CHECK(!breaker->AdmitAt(At(2s)).ok());
  }
  CHECK(breakers.GetAt(At(100s), Key(1))->StateAt(At(100s)) == BreakerState::kHalfOpen);
  const Collected collected = Of(breakers);
  CHECK(collected.all().size() == series);
  const auto half = keys / 2;
  CHECK(Calls(collected, "success") == 2 * keys);
  CHECK(Calls(collected, "failure") == half);
  CHECK(Calls(collected, "ignored") == half);
  CHECK(collected.at("holdfast.breaker.refusals", "holdfast.reason=open") == half);
  CHECK(collected.at("holdfast.breaker.transitions", "holdfast.state=open,holdfast.cause=rule") ==
        half);
  CHECK(collected.at("holdfast.keys", "holdfast.kind=breaker") == keys);
  CHECK(collected.at("holdfast.keys.limit", "holdfast.kind=breaker") == 2000);
  CHECK(InState(collected, "closed") == half);
  CHECK(InState(collected, "half_open") == 1);
  CHECK(InState(collected, "open") == half - 1);
}

TEST_CASE("what forgotten keys have counted stays in the sums") {
  KeyedCircuitBreaker breakers({.breaker = {.slow_call = 1s}, .max_keys = 3});
  for (int i = 1; i <= 100; ++i) {
    const auto breaker = breakers.GetAt(At(1s), Key(i));
    REQUIRE(breaker != nullptr);
    test::RecordSlow(*breaker, At(1s), 2s, Outcome::kFailure);
    Record(*breaker, At(1s), Outcome::kSuccess);
    const Collected collected = Of(breakers);
    REQUIRE(Calls(collected, "failure") == i);
    REQUIRE(Calls(collected, "success") == i);
    REQUIRE(collected.at("holdfast.breaker.slow_calls") == i);
    REQUIRE(collected.at("holdfast.keys", "holdfast.kind=breaker") == std::min(i, 3));
    REQUIRE(InState(collected, "closed") == std::min(i, 3));
  }
}

TEST_CASE("a breaker counts in the sums until its last holder lets go of it, and then for good") {
  const auto live = std::make_shared<internal::LiveBreakers>();
  const auto successes = [&] { return live->Look().totals.calls.outcomes[0]; };
  auto other = internal::LiveBreakers::Make(live, {});
  auto breaker = internal::LiveBreakers::Make(live, {});
  const auto holder = std::make_shared<std::shared_ptr<CircuitBreaker>>(breaker);
  auto ticket = breaker->AdmitAt(At(1s));
  breaker.reset();
  CHECK(live->Look().in_state[0] == 2);
  ticket->DoneAt(At(2s), Outcome::kSuccess);
  CHECK(successes() == 1);
  holder->reset();
  CHECK(live->Look().in_state[0] == 1);
  CHECK(successes() == 1);
  Record(*other, At(2s), Outcome::kSuccess);
  CHECK(successes() == 2);
  other.reset();
  CHECK(successes() == 2);
}

TEST_CASE("a breaker that outlives the keyed object stays usable") {
  std::shared_ptr<CircuitBreaker> breaker;
  {
    KeyedCircuitBreaker breakers({});
    breaker = breakers.Get("a");
  }
  Record(*breaker, At(1s), Outcome::kSuccess);
  CHECK(breaker->CountsAt(At(1s)).successes == 1);
}

TEST_CASE("calls for whose key there is no room are counted, admitted or refused") {
  const WhenFull when_full = GENERATE(WhenFull::kAdmit, WhenFull::kRefuse);
  FakeClock clock;
  KeyedCircuitBreaker breakers(
      {.breaker = Touchy(), .max_keys = 1, .when_full = when_full, .clock = &clock});
  breakers.Execute("down", [] { return absl::InternalError("down"); }).IgnoreError();
  CHECK(breakers.Execute("new", [] { return absl::OkStatus(); }).ok() ==
        (when_full == WhenFull::kAdmit));
  CHECK(breakers.Get(std::string(KeyedCircuitBreaker::kMaxKeyBytes + 1, 'k')) == nullptr);
  CHECK(breakers.Find("unknown") == nullptr);  // no call
  const Collected collected = Of(breakers);
  CHECK(collected.at("holdfast.keys.turned_away") == 2);
  CHECK(Calls(collected, "success") == 0);
}

TEST_CASE("a look at a keyed breaker makes no transition and asks nobody") {
  FakeClock clock;
  int asked = 0;
  CircuitBreaker::Options options = Touchy();
  options.on_state_change = [&](std::string_view, BreakerState, BreakerState) { ++asked; };
  KeyedCircuitBreaker breakers({.options_for =
                                    [&](std::string_view) {
                                      ++asked;
                                      return options;
                                    },
                                .clock = &clock});
  breakers.Execute("a", [] { return absl::InternalError("down"); }).IgnoreError();
  clock.Advance(1h);
  const int before = asked;
  for (int i = 0; i < 1000; ++i) CHECK(InState(Of(breakers), "open") == 1);
  CHECK(asked == before);
  CHECK(breakers.Find("a")->state() == BreakerState::kHalfOpen);
}

TEST_CASE("threads: a collector keeps no key from being forgotten, and no sum shrinks") {
  constexpr int kKeys = 5'000;
  constexpr int kThreads = 2;
  KeyedCircuitBreaker alone({.max_keys = 1});   // one key, so it must be forgotten for the next
  KeyedCircuitBreaker shared({.max_keys = 4});  // there may be no room while others look for some
  std::atomic<std::uint64_t> without_room = 0;
  std::atomic<int> shrunk = 0;
  std::atomic<std::uint64_t> counted = 0;
  std::atomic<std::uint64_t> turned_away = 0;
  {
    const std::jthread looks([&](const std::stop_token& stop) {
      double before = 0;
      double before_alone = 0;
      while (!stop.stop_requested()) {
        const double now = Calls(Of(shared), "success");
        const double now_alone = Calls(Of(alone), "success");
        if (now < before || now_alone < before_alone) ++shrunk;
        before = now;
        before_alone = now_alone;
      }
    });
    test::InThreads(kThreads + 1, [&](int thread) {
      for (int i = 0; i < kKeys; ++i) {
        const auto breaker =
            thread == 0 ? alone.GetAt(At(1s), Key(i)) : shared.GetAt(At(1s), Key(i * thread % 97));
        if (breaker == nullptr) {
          thread == 0 ? ++without_room : ++turned_away;
          continue;
        }
        auto ticket = breaker->AdmitAt(At(1s));
        if (ticket.ok()) ticket->DoneAt(At(1s), Outcome::kSuccess);
        if (thread != 0) ++counted;
      }
    });
  }
  CHECK(shrunk == 0);
  CHECK(without_room == 0);
  CHECK(Calls(Of(alone), "success") == kKeys);
  CHECK(Calls(Of(shared), "success") == static_cast<double>(counted));
  CHECK(Of(shared).at("holdfast.keys.turned_away") == static_cast<double>(turned_away));
}

TEST_CASE("KeyedCircuitBreak tells a registry of its breakers") {
  auto breakers =
      std::make_shared<KeyedCircuitBreaker>(KeyedCircuitBreaker::Options{.name = "hosts"});
  Record(*breakers->Get("a"), At(1s), Outcome::kSuccess, 3);
  CollectedObjects objects;
  KeyedCircuitBreak(breakers).Objects(objects);
  REQUIRE(objects.all().size() == 1);
  const CollectedObject& object = objects.all()[0];
  CHECK(object.kind == "KeyedCircuitBreak");
  CHECK(object.name(object.object.lock().get()) == "hosts");
  Collected collected;
  object.collect(object.object.lock().get(), collected);
  CHECK(Calls(collected, "success") == 3);
}

}  // namespace
}  // namespace holdfast::keyed_breaker_metrics_test
