#include "holdfast/base/internal/keyed.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/time.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::internal::keyed_test {
namespace {

using namespace std::chrono_literals;
using Keys = std::vector<std::string>;

std::string Key(std::int64_t i) { return "key " + std::to_string(i); }

// An object that is idle while it is off. Its option is its power.
struct Lamp {
  explicit Lamp(int w) : watts(w) {}
  Lamp(const Lamp&) = delete;
  Lamp& operator=(const Lamp&) = delete;
  ~Lamp() {
    if (at_end) at_end();
  }

  std::atomic<int> watts;
  std::atomic<bool> on = false;
  std::function<void()> at_end;
};

// Calls `f` when it is called first.
template <class F>
auto Once(F f) {
  return [f, called = false](const auto&...) mutable {
    if (!std::exchange(called, true)) f();
  };
}

// Refuses less than none.
absl::StatusOr<Commit> PrepareLamp(Lamp& lamp, int watts) {
  if (watts < 0) return absl::InvalidArgumentError("watts must be >= 0");
  return Commit([&lamp, watts] { lamp.watts = watts; });
}

// The `at_` functions are called before a lamp is made, examined or updated.
struct Lamps {
  explicit Lamps(std::int64_t max_keys)
      : table(max_keys, {.make =
                             [this](std::string_view key) {
                               const int made_with = watts;
                               made.fetch_add(1);
                               if (at_make) at_make(key);
                               auto lamp = std::make_shared<Lamp>(made_with);
                               lamp->at_end = at_end;
                               return lamp;
                             },
                         .idle =
                             [this](Lamp& lamp, std::optional<TimePoint> now) {
                               examined.fetch_add(1);
                               const bool idle = !lamp.on;
                               if (at_idle) at_idle(lamp, now);
                               return idle;
                             },
                         .update =
                             [this](Lamp& lamp, std::string_view key) {
                               const int present = watts;
                               if (at_update) at_update(key);
                               return PrepareLamp(lamp, present);
                             }}) {}

  std::shared_ptr<Lamp> Get(std::string_view key) { return table.Get(key, std::nullopt); }
  // Gets the key's lamp, switches it on or off, and lets it go.
  void Switch(std::string_view key, bool on) { Get(key)->on = on; }
  bool Has(std::string_view key) const { return table.Find(key) != nullptr; }
  Keys SortedKeys() const {
    Keys keys = table.keys();
    std::ranges::sort(keys);
    return keys;
  }

  absl::StatusOr<Commit> PrepareUpdate(int next, std::int64_t max_keys = 10) {
    const auto prepare = [this, next](std::string_view key) {
      if (at_update) at_update(key);
      return [next](Lamp& lamp) { return PrepareLamp(lamp, next); };
    };
    return table.PrepareUpdate(max_keys, prepare, [this, next] { watts = next; });
  }
  absl::Status Update(int next, std::int64_t max_keys = 10) {
    return CommitNow(PrepareUpdate(next, max_keys));
  }

