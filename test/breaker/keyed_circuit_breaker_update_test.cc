// New options for the breakers of all keys while calls run.
#include <absl/status/status.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/breaker/keyed_circuit_break.h"
#include "holdfast/breaker/keyed_circuit_breaker.h"
#include "holdfast/stack/stack.h"
#include "holdfast/stack/update_all.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/breaker.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"
#include "test/support/threads.h"

namespace holdfast::keyed_circuit_breaker_update_test {
namespace {

using namespace std::chrono_literals;
using Options = KeyedCircuitBreaker::Options;
using test::At;
using test::Never;
using test::Record;
using test::Touchy;
using testing::FakeClock;
using WhenFull = KeyedCircuitBreaker::WhenFull;

constexpr auto kClosed = BreakerState::kClosed;
constexpr auto kOpen = BreakerState::kOpen;

std::string Key(std::int64_t i) { return "key " + std::to_string(i); }

// By `timeout` one sees which options a breaker has.
Duration TimeoutOf(const std::shared_ptr<CircuitBreaker>& breaker) {
  REQUIRE(breaker != nullptr);
  return breaker->options().timeout;
}

// The same for all keys, from options_for.
KeyedCircuitBreaker::OptionsFor Answer(CircuitBreaker::Options options) {
  return [options](std::string_view) { return options; };
}

TEST_CASE("new options hold for known keys, whoever holds their breakers, and for new ones") {
  KeyedCircuitBreaker breakers({.breaker = Touchy(), .name = "hosts"});
  const auto a = breakers.GetAt(At(0s), "a");
  Record(*a, At(0s), Outcome::kFailure);
  breakers.GetAt(At(0s), "b");
  REQUIRE(breakers.Update({.breaker = {.timeout = 3s}}).ok());
  for (const char* key : {"a", "b", "c"}) {
    CHECK(TimeoutOf(breakers.GetAt(At(1s), key)) == 3s);
    CHECK(breakers.Find(key)->name() == std::string("hosts/") + key);
  }
  CHECK(TimeoutOf(a) == 3s);
  CHECK(a->StateAt(At(10s)) == kOpen);
  CHECK(breakers.Find("b")->StateAt(At(1s)) == kClosed);
  CHECK(breakers.options().breaker.timeout == 3s);
  CHECK(breakers.options().name == "hosts");
}

TEST_CASE("options_for is asked again about each key, and may come and go") {
  KeyedCircuitBreaker breakers({});
  for (const char* key : {"a", "bb"}) breakers.GetAt(At(0s), key);
  const auto by_length = [](std::string_view key) {
    return CircuitBreaker::Options{.timeout = std::chrono::seconds(key.size())};
  };
  REQUIRE(breakers.Update({.options_for = by_length}).ok());
  CHECK(TimeoutOf(breakers.Find("a")) == 1s);
  CHECK(TimeoutOf(breakers.Find("bb")) == 2s);
  CHECK(TimeoutOf(breakers.GetAt(At(0s), "ccc")) == 3s);
  REQUIRE(breakers.Update({.breaker = {.timeout = 9s}}).ok());
  for (const char* key : {"a", "bb", "ccc", "dddd"}) {
    CHECK(TimeoutOf(breakers.GetAt(At(0s), key)) == 9s);
  }
}

TEST_CASE("what is refused changes nothing") {
  FakeClock clock;
  FakeClock other;
  KeyedCircuitBreaker breakers(
      {.breaker = {.timeout = 7s}, .max_keys = 5, .name = "hosts", .clock = &clock});
  for (const char* key : {"a", "b", "c"}) breakers.Get(key);
  const auto refused = [&](Options options) {
    CHECK(absl::IsInvalidArgument(breakers.Update(std::move(options))));
  };
  refused({.breaker = {.timeout = 0s}});
  refused({.max_keys = 0});
  refused({.name = "other"});
  refused({.clock = &other});
  refused({.breaker = {.clock = &other}});
  refused({.breaker = {.name = "other"}});
  refused({.options_for = [](std::string_view key) {
    return CircuitBreaker::Options{.timeout = key == "b" ? 0s : 1s};
  }});
  refused({.options_for = Answer({.name = "other"})});
  refused({.options_for = Answer({.clock = &other})});
  const auto throws = [](std::string_view key) -> CircuitBreaker::Options {
    if (key == "b") throw std::runtime_error("no idea");
    return {};
  };
  CHECK_THROWS_AS((void)breakers.Update({.options_for = throws}), std::runtime_error);
  for (const char* key : {"a", "b", "c", "d"}) CHECK(TimeoutOf(breakers.Get(key)) == 7s);
  CHECK(breakers.max_keys() == 5);
  CHECK(breakers.Update({.name = "hosts", .clock = &clock}).ok());
}

TEST_CASE("the same options change nothing of breakers by key") {
  KeyedCircuitBreaker breakers(
      {.breaker = {.interval = 1h, .bucket_period = 1min, .clock = nullptr}, .max_keys = 2});
  const auto a = breakers.GetAt(At(0s), "a");
  Record(*a, At(1s), Outcome::kFailure, 3);
  auto out = a->AdmitAt(At(1s));
  for (int i = 0; i < 3; ++i) REQUIRE(breakers.Update(breakers.options()).ok());
  out->DoneAt(At(2s), Outcome::kSuccess);
  CHECK(a->CountsAt(At(2s)).failures == 3);
  CHECK(a->CountsAt(At(2s)).successes == 1);
  CHECK(breakers.GetAt(At(2s), "a") == a);
  CHECK(breakers.keys().size() == 1);
}

TEST_CASE("fewer keys than there are: new ones find a place, and make the others fewer") {
  KeyedCircuitBreaker breakers({.breaker = Touchy(), .max_keys = 30});
  for (int i = 0; i < 30; ++i) breakers.GetAt(At(0s), Key(i));
  Record(*breakers.GetAt(At(0s), Key(3)), At(0s), Outcome::kFailure);
  REQUIRE(breakers.Update({.breaker = Touchy(), .max_keys = 4}).ok());
  CHECK(breakers.size() == 30);
  CHECK(breakers.max_keys() == 4);
  for (int i = 100; i < 104; ++i) {
    const std::int64_t before = breakers.size();
    CHECK(breakers.GetAt(At(1s), Key(i)) != nullptr);
    CHECK(breakers.size() <= std::max<std::int64_t>(before - 6, 4));
  }
  CHECK(breakers.size() == 4);
  CHECK(breakers.Find(Key(3)) != nullptr);
  CHECK(breakers.Find(Key(103)) != nullptr);
  REQUIRE(breakers.Update({.breaker = Touchy(), .max_keys = 5}).ok());
  CHECK(breakers.GetAt(At(1s), "more") != nullptr);
  CHECK(breakers.size() == 5);
}

TEST_CASE("what becomes of a key without room may change") {
  KeyedCircuitBreaker breakers({.breaker = Touchy(), .max_keys = 1});
  const auto held = breakers.GetAt(At(0s), "a");
  const auto call = [&] { return breakers.Execute("b", [] { return absl::OkStatus(); }); };
  CHECK(call().ok());
  REQUIRE(breakers.Update({.max_keys = 1, .when_full = WhenFull::kRefuse}).ok());
  CHECK(absl::IsUnavailable(call()));
  REQUIRE(breakers.Update({.max_keys = 1}).ok());
  CHECK(call().ok());
}

TEST_CASE("a key that is made while its options change has the new ones") {
  KeyedCircuitBreaker* all = nullptr;
  int asked = 0;
  KeyedCircuitBreaker breakers({.options_for = [&](std::string_view) {
    ++asked;
    REQUIRE(all->Update({.options_for = Answer({.timeout = 2s})}).ok());
    return CircuitBreaker::Options{.timeout = 1s};
  }});
  all = &breakers;
  CHECK(TimeoutOf(breakers.GetAt(At(0s), "a")) == 2s);
  CHECK(asked == 1);
}

TEST_CASE("a key that comes while an update is prepared has the new options from its next use on") {
  KeyedCircuitBreaker breakers({.breaker = Touchy()});
  breakers.GetAt(At(0s), "a");
  bool bad = true;
  const auto options_for = [&](std::string_view key) {
    if (key == "a") Record(*breakers.GetAt(At(0s), "late"), At(0s), Outcome::kFailure);
    return CircuitBreaker::Options{.timeout = key == "late" && bad ? 0s : 2s};
  };
  REQUIRE(breakers.Update({.options_for = options_for}).ok());
  CHECK(TimeoutOf(breakers.Find("a")) == 2s);
  CHECK_THROWS_AS(breakers.GetAt(At(1s), "late"), std::invalid_argument);
  bad = false;
  const auto late = breakers.GetAt(At(1s), "late");
  CHECK(TimeoutOf(late) == 2s);
  CHECK(late->StateAt(At(1s)) == kOpen);

  SECTION("or yet newer ones, if they change while it is asked") {
    const auto changes = [&](std::string_view key) {
      if (key == "a") breakers.GetAt(At(0s), "later");
      if (key == "later") REQUIRE(breakers.Update({.breaker = {.timeout = 4s}}).ok());
      return CircuitBreaker::Options{.timeout = 3s};
    };
    REQUIRE(breakers.Update({.options_for = changes}).ok());
    CHECK(TimeoutOf(breakers.GetAt(At(1s), "later")) == 4s);
    CHECK(TimeoutOf(breakers.GetAt(At(1s), "a")) == 4s);
  }
}

TEST_CASE("of two updates the one that is made last holds, whichever was prepared first") {
  KeyedCircuitBreaker breakers({});
  breakers.GetAt(At(0s), "a");
  auto first = breakers.PrepareUpdate({.breaker = {.timeout = 1s}});
  REQUIRE(first.ok());
  breakers.GetAt(At(0s), "b");
  REQUIRE(breakers.Update({.breaker = {.timeout = 2s}}).ok());
  breakers.GetAt(At(0s), "c");
  std::move (*first)();
  for (const char* key : {"a", "b", "c", "d"}) {
    CHECK(TimeoutOf(breakers.GetAt(At(0s), key)) == 1s);
  }
}

TEST_CASE("an update that is prepared keeps no key from being forgotten") {
  KeyedCircuitBreaker breakers({.max_keys = 1});
  breakers.GetAt(At(0s), "a");
  auto update = breakers.PrepareUpdate({.breaker = {.timeout = 1s}, .max_keys = 1});
  CHECK(TimeoutOf(breakers.GetAt(At(0s), "b")) == 60s);
  std::move (*update)();
  CHECK(breakers.Find("a") == nullptr);
  CHECK(TimeoutOf(breakers.GetAt(At(0s), "b")) == 1s);
}

// Asks the breakers when it is destroyed: possible only with nothing locked.
struct AsksAtItsEnd {
  AsksAtItsEnd(KeyedCircuitBreaker& b, int& c) : breakers(b), count(c) {}
  AsksAtItsEnd(const AsksAtItsEnd&) = delete;
  AsksAtItsEnd& operator=(const AsksAtItsEnd&) = delete;
  ~AsksAtItsEnd() {
    for (const std::string& key : breakers.keys()) (void)breakers.GetAt(At(0s), key);
    ++count;
  }

