#include "holdfast/breaker/keyed_circuit_breaker.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/base/rejection.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::keyed_circuit_breaker_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;
using Keys = std::vector<std::string>;
using WhenFull = KeyedCircuitBreaker::WhenFull;

constexpr TimePoint At(Duration d) { return TimePoint{d}; }
Keys SortedKeys(const KeyedCircuitBreaker& breakers) {
  Keys keys = breakers.keys();
  std::ranges::sort(keys);
  return keys;
}
std::string Key(std::int64_t i) { return "key " + std::to_string(i); }

// Trips on the first failure.
CircuitBreaker::Options Touchy() {
  return {.timeout = 10s, .ready_to_trip = [](const BreakerCounts&) { return true; }};
}

KeyedCircuitBreaker::Options TouchyKeys(std::int64_t max_keys) {
  return {.breaker = Touchy(), .max_keys = max_keys};
}

void Record(CircuitBreaker& breaker, TimePoint now, Outcome outcome) {
  auto ticket = breaker.AdmitAt(now);
  REQUIRE(ticket.ok());
  ticket->DoneAt(now, outcome);
}

void Open(KeyedCircuitBreaker& breakers, TimePoint now, std::string_view key) {
  const auto breaker = breakers.GetAt(now, key);
  REQUIRE(breaker != nullptr);
  Record(*breaker, now, Outcome::kFailure);
  REQUIRE(breaker->StateAt(now) == BreakerState::kOpen);
}

TEST_CASE("each key has a breaker of its own") {
  KeyedCircuitBreaker breakers(TouchyKeys(100));
  Open(breakers, At(0s), "a");
  CHECK_FALSE(breakers.GetAt(At(1s), "a")->AdmitAt(At(1s)).ok());
  for (const char* key : {"b", "", "A", "a "}) {
    CHECK(breakers.GetAt(At(1s), key)->StateAt(At(1s)) == BreakerState::kClosed);
  }
  CHECK(breakers.GetAt(At(1s), std::string_view("a\0b", 3))->AdmitAt(At(1s)).ok());
  CHECK(breakers.GetAt(At(1s), "a") == breakers.Find("a"));
  CHECK(breakers.size() == 6);
}

TEST_CASE("a key is remembered once somebody gets it, and not by who looks for it") {
  KeyedCircuitBreaker breakers(TouchyKeys(3));
  CHECK(breakers.Find("a") == nullptr);
  CHECK(breakers.size() == 0);
  const auto a = breakers.Get("a");
  CHECK(breakers.Find("a") == a);
  breakers.Get("b");
  CHECK(SortedKeys(breakers) == Keys{"a", "b"});
  CHECK(breakers.size() == 2);
  CHECK(breakers.max_keys() == 3);
}

TEST_CASE("a key's breaker has its name, and the clock, unless it is given others") {
  FakeClock clock(At(5s));
  FakeClock other(At(100s));
  KeyedCircuitBreaker breakers({.options_for =
                                    [&](std::string_view key) {
                                      CircuitBreaker::Options options = Touchy();
                                      if (key == "special") options.name = "named";
                                      if (key == "special") options.clock = &other;
                                      return options;
                                    },
                                .name = "hosts",
                                .clock = &clock});
  CHECK(breakers.name() == "hosts");
  CHECK(breakers.Get("a")->name() == "hosts/a");
  CHECK(breakers.Get("special")->name() == "named");
  CHECK(KeyedCircuitBreaker({}).Get("a")->name() == "a");
  for (const char* key : {"a", "special"}) {
    breakers.Get(key)->Admit()->Done(Outcome::kFailure);
  }
  CHECK(breakers.Get("a")->last_trip()->at == At(5s));
  CHECK(breakers.Get("special")->last_trip()->at == At(100s));
}