  std::function<void(std::string_view key)> at_make;
  std::function<void(Lamp&, std::optional<TimePoint>)> at_idle;
  std::function<void(std::string_view key)> at_update;
  std::function<void()> at_end;  // of each lamp that is made from now on
  std::atomic<int> watts = 1;
  std::atomic<int> made = 0;
  std::atomic<int> examined = 0;
  Keyed<Lamp> table;
};

TEST_CASE("a key has an object from its first use on") {
  Lamps lamps(3);
  CHECK_FALSE(lamps.Has("a"));
  CHECK(lamps.made == 0);
  const auto a = lamps.Get("a");
  CHECK(lamps.Get("a") == a);
  CHECK(lamps.table.Find("a") == a);
  CHECK(lamps.Get("") != a);
  CHECK(lamps.Get(std::string_view("a\0", 2)) != a);
  CHECK(lamps.made == 3);
  CHECK(lamps.examined == 0);
  CHECK(lamps.SortedKeys() == Keys{"", "a", std::string("a\0", 2)});
  CHECK(lamps.table.size() == 3);
  CHECK(lamps.table.max_keys() == 3);
}

TEST_CASE("an idle object gives way to a new key's, the least recently used first") {
  Lamps lamps(3);
  for (const char* key : {"a", "b", "c", "a"}) lamps.Get(key);
  CHECK(lamps.Has("b"));  // which is no use
  lamps.Get("d");
  CHECK(lamps.SortedKeys() == Keys{"a", "c", "d"});
  lamps.Get("e");
  CHECK(lamps.SortedKeys() == Keys{"a", "d", "e"});
  lamps.Get("f");
  CHECK(lamps.SortedKeys() == Keys{"d", "e", "f"});
}

TEST_CASE("an object that is busy or that somebody holds does not give way") {
  Lamps lamps(3);
  lamps.Switch("busy", true);
  auto held = lamps.Get("held");
  std::weak_ptr<Lamp> weak = lamps.Get("weak");
  SECTION("but others do") {
    for (int i = 0; i < 100; ++i) CHECK(lamps.Get(Key(i)) != nullptr);
    CHECK(lamps.SortedKeys() == Keys{"busy", "held", Key(99)});
  }
  SECTION("nor is one examined that somebody holds") {
    const auto busy = lamps.Get("busy");
    const auto third = weak.lock();
    CHECK(lamps.Get("new") == nullptr);
    CHECK(lamps.examined == 0);
  }
  SECTION("nor does one that somebody gets while it is examined") {
    std::shared_ptr<Lamp> again;
    lamps.at_idle = [&](Lamp& lamp, std::optional<TimePoint>) {
      if (!lamp.on) again = weak.lock();
    };
    CHECK(lamps.Get("new") == nullptr);
    CHECK(again == lamps.table.Find("weak"));
  }
  SECTION("nor does one that somebody switches on while it is examined") {
    lamps.at_idle = [&](Lamp& lamp, std::optional<TimePoint>) {
      if (!lamp.on) lamps.Switch("weak", true);
    };
    CHECK(lamps.Get("new") == nullptr);
    CHECK(lamps.table.Find("weak")->on);
  }
  SECTION("for as long as it is") {
    lamps.Switch("weak", true);
    CHECK(lamps.Get("new") == nullptr);
    CHECK(lamps.made == 3);  // without room nothing is made
    SECTION("busy") { lamps.Switch("busy", false); }
    SECTION("held") { held.reset(); }
    CHECK(lamps.Get("new") != nullptr);
    CHECK(lamps.table.size() == 3);
  }
}

TEST_CASE("a new key without room examines eight keys, and the next one those that follow") {
  Lamps lamps(20);
  for (int i = 0; i < 19; ++i) lamps.Switch(Key(i), true);
  lamps.Get("idle");
  for (int i = 1; i <= 2; ++i) {
    CHECK(lamps.Get("new") == nullptr);
    CHECK(lamps.examined == 8 * i);
  }
  CHECK(lamps.Has("idle"));
  CHECK(lamps.Get("new") != nullptr);
  CHECK(lamps.examined <= 8 * 3);
  CHECK_FALSE(lamps.Has("idle"));
}

TEST_CASE("an object that was busy when it was examined gives way soon after it is idle") {
  constexpr int kBusy = 10;
  Lamps lamps(30);
  for (int i = 0; i < kBusy; ++i) lamps.Switch(Key(i), true);
  int next = 100;
  const int last = 200 + GENERATE(range(0, 30));
  while (next < last) lamps.Get(Key(next++));
  REQUIRE(lamps.table.Find(Key(3))->on);
  lamps.table.Find(Key(3))->on = false;
  for (int i = 0; i <= kBusy; ++i) lamps.Get(Key(next++));
  CHECK_FALSE(lamps.Has(Key(3)));
  CHECK(lamps.Has(Key(next - 20)));  // the others are the last used
}

TEST_CASE("an object is examined at the time that Get was given") {
  Lamps lamps(1);
  std::vector<std::optional<TimePoint>> times;
  lamps.at_idle = [&](Lamp&, std::optional<TimePoint> now) { times.push_back(now); };
  lamps.table.Get("a", TimePoint(1s));
  lamps.table.Get("b", TimePoint(2s));
  lamps.table.Get("c", std::nullopt);
  CHECK(times == std::vector<std::optional<TimePoint>>{TimePoint(2s), std::nullopt});
}

TEST_CASE("what a function throws passes, and the keys stay as they are") {
  Lamps lamps(2);
  lamps.Get("a");
  const auto fail = [](const auto&...) { throw std::runtime_error("no"); };
  SECTION("make") {
    lamps.at_make = fail;
    CHECK_THROWS_AS(lamps.Get("b"), std::runtime_error);
    CHECK(lamps.SortedKeys() == Keys{"a"});
    lamps.at_make = nullptr;
    lamps.Get("b");
    lamps.at_make = fail;
    CHECK_THROWS_AS(lamps.Get("c"), std::runtime_error);
  }
  SECTION("idle") {
    lamps.Get("b");
    lamps.at_idle = fail;
    CHECK_THROWS_AS(lamps.Get("c"), std::runtime_error);
  }
  SECTION("update") {
    lamps.Get("b");
    lamps.at_update = fail;
    CHECK_THROWS_AS((void)lamps.Update(2), std::runtime_error);
    CHECK(lamps.Get("a")->watts == 1);
  }
  CHECK(lamps.SortedKeys() == Keys{"a", "b"});
  lamps.at_make = lamps.at_update = nullptr;
  lamps.at_idle = nullptr;
  CHECK(lamps.Get("c") != nullptr);
  CHECK(lamps.table.size() == 2);
}

TEST_CASE("make may use the table, even for the key that it makes an object for") {
  Lamps lamps(2);
  std::shared_ptr<Lamp> inner;
  lamps.at_make = Once([&] {
    lamps.Get("parent");
    inner = lamps.Get("child");
  });
  CHECK(lamps.Get("child") == inner);
  CHECK(lamps.made == 3);
  CHECK(lamps.SortedKeys() == Keys{"child", "parent"});
}

TEST_CASE("an update reaches known keys at once, whoever holds their objects, and new ones") {
  Lamps lamps(10);
  const auto a = lamps.Get("a");
  lamps.Get("b");
  REQUIRE(lamps.Update(60, 5).ok());
  CHECK(a->watts == 60);
  CHECK(lamps.table.Find("b")->watts == 60);
  CHECK(lamps.Get("c")->watts == 60);
  CHECK(lamps.table.max_keys() == 5);
  CHECK(lamps.table.size() == 3);
}

TEST_CASE("an update that an object refuses changes nothing") {
  Lamps lamps(10);
  lamps.Get("a");
  CHECK(absl::IsInvalidArgument(lamps.Update(-1, 5)));
  CHECK(lamps.table.Find("a")->watts == 1);
  CHECK(lamps.Get("b")->watts == 1);
  CHECK(lamps.table.max_keys() == 10);
}

TEST_CASE("a key that comes while an update is prepared is updated when it is next used") {
  Lamps lamps(10);
  auto update = lamps.PrepareUpdate(60);
  REQUIRE(update.ok());
  const auto late = lamps.Get("late");
  std::move (*update)();
  CHECK(late->watts == 1);
  SECTION("once") {
    int updated = 0;
    lamps.at_update = [&](std::string_view) { ++updated; };
    for (int i = 0; i < 3; ++i) CHECK(lamps.Get("late") == late);
    CHECK(late->watts == 60);
    CHECK(updated == 1);
  }
  SECTION("unless it refuses") {
    lamps.watts = -1;
    CHECK_THROWS_WITH(lamps.Get("late"), "watts must be >= 0");
    lamps.watts = 60;
    CHECK(lamps.Get("late")->watts == 60);
  }
  SECTION("and again if the options change meanwhile") {
    lamps.at_update = Once([&] { REQUIRE(lamps.Update(100).ok()); });
    CHECK(lamps.Get("late")->watts == 100);
  }
}

TEST_CASE("an object that is made while the options change has the new ones") {
  Lamps lamps(10);
  lamps.at_make = Once([&] { REQUIRE(lamps.Update(60).ok()); });
  CHECK(lamps.Get("a")->watts == 60);
  CHECK(lamps.made == 2);
}

TEST_CASE("of two updates of the table the one that is made last holds") {
  Lamps lamps(10);
  lamps.Get("a");
  auto first = lamps.PrepareUpdate(60);
  REQUIRE(first.ok());
  lamps.Get("b");
  REQUIRE(lamps.Update(100).ok());
  std::move (*first)();
  for (const char* key : {"a", "b", "c"}) CHECK(lamps.Get(key)->watts == 60);
}

TEST_CASE("an update does not undo one that is made meanwhile") {
  Lamps lamps(10);
  for (const char* key : {"a", "b"}) lamps.Get(key);
  auto ends = std::make_shared<Lamp>(0);  // with the first commit
  ends->at_end = [&] { CHECK(lamps.Update(100).ok()); };
  const auto prepare = [&](std::string_view) {
    return [&](Lamp& lamp) -> absl::StatusOr<Commit> {
      return Commit([&lamp, held = std::exchange(ends, nullptr)] { lamp.watts = 60; });
    };
  };
  REQUIRE(CommitNow(lamps.table.PrepareUpdate(10, prepare, [&] { lamps.watts = 60; })).ok());
  for (const char* key : {"a", "b"}) CHECK(lamps.table.Find(key)->watts == 100);
}

TEST_CASE("an update for an object that gives way is none for the next one of its key") {
  Lamps lamps(4);
  for (const char* key : {"a", "b", "c", "d"}) lamps.Get(key);
  REQUIRE(lamps.Update(1, 3).ok());
  auto update = lamps.PrepareUpdate(60, 3);
  auto update_now = Once([&] {
    lamps.Get("a");  // whose former object has not ended yet
    std::move (*update)();
  });
  lamps.at_idle = [&](Lamp&, std::optional<TimePoint>) {
    const Keys keys = lamps.table.keys();
    if (std::ranges::find(keys, "a") == keys.end()) update_now();
  };
  lamps.Get("new");
  REQUIRE(lamps.watts == 60);
  CHECK(lamps.Get("a")->watts == 60);
}

TEST_CASE("an update of the table keeps no key from being forgotten while it is prepared") {
  Lamps lamps(1);
  lamps.Get("a");
  lamps.at_update = [&](std::string_view) { CHECK(lamps.Get("b") != nullptr); };
  auto update = lamps.PrepareUpdate(60, 1);
  REQUIRE(update.ok());
  CHECK(lamps.SortedKeys() == Keys{"b"});
  lamps.at_update = nullptr;
  update = lamps.PrepareUpdate(100, 1);
  lamps.Get("a");
  lamps.Get("b");  // another object than before
  std::move (*update)();
  CHECK(lamps.table.Find("b")->watts == 1);
  CHECK(lamps.Get("b")->watts == 100);
}

TEST_CASE("new keys forget those beyond a lowered max_keys, eight at a time, but no busy ones") {
  Lamps lamps(30);
  for (int i = 0; i < 30; ++i) lamps.Get(Key(i));
  lamps.Switch(Key(0), true);
  const auto held = lamps.Get(Key(1));
  REQUIRE(lamps.Update(1, 4).ok());
  CHECK(lamps.table.size() == 30);
  CHECK(lamps.Get(Key(2)) != nullptr);
  CHECK(lamps.table.size() == 30);  // which a known key does not
  for (int i = 30; lamps.table.size() > 4; ++i) {
    const int before = lamps.examined;
    const std::int64_t size = lamps.table.size();
    REQUIRE(lamps.Get(Key(i)) != nullptr);
    CHECK(lamps.examined - before <= 8);
    CHECK(lamps.table.size() < size);
  }
  CHECK(lamps.table.size() == 4);
  CHECK(lamps.Has(Key(0)));
  CHECK(lamps.table.Find(Key(1)) == held);
  REQUIRE(lamps.Update(1, 5).ok());
  CHECK(lamps.Get("more") != nullptr);
  CHECK(lamps.table.size() == 5);
}

TEST_CASE("objects end with nothing locked") {
  int ended = 0;
  Lamps lamps(1);
  lamps.at_end = [&] {
    lamps.table.keys();
    ++ended;
  };
  SECTION("to make room") {
    lamps.Get("a");
    lamps.Get("b");
    CHECK(ended == 1);
  }
  SECTION("beyond a lowered max_keys") {
    REQUIRE(lamps.Update(1, 8).ok());
    for (int i = 0; i < 8; ++i) lamps.Get(Key(i));
    REQUIRE(lamps.Update(1, 1).ok());
    lamps.Get("new");
    CHECK(ended == 8);
  }
  SECTION("made for a key that got another one meanwhile") {
    lamps.at_make = Once([&] { lamps.Get("a"); });
    lamps.Get("a");
    CHECK(ended == 1);
  }
  SECTION("made with options that were replaced meanwhile") {
    lamps.at_make = Once([&] { REQUIRE(lamps.Update(60).ok()); });
    lamps.Get("a");
    CHECK(ended == 1);
  }
  REQUIRE(lamps.Update(1, 100).ok());
  for (const std::string& key : lamps.table.keys()) lamps.Get(key)->at_end = nullptr;
}

TEST_CASE("an object outlives the table for who holds it") {
  auto lamps = std::make_unique<Lamps>(1);
  const auto held = lamps->Get("a");
  lamps.reset();
  CHECK(held->watts == 1);
}

// Meant for TSan as well.
TEST_CASE("threads get, forget and update objects, and none that is busy or held is lost") {
  constexpr int kThreads = 3;
  constexpr int kRounds = 3'000;
  constexpr std::int64_t kMostKeys = 9;
  Lamps lamps(kMostKeys);
  std::atomic<int> version = 1;  // which each object that Get returns has, or a later one
  std::atomic<int> lost = 0;
  std::atomic<int> stale = 0;
  std::atomic<int> too_many = 0;
  {
    const std::jthread updater([&](const std::stop_token& stop) {
      for (int next = 2; !stop.stop_requested(); ++next) {
        if (lamps.Update(next, kMostKeys - next % 2).ok()) version = next;
        std::this_thread::yield();
      }
    });
    test::InThreads(kThreads, [&](int thread) {
      const std::string own = "own " + std::to_string(thread);
      for (int i = 0; i < kRounds; ++i) {
        const int least = version;
        auto lamp = lamps.Get(own);
        if (lamp == nullptr) continue;  // the others examine or hold the keys that it examined
        if (lamp->watts < least) ++stale;
        lamp->on = true;
        const Lamp* const busy = lamp.get();
        lamp.reset();
        const std::string shared = Key((i * (thread + 3)) % 20);
        const auto held = lamps.Get(shared);
        lamps.Get(Key(100 + i));
        if (held != nullptr && lamps.table.Find(shared) != held) ++lost;
        lamp = lamps.table.Find(own);
        if (lamp.get() != busy) ++lost;
        if (lamp != nullptr) lamp->on = false;
        if (lamps.table.size() > kMostKeys) ++too_many;
      }
    });
  }
  CHECK(lost == 0);
  CHECK(stale == 0);
  CHECK(too_many == 0);
  for (const std::string& key : lamps.table.keys()) CHECK(lamps.Get(key)->watts == version);
}

}  // namespace
}  // namespace holdfast::internal::keyed_test
