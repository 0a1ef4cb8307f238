#include "src/http/net/connect_race.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "test/support/catch.h"
#include "test/support/rapidcheck.h"

namespace holdfast::http::internal::connect_race_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

using Action = ConnectRace::Action;

const TimePoint kStart = TimePoint(1h);

std::vector<Address> Addresses(std::size_t n) {
  std::vector<Address> addresses;
  for (std::size_t i = 1; i <= n; ++i) {
    addresses.push_back(*Address::Parse("127.0.0.1", static_cast<int>(i)));
  }
  return addresses;
}

// All steps up to the one that is a wait or the end: "start 0, start 1, wait 250". Times are in
// milliseconds after the start.
std::string Steps(ConnectRace& race, Duration at) {
  std::string text;
  for (;;) {
    const ConnectRace::Step step = race.Next(kStart + at);
    const std::string attempt = std::to_string(step.attempt);
    switch (step.action) {
      case Action::kStart:
        text += "start " + attempt + ", ";
        continue;
      case Action::kWait:
        if (step.until == TimePoint::max()) return text + "wait";
        return text + "wait " + std::to_string((step.until - kStart) / 1ms);
      case Action::kWon:
        return text + "won " + attempt;
      case Action::kLost:
        return text + "lost";
      case Action::kTimedOut:
        return text + "timed out";
    }
  }
}

std::string Order(const std::vector<std::string>& literals) {
  std::vector<Address> addresses;
  for (const std::string& literal : literals) addresses.push_back(*Address::Parse(literal, 80));
  std::string text;
  for (const Address& address : Interleaved(addresses)) {
    const std::string shown = address.ToString();
    text += (text.empty() ? "" : " ") + shown.substr(0, shown.rfind(':'));
  }
  return text;
}

TEST_CASE("the families take turns, the preferred one first, each in its order") {
  CHECK(Order({"::1", "::2", "::3", "0.0.0.1", "0.0.0.2"}) == "[::1] 0.0.0.1 [::2] 0.0.0.2 [::3]");
  CHECK(Order({"0.0.0.1", "::1", "0.0.0.2", "0.0.0.3"}) == "0.0.0.1 [::1] 0.0.0.2 0.0.0.3");
  CHECK(Order({"::1", "::1", "0.0.0.1", "::1", "0.0.0.1"}) == "[::1] 0.0.0.1");
  CHECK(Order({}).empty());
}

TEST_CASE("the next address is tried 250 ms after the one before, and the first to connect wins") {
  ConnectRace race(Addresses(3), TimePoint::max());
  CHECK(Steps(race, 0ms) == "start 0, wait 250");
  CHECK(Steps(race, 249ms) == "wait 250");
  CHECK(Steps(race, 250ms) == "start 1, wait 500");
  CHECK(Steps(race, 510ms) == "start 2, wait");
  race.Connected(1);
  race.Connected(0);
  CHECK(Steps(race, 520ms) == "won 1");
  // The third is not overdue yet.
  CHECK(race.Overdue(kStart + 520ms) == Addresses(1));
}

TEST_CASE("a failure starts the next at once, however many there are") {
  ConnectRace race(Addresses(4), TimePoint::max());
  CHECK(Steps(race, 0ms) == "start 0, wait 250");
  race.Failed(0, ECONNREFUSED);
  CHECK(Steps(race, 1ms) == "start 1, wait 251");
  CHECK(Steps(race, 251ms) == "start 2, wait 501");
  race.Failed(1, ECONNREFUSED);
  race.Failed(2, ECONNREFUSED);
  CHECK(Steps(race, 252ms) == "start 3, wait");
  race.Failed(3, ECONNREFUSED);
  CHECK(Steps(race, 253ms) == "lost");
  CHECK(race.Overdue(kStart + 1h).empty());
}