TEST_CASE("Execute asks the key's breaker") {
  FakeClock clock;
  KeyedCircuitBreaker breakers({.breaker = Touchy(), .name = "hosts", .clock = &clock});
  const auto fail = [] { return absl::InternalError("down"); };
  const auto succeed = []() -> absl::StatusOr<int> { return 7; };
  const auto crash = []() -> absl::Status { throw std::runtime_error("crash"); };
  CHECK(breakers.Execute("a", fail).code() == absl::StatusCode::kInternal);
  const absl::Status refused = breakers.Execute("a", succeed).status();
  CHECK(refused.code() == absl::StatusCode::kUnavailable);
  CHECK(RejectionOf(refused)->kind == RejectionKind::kCircuitOpen);
  CHECK(RejectionOf(refused)->name == "hosts/a");
  CHECK(*breakers.Execute("b", succeed) == 7);
  CHECK_THROWS_AS(breakers.Execute("b", crash), std::runtime_error);
  CHECK(breakers.Find("b")->state() == BreakerState::kOpen);
}

TEST_CASE("the least recently used of the keys that may be forgotten goes") {
  KeyedCircuitBreaker breakers(TouchyKeys(3));
  for (const char* key : {"a", "b", "c"}) breakers.GetAt(At(0s), key);
  breakers.GetAt(At(0s), "a");
  breakers.Find("b");
  breakers.GetAt(At(0s), "d");
  CHECK(SortedKeys(breakers) == Keys{"a", "c", "d"});
  Open(breakers, At(0s), "c");
  Open(breakers, At(0s), "a");
  breakers.GetAt(At(0s), "e");
  breakers.GetAt(At(0s), "f");
  CHECK(breakers.size() == 3);
  CHECK(breakers.Find("a") != nullptr);
  CHECK(breakers.Find("c") != nullptr);
  CHECK(breakers.Find("f") != nullptr);
}

TEST_CASE("a key that comes back begins closed, with nothing counted") {
  KeyedCircuitBreaker breakers({.max_keys = 1});
  for (int i = 0; i < 5; ++i) Record(*breakers.GetAt(At(0s), "a"), At(0s), Outcome::kFailure);
  CHECK(breakers.Find("a")->CountsAt(At(0s)).failures == 5);
  breakers.GetAt(At(0s), "b");
  CHECK(breakers.Find("a") == nullptr);
  CHECK(breakers.GetAt(At(0s), "a")->CountsAt(At(0s)).requests == 0);
}

TEST_CASE("who cycles through keys makes it forget no open breaker, and takes no more memory") {
  constexpr std::int64_t kMaxKeys = 50;
  const auto token = std::make_shared<int>();
  CircuitBreaker::Options options = Touchy();
  options.timeout = 1h;
  options.on_state_change = [token](std::string_view, BreakerState, BreakerState) {};
  KeyedCircuitBreaker breakers({.breaker = options, .max_keys = kMaxKeys});
  const long idle_uses = token.use_count();  // NOLINT(google-runtime-int): as shared_ptr has it
  std::vector<CircuitBreaker*> opened;
  bool bounded = true;
  int no_room = 0;
  for (std::int64_t i = 0; i < 20'000; ++i) {
    const TimePoint now = At(i * 1ms);
    const auto breaker = breakers.GetAt(now, Key(i));
    if (breaker == nullptr) ++no_room;
    if (i % 500 == 0) {
      Record(*breaker, now, Outcome::kFailure);
      opened.push_back(breaker.get());
    }
    bounded = bounded && breakers.size() <= kMaxKeys &&
              token.use_count() <= idle_uses + 2 * kMaxKeys;  // there are two copies in each
  }
  CHECK(bounded);
  CHECK(no_room == 0);
  REQUIRE(opened.size() == 40);
  for (std::size_t i = 0; i < opened.size(); ++i) {
    const auto breaker = breakers.Find(Key(static_cast<std::int64_t>(i) * 500));
    REQUIRE(breaker.get() == opened[i]);
    CHECK(breaker->StateAt(At(20s)) == BreakerState::kOpen);
  }
}

