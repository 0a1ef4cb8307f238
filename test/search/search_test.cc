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
#include "test/support/catch.h"

namespace holdfast::search {
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
}  // namespace holdfast::search
