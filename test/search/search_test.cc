// The search itself: that it sees what is down, lets be what is well, and makes simple what it
// finds.
#include "test/search/search.h"

#include <absl/status/status.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/holdfast.h"
#include "holdfast/testing/random.h"
#include "holdfast/testing/simulate.h"
#include "holdfast/testing/world.h"
#include "test/search/judge.h"
#include "test/search/scenario.h"
#include "test/search/shrink.h"
#include "test/search/slot.h"
#include "test/search/story.h"
#include "test/search/trial.h"
#include "test/support/catch.h"

namespace holdfast::search::search_test {
namespace {

using namespace std::chrono_literals;
using testing::Reply;
using testing::World;

// A thousand calls in a world whose service fails every third time, as a list of what they come to.
template <class... P>
std::string Fates(P... policies) {
  World world(7);
  int attempts = 0;
  const auto call = testing::Simulate(
      world, Stack(std::move(policies)...), [&](Call&, Reply<absl::Status> reply) {
        world.After(10ms, [reply, ok = ++attempts % 3 != 0] {
          reply.Done(ok ? absl::OkStatus() : absl::UnavailableError("down"));
        });
      });
  std::string fates;
  for (int i = 0; i < 1000; ++i) {
    world.At(i * 3ms, [&] {
      call([&](const absl::Status& status) {
        fates += std::to_string(world.Now().time_since_epoch() / 1us) + status.ToString() + '\n';
      });
    });
  }
  world.Run();
  return fates;
}

TEST_CASE("a slot decides as the policy in it", "[search]") {
  const auto breaker = [] {
    return CircuitBreak({.timeout = 100ms, .rules = {ConsecutiveFailures(1)}});
  };
  const auto bulkhead = [] { return Bulkhead({.limit = 3}, {.max_wait = 20ms}); };
  CHECK(Fates(Retry({}), breaker(), bulkhead(), Timeout(9ms)) ==
        Fates(Slot(Retry({})), Slot(breaker()), Slot(), Slot(bulkhead()), Slot(Timeout(9ms))));
  const auto cache = [] {
    return Cache<absl::Status>({.ttl = 50ms},
                               {.key = [](const Call&) { return std::string_view("a"); }});
  };
  CHECK(Fates(cache(), Retry({})) == Fates(Slot(cache()), Slot(Retry({}))));
}

const Policy& PolicyNamed(std::string_view name) {
  for (const Policy& policy : Policies()) {
    if (policy.name == name) return policy;
  }
  throw std::invalid_argument("no such policy");
}

Setting Set(std::vector<std::string> path, std::string name, double value) {
  Setting setting;
  setting.path = std::move(path);
  setting.name = std::move(name);
  setting.value = value;
  return setting;
}

// Retries without a budget, and a time-out, at a service of which they ask too much.
Scenario Storm(bool budget) {
  Scenario storm;
  Settings retry = {Set({"{"}, "", 0)};
  if (!budget) retry.push_back(Set({"{"}, "budget", 0));
  storm.layers = {{.policy = &PolicyNamed("Retry"), .settings = retry},
                  {.policy = &PolicyNamed("Timeout"), .settings = {Set({}, "", 1e9)}}};
  storm.clients_settings = {Set({}, "rate", 300)};
  storm.service_settings = {Set({}, "load", 0.75)};
  storm.fault_settings = {Set({}, "kind", 0), Set({}, "length", 25e9)};
  storm.Fill();
  return storm;
}

TEST_CASE("retries without a budget keep a service down, and with one they don't", "[search]") {
  Scenario storm = Storm(false);
  CHECK(Judge(storm) == Outcome::kStuck);
  Scenario calm = Storm(true);
  CHECK(Judge(calm) == Outcome::kBack);
}

Scenario Throttled() {
  Scenario scenario;
  scenario.seed = 729300053146;
  scenario.layers = {
      {.policy = &PolicyNamed("AdaptiveThrottle"),
       .settings = {Set({"{"}, "", 0), Set({"{"}, "k", 1.1), Set({"{"}, "window", 23e9)}}};
  scenario.clients_settings = {Set({}, "rate", 54)};
  scenario.service_settings = {Set({}, "load", 0.36)};
  scenario.fault_settings = {Set({}, "length", 55e9)};
  scenario.Fill();
  return scenario;
}

TEST_CASE("a throttle with few calls is back in the time that it may take by chance", "[search]") {
  Scenario scenario = Throttled();
  CHECK(Judge(scenario) == Outcome::kBack);
}

// Windows from the end of an outage of three windows until nine of ten calls of a quarter of a
// window pass, and go on to do so.
double WindowsToRecover(AdaptiveThrottler::Options options, int calls, std::uint64_t seed) {
  options.seed = seed;
  AdaptiveThrottler throttler(options);
  const int quarter = calls / 4;
  int passed = 0;
  int recovered = 0;
  for (int i = 0; i < 43 * calls; ++i) {
    const TimePoint now{options.window / calls * i};
    const bool down = i < 3 * calls;
    if (auto ticket = throttler.AdmitAt(now); ticket.ok()) {
      ticket->DoneAt(now, down ? holdfast::Outcome::kFailure : holdfast::Outcome::kSuccess);
      ++passed;
    }
    if ((i + 1) % quarter != 0) continue;
    if (10 * passed < 9 * quarter) recovered = i + 1 - 3 * calls;
    passed = 0;
  }
  return static_cast<double>(recovered) / calls;
}

TEST_CASE("few throttles take longer than the judge states", "[search]") {
  struct Row {
    double k;
    double max_rejection;
    int calls;  // in a window
    int late;   // of 100
  };
  for (const auto& [k, max_rejection, calls, late] :
       {Row{1.1, 0.9, 1240, 2}, Row{1.2, 0.9, 320, 2}, Row{1.1, 0.6, 1240, 2},
        Row{1.5, 0.99, 1240, 5}, Row{1.2, 1, 320, 12}}) {
    Settings settings = {Set({"{"}, "", 0), Set({"{"}, "k", k), Set({"{"}, "window", 20e9),
                         Set({"{"}, "max_rejection", max_rejection)};
    Fields fields(settings, nullptr);
    const Part part = PolicyNamed("AdaptiveThrottle").make(fields, {.rate = calls / 20.0});
    const double stated =
        static_cast<double>(part.memory.throttle_recovery.count()) / static_cast<double>(20e9);
    int longer = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
      const double windows =
          WindowsToRecover({.k = k, .window = 20s, .max_rejection = max_rejection}, calls, seed);
      if (windows > stated) ++longer;
    }
    CAPTURE(k, max_rejection, calls, stated, longer);
    CHECK(longer <= late);
  }
}

TEST_CASE("hedges within their budget take of what works a queue off", "[search]") {
  Scenario scenario;
  scenario.seed = 729301034843;
  scenario.layers = {{.policy = &PolicyNamed("Hedge"), .settings = {Set({"{"}, "", 0)}}};
  scenario.clients_settings = {Set({}, "rate", 620), Set({}, "patience", 140e6)};
  scenario.service_settings = {Set({}, "load", 0.78), Set({}, "servers", 2)};
  scenario.fault_settings = {Set({}, "kind", 1), Set({}, "length", 5.3e9),
                             Set({}, "one_server", 0)};
  scenario.Fill();
  CHECK(Judge(scenario) == Outcome::kBack);
}

TEST_CASE("the trials of a scenario differ in what its policies draw", "[search]") {
  Scenario scenario = Throttled();
  const auto successes = [&](std::uint64_t seed) {
    return Run(SetupOf(scenario, seed, &scenario.fault, 5s), 1, 100s).successes;
  };
  CHECK(successes(1) == successes(1));
  CHECK(successes(1) != successes(2));
}

TEST_CASE("a counterexample is made as simple as it can be", "[search]") {
  Scenario drawn;
  for (std::uint64_t seed = 1;
       ShapeOf(drawn).find("CircuitBreak") == std::string::npos || drawn.layers.size() < 4;
       ++seed) {
    drawn = Draw(seed);
  }
  const Scenario simple = Shrink(
      drawn, [](Scenario& s) { return ShapeOf(s).find("CircuitBreak") != std::string::npos; }, 1h);
  CHECK(simple.layers.size() == 1);
  CHECK(simple.clients_settings.empty());
  CHECK(simple.service_settings.empty());
  const std::string code = StackCode(simple);
  CHECK((code == "holdfast::Stack(holdfast::CircuitBreak({}))" ||
         code == "holdfast::Stack(holdfast::KeyedCircuitBreak({.breaker = {}}))"));
}

TEST_CASE("what Validate refuses is counted by its sentence, without its numbers", "[search]") {
  Tally tally;
  tally.Refuse("Stack: Bulkhead(5 at once) waits longer than the Timeout(2s) around it");
  tally.Refuse("Stack: Bulkhead(7 at once) waits longer than the Timeout(900ms) around it");
  CHECK(tally.refused == std::map<std::string, std::int64_t>{
                             {"Stack: Bulkhead waits longer than the Timeout around it", 2}});
}

TEST_CASE("most of what is drawn fits, and each draw is judged or refused", "[search]") {
  std::ostringstream out;
  const Tally tally = Search({.seed = 1, .draws = 60, .longest = 1h, .examples = 0}, out);
  CHECK(tally.draws == 60);
  CHECK(tally.shapes.size() >= 20);
  std::int64_t judged = 0;
  for (const auto& [sentence, count] : tally.refused) judged += count;
  CHECK(judged < 6);
  for (const std::int64_t count : tally.outcomes) judged += count;
  for (const std::int64_t count : tally.unbudgeted) judged += count;
  CHECK(judged == 60);
}

TEST_CASE("goodput must stay back once it is", "[search]") {
  Timeline well{.calls = std::vector<std::int32_t>(300, 10),
                .successes = std::vector<std::int32_t>(300, 10)};
  Timeline ill = well;
  CHECK(!IsDown(ill, well, 10s, 20s));
  for (std::size_t i = 250; i < 300; ++i) ill.successes[i] = 7;
  CHECK(IsDown(ill, well, 10s, 20s));  // in its last third
  CHECK(!IsDown(ill, well, 10s, 12s));
}

}  // namespace
}  // namespace holdfast::search::search_test