TEST_CASE("new keys without room look at all others in turn, eight at a time") {
  KeyedCircuitBreaker breakers(TouchyKeys(20));
  for (int i = 0; i < 19; ++i) Open(breakers, At(0s), Key(i));
  breakers.GetAt(At(0s), "idle");
  CHECK(breakers.GetAt(At(0s), "new") == nullptr);  // 0 to 7
  CHECK(breakers.GetAt(At(0s), "new") == nullptr);  // 0 again, 8 to 14
  CHECK(breakers.Find("idle") != nullptr);
  CHECK(breakers.GetAt(At(0s), "new") != nullptr);  // 1 again, 15 to 18
  CHECK(breakers.Find("idle") == nullptr);
  CHECK(breakers.size() == 20);
}

TEST_CASE("a key that could not be forgotten goes soon after it can be") {
  constexpr int kOpen = 10;
  KeyedCircuitBreaker breakers(TouchyKeys(30));
  auto held = breakers.GetAt(At(0s), "held");
  for (int i = 0; i < kOpen; ++i) Open(breakers, At(0s), Key(-1 - i));
  int no_room = 0;
  int i = 0;
  for (; i < 100; ++i) no_room += breakers.GetAt(At(0s), Key(i)) == nullptr ? 1 : 0;
  CHECK(breakers.Find("held") == held);
  held.reset();
  const int released = i;
  for (; breakers.Find("held") != nullptr && i < 200; ++i) breakers.GetAt(At(0s), Key(i));
  CHECK(i - released <= kOpen + 1);
  CHECK(breakers.Find(Key(i - 18)) != nullptr);  // all but the open ones are the last used
  CHECK(no_room <= 1);
}

TEST_CASE("keys in trouble that are used all the time don't keep new ones out") {
  KeyedCircuitBreaker breakers(TouchyKeys(50));
  for (int i = 0; i < 45; ++i) Open(breakers, At(0s), Key(-1 - i));
  int no_room = 0;
  for (int i = 0; i < 5'000; ++i) {
    CHECK_FALSE(breakers.GetAt(At(1s), Key(-1 - i % 45))->AdmitAt(At(1s)).ok());
    if (breakers.GetAt(At(1s), Key(i)) == nullptr) ++no_room;
  }
  CHECK(no_room < 50);
  for (int i = 0; i < 45; ++i) CHECK(breakers.Find(Key(-1 - i)) != nullptr);
}

TEST_CASE("a breaker that somebody holds is not forgotten") {
  KeyedCircuitBreaker breakers(TouchyKeys(1));
  auto held = breakers.GetAt(At(0s), "a");
  auto ticket = held->AdmitAt(At(0s));
  CHECK(breakers.GetAt(At(0s), "b") == nullptr);
  CHECK(breakers.Find("a") == held);
  ticket->DoneAt(At(0s), Outcome::kSuccess);
  held.reset();
  CHECK(breakers.GetAt(At(0s), "b") != nullptr);
  CHECK(breakers.Find("a") == nullptr);
}

TEST_CASE("a breaker outlives the object for who holds it") {
  auto breakers = std::make_unique<KeyedCircuitBreaker>(TouchyKeys(1));
  const auto held = breakers->GetAt(At(0s), "a");
  breakers.reset();
  Record(*held, At(0s), Outcome::kFailure);
  CHECK(held->StateAt(At(0s)) == BreakerState::kOpen);
}