  KeyedCircuitBreaker& breakers;
  int& count;
};

TEST_CASE("what is replaced ends with nothing locked") {
  KeyedCircuitBreaker breakers({.max_keys = 10});
  int ended = 0;
  const auto update = [&](std::int64_t max_keys) {
    const auto object = std::make_shared<AsksAtItsEnd>(breakers, ended);
    CircuitBreaker::Options options;
    options.classify = [object](const absl::Status&) { return Outcome::kFailure; };
    const auto options_for = [object, options](std::string_view) { return options; };
    REQUIRE(breakers.Update({.options_for = options_for, .max_keys = max_keys}).ok());
  };
  update(10);
  for (int i = 0; i < 10; ++i) breakers.GetAt(At(0s), Key(i));
  update(10);
  CHECK(ended == 0);  // first versions live as long as their breakers do
  update(10);
  CHECK(ended == 1);
  update(2);
  CHECK(ended == 2);
  for (int i = 10; i < 14; ++i) breakers.GetAt(At(0s), Key(i));
  CHECK(breakers.size() == 2);
  REQUIRE(breakers.Update({.max_keys = 2}).ok());
  for (int i = 14; i < 18; ++i) breakers.GetAt(At(0s), Key(i));
  CHECK(ended == 4);
}

TEST_CASE("UpdateAll changes a KeyedCircuitBreaker, or refuses to") {
  auto breakers = std::make_shared<KeyedCircuitBreaker>(Options{.name = "hosts"});
  breakers->GetAt(At(0s), "a");
  const Stack stack{KeyedCircuitBreak(breakers), Timeout(4s)};
  CHECK(absl::IsInvalidArgument(
      UpdateAll(stack, Change(breakers, {.breaker = {.interval = 5s}, .max_keys = 7}))));
  CHECK(breakers->Find("a")->options().interval == 0s);
  CHECK(breakers->max_keys() == 10'000);
  CHECK(UpdateAll(stack, Change(breakers, {.breaker = {.interval = 10s}, .max_keys = 7})).ok());
  CHECK(breakers->Find("a")->options().interval == 10s);
  CHECK_THAT(stack.Describe(), test::ContainsSubstring("\"hosts\", up to 7 keys, window 10s"));
  CHECK(UpdateAll(stack, Change(breakers, {.options_for = Answer({.interval = 5s})})).ok());
}

TEST_CASE("whatever is done in whatever order, each key has the options of now") {
  test::Property(10, [] {
    const auto steps = *rc::gen::resize(100, rc::gen::arbitrary<std::vector<std::uint32_t>>());
    std::int64_t most = 4;
    Duration timeout = 60s;
    KeyedCircuitBreaker breakers({.breaker = Touchy(), .max_keys = most});
    REQUIRE(breakers.Update({.breaker = {.timeout = timeout}, .max_keys = most}).ok());
    std::vector<std::shared_ptr<CircuitBreaker>> held;
    std::int64_t size = 0;
    for (const std::uint32_t step : steps) {
      const std::uint32_t more = step / 8;
      if (step % 8 == 0) {
        most = 1 + more % 6;
        timeout = 1s * (1 + more / 6 % 100);
        CircuitBreaker::Options options = {.timeout = timeout};
        options.last_calls = more % 2;
        const Options all = {.breaker = options, .max_keys = most};
        const Options each = {.options_for = Answer(options), .max_keys = most};
        RC_ASSERT(breakers.Update(more % 5 == 0 ? each : all).ok());
      } else if (step % 8 == 1) {
        if (!held.empty()) held.erase(held.begin());
      } else {
        const auto breaker = breakers.GetAt(At(0s), Key(more % 9));
        if (breaker == nullptr) continue;
        RC_ASSERT(TimeoutOf(breaker) == timeout);
        if (step % 8 == 2) held.push_back(breaker);
        if (step % 8 == 3) breaker->SetModeAt(At(0s), static_cast<BreakerMode>(more / 9 % 4));
      }
      RC_ASSERT(breakers.size() <= std::max(size, most));
      size = breakers.size();
      for (const std::string& key : breakers.keys()) {
        RC_ASSERT(TimeoutOf(breakers.Find(key)) == timeout);
      }
    }
  });
}

// Meant for TSan as well.
TEST_CASE("threads come with keys while their options change, and no call is lost") {
  constexpr int kThreads = 3;
  constexpr int kCalls = 10'000;
  constexpr int kKeys = 20;
  KeyedCircuitBreaker breakers({.breaker = {.timeout = 1ns, .ready_to_trip = Never}});
  std::atomic<std::int64_t> version = 1;  // which all keys have, or a later one
  std::atomic<int> stale = 0;
  {
    const std::jthread updater([&](const std::stop_token& stop) {
      for (std::int64_t next = 2; !stop.stop_requested(); ++next) {
        CircuitBreaker::Options options = {.timeout = Duration(next), .ready_to_trip = Never};
        const Options all = {.breaker = options, .max_keys = 100 + next % 2};
        const Options each = {.options_for = Answer(options)};
        REQUIRE(breakers.Update(next % 3 == 0 ? each : all).ok());
        version = next;
        std::this_thread::yield();
      }
    });
    test::InThreads(kThreads, [&](int thread) {
      for (int i = 0; i < kCalls; ++i) {
        const std::int64_t least = version;
        const auto breaker = breakers.GetAt(At(0s), Key((thread + i) % kKeys));
        if (breaker->options().timeout < Duration(least)) ++stale;
        breaker->AdmitAt(At(0s))->DoneAt(At(0s), Outcome::kSuccess);
      }
    });
  }
  CHECK(stale == 0);
  std::uint64_t counted = 0;
  for (int i = 0; i < kKeys; ++i) {
    const auto breaker = breakers.GetAt(At(0s), Key(i));
    CHECK(breaker->options().timeout == Duration(version.load()));
    counted += breaker->CountsAt(At(0s)).successes;
  }
  CHECK(counted == std::uint64_t{kThreads} * kCalls);
}

}  // namespace
}  // namespace holdfast::keyed_circuit_breaker_update_test