TEST_CASE("the deadline ends it, whatever is in flight, unless one has connected") {
  ConnectRace race(Addresses(3), kStart + 300ms);
  CHECK(Steps(race, 0ms) == "start 0, wait 250");
  CHECK(Steps(race, 250ms) == "start 1, wait 300");
  CHECK(Steps(race, 300ms) == "timed out");
  CHECK(race.Overdue(kStart + 300ms) == Addresses(1));
  race.Connected(0);
  CHECK(Steps(race, 300ms) == "timed out");

  ConnectRace won(Addresses(3), kStart + 300ms);
  CHECK(Steps(won, 0ms) == "start 0, wait 250");
  won.Connected(0);
  CHECK(Steps(won, 300ms) == "won 0");

  ConnectRace late(Addresses(3), kStart);
  CHECK(Steps(late, 0ms) == "timed out");
  ConnectRace none({}, kStart);
  CHECK(Steps(none, 0ms) == "lost");
  CHECK_FALSE(none.failure());
}

TEST_CASE("no more than so many attempts are in flight") {
  ConnectRace race(Addresses(4), TimePoint::max(), {.delay = 10ms, .max_in_flight = 2});
  CHECK(Steps(race, 0ms) == "start 0, wait 10");
  CHECK(Steps(race, 10ms) == "start 1, wait");
  CHECK(Steps(race, 100ms) == "wait");
  race.Failed(0, ETIMEDOUT);
  CHECK(Steps(race, 101ms) == "start 2, wait");
  CHECK(race.in_flight() == 2);
}

TEST_CASE("without a descriptor for another attempt it goes on with those in flight") {
  ConnectRace race(Addresses(3), TimePoint::max());
  CHECK(Steps(race, 0ms) == "start 0, wait 250");
  REQUIRE(race.Next(kStart + 250ms).action == Action::kStart);
  race.NotStarted(1, EMFILE);
  CHECK(Steps(race, 250ms) == "wait 500");
  CHECK(race.in_flight() == 1);
  SECTION("which may connect") {
    race.Connected(0);
    CHECK(Steps(race, 260ms) == "won 0");
  }
  SECTION("or give its descriptor back") {
    race.Failed(0, ECONNREFUSED);
    REQUIRE(race.Next(kStart + 260ms).attempt == 1);
    SECTION("to the next") {
      race.Failed(1, ETIMEDOUT);
      CHECK(Steps(race, 260ms) == "start 2, wait");
    }
    SECTION("or to somebody else, and then that is why there is no connection") {
      race.NotStarted(1, EMFILE);
      CHECK(Steps(race, 260ms) == "lost");
      REQUIRE(race.failure());
      CHECK(race.failure()->error == EMFILE);
    }
  }
  SECTION("or last until there is a descriptor") {
    CHECK(Steps(race, 500ms) == "start 1, wait 750");
    race.Failed(0, ETIMEDOUT);
    race.Failed(1, ETIMEDOUT);
    CHECK(Steps(race, 510ms) == "start 2, wait");
    race.Failed(2, ECONNREFUSED);
    CHECK(Steps(race, 520ms) == "lost");
    CHECK(race.failure()->error == ECONNREFUSED);
  }
}

int Told(const std::vector<int>& errors) {
  ConnectRace race(Addresses(errors.size()), TimePoint::max());
  for (std::size_t i = 0; i < errors.size(); ++i) {
    REQUIRE(race.Next(kStart).attempt == i);
    race.Failed(i, errors[i]);
  }
  REQUIRE(race.Next(kStart).action == Action::kLost);
  return race.failure()->error;
}

TEST_CASE("what is told is the failure that says most") {
  CHECK(Told({ENETUNREACH, ECONNREFUSED}) == ECONNREFUSED);
  CHECK(Told({ECONNREFUSED, ETIMEDOUT, ENETUNREACH}) == ECONNREFUSED);
  CHECK(Told({EADDRNOTAVAIL, ETIMEDOUT}) == ETIMEDOUT);
  CHECK(Told({ENETUNREACH, EADDRNOTAVAIL, EAFNOSUPPORT}) == EADDRNOTAVAIL);
  CHECK(Told({ETIMEDOUT, EACCES}) == EACCES);
}

// A run of a race against hosts that do as `fates` say, in steps of time.
struct Fate {
  int answers_after = 0;  // ms; < 0: never
  bool connects = false;
  bool no_socket = false;  // the first time
};

struct Run {
  std::vector<std::pair<std::size_t, Duration>> starts;
  std::vector<Duration> failures;
  std::set<std::size_t> connected;
  std::size_t most_in_flight = 0;
  Action end = Action::kWait;
  std::size_t winner = 0;
};