TEST_CASE("only a breaker that is closed by itself is forgotten, and it is asked in time") {
  CircuitBreaker::Options options = Touchy();
  options.ramp = {0.5};
  KeyedCircuitBreaker breakers({.breaker = options, .max_keys = 1});
  const auto room_at = [&](Duration at) { return breakers.GetAt(At(at), "new") != nullptr; };
  SECTION("open, then half-open") {
    Open(breakers, At(0s), "a");
    CHECK_FALSE(room_at(5s));
    CHECK_FALSE(room_at(1000s));
    CHECK(breakers.Find("a")->StateAt(At(1000s)) == BreakerState::kHalfOpen);
    CHECK_FALSE(room_at(2000s));
  }
  SECTION("recovering") {
    Open(breakers, At(0s), "a");
    Record(*breakers.Find("a"), At(11s), Outcome::kSuccess);
    Record(*breakers.Find("a"), At(11s), Outcome::kSuccess);
    CHECK_FALSE(room_at(20s));
    CHECK(room_at(22s));  // the ramp has ended, though nobody calls
    CHECK(breakers.Find("a") == nullptr);
  }
  SECTION("set by hand") {
    const auto mode =
        GENERATE(BreakerMode::kMetricsOnly, BreakerMode::kForcedOpen, BreakerMode::kForcedClosed);
    breakers.GetAt(At(0s), "a")->SetModeAt(At(0s), mode);
    CHECK_FALSE(room_at(1000s));
    CHECK(breakers.Find("a")->mode() == mode);
    breakers.Find("a")->ResetAt(At(1000s));
    CHECK(room_at(1000s));
  }
}

TEST_CASE("a breaker is looked at by the clock of who looks, or by its own") {
  FakeClock clock;
  KeyedCircuitBreaker breakers({.breaker = Touchy(), .max_keys = 1, .clock = &clock});
  Open(breakers, At(100s), "a");
  clock.Advance(50s);
  CHECK(breakers.Get("b") == nullptr);
  CHECK(breakers.GetAt(At(110s), "b") == nullptr);
  CHECK(breakers.Find("a")->retry_at() == At(110s + 1ns));
  clock.Advance(61s);
  CHECK(breakers.Get("b") == nullptr);
  CHECK(breakers.Find("a")->retry_at() == TimePoint::min());  // half-open
}

TEST_CASE("calls without room pass uncounted, or are refused") {
  FakeClock clock;
  const auto when_full = GENERATE(WhenFull::kAdmit, WhenFull::kRefuse);
  KeyedCircuitBreaker breakers({.breaker = Touchy(),
                                .max_keys = 1,
                                .when_full = when_full,
                                .name = "hosts",
                                .clock = &clock});
  breakers.Execute("a", [] { return absl::InternalError("down"); }).IgnoreError();
  int runs = 0;
  const auto run = [&]() -> absl::StatusOr<int> {
    ++runs;
    return absl::InternalError("down");
  };
  for (int i = 0; i < 3; ++i) {
    const absl::Status status = breakers.Execute("b", run).status();
    if (when_full == WhenFull::kAdmit) {
      CHECK(status.code() == absl::StatusCode::kInternal);
    } else {
      CHECK(status.code() == absl::StatusCode::kUnavailable);
      CHECK_THAT(std::string(status.message()), test::ContainsSubstring("hosts: no room"));
      REQUIRE(RejectionOf(status));
      CHECK(RejectionOf(status)->policy == "KeyedCircuitBreak");
      CHECK(RejectionOf(status)->name == "hosts");
    }
  }
  CHECK(runs == (when_full == WhenFull::kAdmit ? 3 : 0));
  CHECK(breakers.keys() == Keys{"a"});
}

TEST_CASE("for a key that is too long there is no room") {
  KeyedCircuitBreaker breakers({});
  CHECK(breakers.Get(std::string(KeyedCircuitBreaker::kMaxKeyBytes, 'k')) != nullptr);
  CHECK(breakers.Get(std::string(KeyedCircuitBreaker::kMaxKeyBytes + 1, 'k')) == nullptr);
  CHECK(breakers.size() == 1);
}

TEST_CASE("a function says what a key's options are, once while it is remembered") {
  Keys asked;
  KeyedCircuitBreaker breakers({.options_for =
                                    [&](std::string_view key) {
                                      asked.emplace_back(key);
                                      CircuitBreaker::Options options = Touchy();
                                      if (key == "slow") options.timeout = 1h;
                                      return options;
                                    },
                                .max_keys = 1});
  Open(breakers, At(0s), "slow");
  CHECK(breakers.Find("slow")->retry_at() == At(1h + 1ns));
  breakers.GetAt(At(0s), "slow");
  CHECK(asked == Keys{"slow"});
  CHECK(breakers.GetAt(At(0s), "b") == nullptr);
  CHECK(asked == Keys{"slow"});  // without room there is nothing to ask for
  breakers.Find("slow")->ResetAt(At(0s));
  CHECK(breakers.GetAt(At(0s), "b") != nullptr);
  CHECK(breakers.GetAt(At(0s), "slow") != nullptr);
  CHECK(asked == Keys{"slow", "b", "slow"});
}

TEST_CASE(
    "what options_for throws passes, as do options that make no sense, and nothing happened") {
  KeyedCircuitBreaker breakers({.options_for =
                                    [](std::string_view key) {
                                      if (key == "unknown") throw std::out_of_range("who?");
                                      CircuitBreaker::Options options = Touchy();
                                      if (key == "wrong") options.max_requests = 0;
                                      return options;
                                    },
                                .max_keys = 1});
  CHECK_THROWS_AS(breakers.Get("unknown"), std::out_of_range);
  CHECK_THROWS_AS(breakers.Get("wrong"), std::invalid_argument);
  CHECK(breakers.size() == 0);
  const CircuitBreaker* const known = breakers.Get("known").get();
  CHECK_THROWS_AS(breakers.Get("unknown"), std::out_of_range);
  CHECK_THROWS_AS(breakers.Execute("wrong", [] { return absl::OkStatus(); }),
                  std::invalid_argument);
  CHECK(breakers.keys() == Keys{"known"});
  CHECK(breakers.Find("known").get() == known);
  CHECK(breakers.Get("another") != nullptr);
}

TEST_CASE("options_for may call back, even for the key that it is asked about") {
  KeyedCircuitBreaker* self = nullptr;
  bool asked = false;
  KeyedCircuitBreaker breakers({.options_for =
                                    [&](std::string_view key) {
                                      if (!std::exchange(asked, true)) {
                                        self->Get("parent");
                                        self->Get(key);
                                      }
                                      return Touchy();
                                    },
                                .max_keys = 2});
  self = &breakers;
  const auto child = breakers.Get("child");
  CHECK(child == breakers.Find("child"));
  CHECK(breakers.size() == 2);
}

// What it does when it is told of a change is set once there is something to call back.
struct Observed {
  explicit Observed(CircuitBreaker::Options options, std::int64_t max_keys)
      : breakers([&] {
          options.on_state_change = [this](std::string_view name, BreakerState, BreakerState to) {
            told.emplace_back(name);
            if (then) then(name, to);
          };
          return KeyedCircuitBreaker::Options{.breaker = options, .max_keys = max_keys};
        }()) {}

  Keys told;
  std::function<void(std::string_view, BreakerState)> then;
  KeyedCircuitBreaker breakers;
};

TEST_CASE("who is told of a change while room is made may call back") {
  Observed observed(Touchy(), 2);
  KeyedCircuitBreaker& breakers = observed.breakers;
  Open(breakers, At(0s), "a");
  Open(breakers, At(0s), "b");
  observed.told.clear();
  Keys keys;
  std::shared_ptr<CircuitBreaker> found;
  std::shared_ptr<CircuitBreaker> nested;
  observed.then = [&](std::string_view name, BreakerState) {
    keys = breakers.keys();
    found = breakers.Find(name);
    nested = breakers.GetAt(At(11s), "nested");
    throw std::runtime_error("dropped");
  };
  CHECK(breakers.GetAt(At(11s), "c") == nullptr);
  CHECK(observed.told == Keys{"a", "b"});
  CHECK(keys.size() == 2);
  CHECK(found != nullptr);
  CHECK(nested == nullptr);
  CHECK(found->StateAt(At(11s)) == BreakerState::kHalfOpen);
}