Run Play(const std::vector<Fate>& fates, Duration deadline) {
  Run run;
  ConnectRace race(Addresses(fates.size()), kStart + deadline);
  std::map<std::size_t, Duration> in_flight;
  std::set<std::size_t> starved;
  Duration at = 0ms;
  for (;;) {
    const ConnectRace::Step step = race.Next(kStart + at);
    if (step.action == Action::kStart) {
      if (fates[step.attempt].no_socket && starved.insert(step.attempt).second) {
        race.NotStarted(step.attempt, EMFILE);
        continue;
      }
      run.starts.emplace_back(step.attempt, at);
      in_flight.emplace(step.attempt, at);
      run.most_in_flight = std::max(run.most_in_flight, in_flight.size());
    } else if (step.action != Action::kWait) {
      run.end = step.action;
      run.winner = step.attempt;
      for (int i = 0; i < 3; ++i) {
        RC_ASSERT(race.Next(kStart + at + i * 1s).action == step.action);
      }
      return run;
    }
    // To the next event, of which several may be at once.
    Duration next = step.action == Action::kStart ? at : step.until - kStart;
    for (const auto& [attempt, since] : in_flight) {
      if (fates[attempt].answers_after < 0) continue;
      next = std::min(next, since + fates[attempt].answers_after * 1ms);
    }
    RC_ASSERT(next >= at);
    at = next;
    for (auto each = in_flight.begin(); each != in_flight.end();) {
      const auto& [attempt, since] = *each;
      const Fate& fate = fates[attempt];
      if (fate.answers_after < 0 || since + fate.answers_after * 1ms > at) {
        ++each;
        continue;
      }
      if (fate.connects) {
        race.Connected(attempt);
        run.connected.insert(attempt);
      } else {
        race.Failed(attempt, ECONNREFUSED);
        run.failures.push_back(at);
      }
      each = in_flight.erase(each);
    }
  }
}

rc::Gen<Fate> AnyFate(bool may_lack_socket) {
  return rc::gen::map(
      rc::gen::tuple(rc::gen::inRange(-1, 1200), rc::gen::inRange(0, 4), rc::gen::inRange(0, 6)),
      [may_lack_socket](const auto& of) {
        return Fate{.answers_after = std::get<0>(of),
                    .connects = std::get<1>(of) == 0,
                    .no_socket = may_lack_socket && std::get<2>(of) == 0};
      });
}

void CheckRun(const std::vector<Fate>& fates, const Run& run, Duration deadline, bool all_tried) {
  RC_ASSERT(run.most_in_flight <= 8U);
  for (std::size_t i = 0; i < run.starts.size(); ++i) {
    RC_ASSERT(run.starts[i].first == i);  // each once, in order
    RC_ASSERT(run.starts[i].second < deadline);
    if (i == 0) continue;
    const Duration before = run.starts[i - 1].second;
    const bool failed = std::any_of(run.failures.begin(), run.failures.end(), [&](Duration f) {
      return before <= f && f <= run.starts[i].second;
    });
    RC_ASSERT(failed || run.starts[i].second >= before + 250ms);
  }
  if (run.end == Action::kWon) RC_ASSERT(run.connected.contains(run.winner));
  if (run.end != Action::kWon) RC_ASSERT(run.connected.empty());
  if (run.end == Action::kLost && all_tried) {
    RC_ASSERT(run.starts.size() == fates.size());
    RC_ASSERT(run.failures.size() == fates.size());
  }
}

TEST_CASE("whatever the hosts do, every address is tried and the winner is one that connected") {
  test::Property(5, [] {
    const auto fates = *rc::gen::container<std::vector<Fate>>(AnyFate(false));
    const Duration deadline = *rc::gen::inRange(0, 5000) * 1ms;
    CheckRun(fates, Play(fates, deadline), deadline, true);
  });
}

TEST_CASE("whatever the hosts do and this side lacks, the race ends and starts nothing too soon") {
  test::Property(5, [] {
    const auto fates = *rc::gen::container<std::vector<Fate>>(AnyFate(true));
    const Duration deadline = *rc::gen::inRange(0, 5000) * 1ms;
    CheckRun(fates, Play(fates, deadline), deadline, false);
  });
}

}  // namespace
}  // namespace holdfast::http::internal::connect_race_test