TEST_CASE("a breaker that a callback gets, or does something to, is not forgotten") {
  CircuitBreaker::Options options = Touchy();
  options.ramp = {0.5};
  Observed observed(options, 1);
  KeyedCircuitBreaker& breakers = observed.breakers;
  Open(breakers, At(0s), "a");
  Record(*breakers.Find("a"), At(11s), Outcome::kSuccess);
  Record(*breakers.Find("a"), At(11s), Outcome::kSuccess);
  SECTION("it stays open though nobody holds it") {
    observed.then = [&](std::string_view name, BreakerState to) {
      if (to == BreakerState::kClosed) Record(*breakers.Find(name), At(22s), Outcome::kFailure);
    };
    CHECK(breakers.GetAt(At(22s), "b") == nullptr);
    CHECK(breakers.Find("a")->StateAt(At(22s)) == BreakerState::kOpen);
  }
  SECTION("the new key is made meanwhile") {
    // Without the room for it that is being made.
    observed.then = [&](std::string_view, BreakerState) { breakers.GetAt(At(22s), "b"); };
    const auto b = breakers.GetAt(At(22s), "b");
    CHECK(b != nullptr);
    CHECK(breakers.keys() == Keys{"b"});
  }
}

TEST_CASE("open_time may call back while room is made") {
  KeyedCircuitBreaker* self = nullptr;
  std::size_t seen = 0;
  CircuitBreaker::Options options = Touchy();
  options.open_time = [&](std::uint64_t) -> Duration {
    seen = self->keys().size();
    return 20s;
  };
  KeyedCircuitBreaker breakers({.breaker = options, .max_keys = 1});
  self = &breakers;
  Open(breakers, At(0s), "a");
  auto hung = breakers.Find("a")->AdmitAt(At(21s));
  REQUIRE(hung.ok());
  seen = 0;
  CHECK(breakers.GetAt(At(32s), "b") == nullptr);  // and so finds that the probe has hung
  CHECK(seen == 1);
  CHECK(breakers.Find("a")->StateAt(At(32s)) == BreakerState::kOpen);
}

TEST_CASE("the destructor of what a forgotten breaker held may call back") {
  struct CallsBack {
    explicit CallsBack(std::function<void()> call) : at_end(std::move(call)) {}
    CallsBack(const CallsBack&) = delete;
    CallsBack& operator=(const CallsBack&) = delete;
    ~CallsBack() { at_end(); }
    std::function<void()> at_end;
  };
  std::vector<Keys> seen;
  KeyedCircuitBreaker* self = nullptr;
  {
    KeyedCircuitBreaker breakers({.options_for =
                                      [&](std::string_view) {
                                        CircuitBreaker::Options options = Touchy();
                                        const auto last = std::make_shared<CallsBack>([&] {
                                          if (self) seen.push_back(self->keys());
                                        });
                                        options.on_state_change =
                                            [last](std::string_view, BreakerState, BreakerState) {};
                                        return options;
                                      },
                                  .max_keys = 1});
    self = &breakers;
    breakers.Get("a");
    breakers.Get("b");
    CHECK(seen == std::vector<Keys>{{"b"}});
    self = nullptr;
  }
  CHECK(seen.size() == 1);
}

TEST_CASE("breakers by key refuse options that make no sense") {
  CHECK_THROWS_WITH(KeyedCircuitBreaker({.max_keys = 0, .name = "hosts"}),
                    "KeyedCircuitBreaker hosts: max_keys must be in [1, 2^30], not 0");
  CHECK_FALSE(Validate(KeyedCircuitBreaker::Options{.max_keys = (1LL << 30) + 1}).ok());
  CHECK_THROWS_WITH(KeyedCircuitBreaker({.breaker = {.max_requests = 0}}),
                    test::ContainsSubstring("max_requests must be >= 1"));
  CHECK(Validate(KeyedCircuitBreaker::Options{}).ok());
}

TEST_CASE("threads that want the same key at once get one breaker") {
  constexpr int kThreads = 4;
  constexpr int kRounds = 200;
  KeyedCircuitBreaker breakers(TouchyKeys(kRounds));
  std::vector<std::array<std::shared_ptr<CircuitBreaker>, kThreads>> got(kRounds);
  test::InThreads(kThreads, [&](int thread) {
    for (int i = 0; i < kRounds; ++i) {
      got[static_cast<std::size_t>(i)][static_cast<std::size_t>(thread)] = breakers.Get(Key(i));
    }
  });
  bool one = true;
  for (const auto& breaker : got) {
    for (const auto& other : breaker) one = one && other != nullptr && other == breaker[0];
  }
  CHECK(one);
  CHECK(breakers.size() == kRounds);
}

TEST_CASE("threads that make room forget neither who is held nor who is open") {
  constexpr std::int64_t kMaxKeys = 40;
  KeyedCircuitBreaker breakers(TouchyKeys(kMaxKeys));
  std::vector<CircuitBreaker*> opened;
  for (int i = 0; i < 5; ++i) {
    Open(breakers, At(0s), Key(-1 - i));
    opened.push_back(breakers.Find(Key(-1 - i)).get());
  }
  std::atomic<int> lost = 0;
  std::atomic<int> too_many = 0;
  std::atomic<int> no_room = 0;
  test::InThreads(4, [&](int thread) {
    for (int i = 0; i < 2'000; ++i) {
      const std::string key = Key((i * (thread + 3)) % 100);
      const auto held = breakers.GetAt(At(1s), key);
      breakers.GetAt(At(1s), Key(1000 + i));
      if (held == nullptr) {
        no_room.fetch_add(1, std::memory_order_relaxed);
      } else if (breakers.Find(key) != held) {
        lost.fetch_add(1, std::memory_order_relaxed);
      }
      if (breakers.size() > kMaxKeys) too_many.fetch_add(1, std::memory_order_relaxed);
    }
  });
  CHECK(lost == 0);
  CHECK(too_many == 0);
  CHECK(no_room <= 10);  // where the others hold, or look at, just those that it looks at
  for (int i = 0; i < 5; ++i) {
    REQUIRE(breakers.Find(Key(-1 - i)).get() == opened[static_cast<std::size_t>(i)]);
    CHECK(opened[static_cast<std::size_t>(i)]->StateAt(At(1s)) == BreakerState::kOpen);
  }
}

TEST_CASE("a breaker that opens while another thread looks at it is not forgotten") {
  KeyedCircuitBreaker breakers(TouchyKeys(2));
  std::atomic<int> forgotten = 0;
  test::InThreads(3, [&](int thread) {
    for (int i = 0; i < 2'000; ++i) {
      if (thread > 0) {
        breakers.GetAt(At(0s), thread == 1 ? Key(i) : Key(-1 - i));
        continue;
      }
      auto breaker = breakers.GetAt(At(0s), "a");
      if (breaker == nullptr) continue;
      if (auto ticket = breaker->AdmitAt(At(0s)); ticket.ok()) {
        ticket->DoneAt(At(0s), Outcome::kFailure);
      }
      const CircuitBreaker* const opened = breaker.get();
      breaker.reset();
      for (int j = 0; j < 10; ++j) {
        if (breakers.Find("a").get() != opened) forgotten.fetch_add(1, std::memory_order_relaxed);
      }
      if (auto same = breakers.Find("a")) same->ResetAt(At(0s));
    }
  });
  CHECK(forgotten == 0);
  CHECK(breakers.size() <= 2);
}

}  // namespace
}  // namespace holdfast::keyed_circuit_breaker_test
