// What a bulkhead does with those who wait, and with those who matter less, in virtual time.
#include <absl/status/status.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <utility>

#include "holdfast/holdfast.h"
#include "holdfast/testing.h"
#include "test/support/catch.h"

namespace holdfast::testing::bulkhead_world_test {
namespace {

using namespace std::chrono_literals;

using Executor = std::function<void(Call&, Reply<absl::Status>)>;

std::shared_ptr<Semaphore> Permits(std::int64_t limit) {
  return std::make_shared<Semaphore>(Semaphore::Options{.limit = limit});
}

// Calls that take a while below a bulkhead.
auto Behind(World& world, const std::shared_ptr<Semaphore>& permits, BulkheadOptions options,
            Duration service) {
  return Simulate(world, Stack(Bulkhead(permits, options)),
                  Executor([&world, service](Call&, Reply<absl::Status> reply) {
                    world.After(service, [reply] { reply.Done(absl::OkStatus()); });
                  }));
}

// A few of them by name, and the order in which they ended: + for a success, - for a refusal.
class Scene {
 public:
  explicit Scene(BulkheadOptions options, std::int64_t limit = 1)
      : call_(Behind(world_, Permits(limit), options, 10ms)) {}

  void At(Duration at, const std::string& name, Priority priority = Priority::kNormal) {
    world_.At(at, [this, name, priority] {
      call_.With({.priority = priority},
                 [this, name](const absl::Status& s) { ended_ += name + (s.ok() ? "+ " : "- "); });
    });
  }

  const std::string& Run() {
    world_.Run();
    return ended_;
  }

 private:
  World world_;
  decltype(Behind(std::declval<World&>(), nullptr, {}, {})) call_;
  std::string ended_;
};

TEST_CASE("the oldest waiter is served first") {
  Scene scene({});
  for (const char* const name : {"a", "b", "c", "d"}) scene.At(1ms, name);
  CHECK(scene.Run() == "a+ b+ c+ d+ ");
}

TEST_CASE("the newest waiter is served first where that is wanted") {
  Scene scene({.order = QueueOrder::kNewestFirst});
  for (const char* const name : {"a", "b", "c", "d"}) scene.At(1ms, name);
  CHECK(scene.Run() == "a+ d+ c+ b+ ");
}

TEST_CASE("in a full queue the newest is refused, or else the oldest gives way") {
  SECTION("oldest first") {
    Scene scene({.max_queue = 2});
    for (const char* const name : {"a", "b", "c", "d"}) scene.At(1ms, name);
    CHECK(scene.Run() == "d- a+ b+ c+ ");
  }
  SECTION("newest first") {
    Scene scene({.max_queue = 2, .order = QueueOrder::kNewestFirst});
    for (const char* const name : {"a", "b", "c", "d"}) scene.At(1ms, name);
    CHECK(scene.Run() == "b- a+ d+ c+ ");
  }
}

TEST_CASE("who matters more is served first, and in a full queue the least gives way") {
  Scene scene({.max_queue = 3});
  scene.At(1ms, "first");
  scene.At(2ms, "low", Priority::kLow);
  scene.At(3ms, "sheddable", Priority::kSheddable);
  scene.At(4ms, "normal");
  scene.At(5ms, "critical", Priority::kCritical);
  scene.At(6ms, "low2", Priority::kLow);
  scene.At(7ms, "normal2");
  CHECK(scene.Run() == "sheddable- low2- low- first+ critical+ normal+ normal2+ ");
}

TEST_CASE("a queue that stands is cut short, one that a burst left is not") {
  const BulkheadOptions options = {.controlled_delay =
                                       ControlledDelay{.target = 5ms, .interval = 100ms}};
  SECTION("a burst of 9 waits up to 90 ms") {
    Scene scene(options);
    for (int i = 0; i < 10; ++i) scene.At(1ms, std::to_string(i));
    CHECK(scene.Run() == "0+ 1+ 2+ 3+ 4+ 5+ 6+ 7+ 8+ 9+ ");
  }
  SECTION("there has been a queue for 110 ms") {
    Scene scene(options);
    for (int i = 0; i < 15; ++i) scene.At(1ms, std::to_string(i));
    scene.At(112ms, "late");   // would be served at 151 ms
    scene.At(149ms, "lucky");  // at 151 ms as well
    scene.At(1s, "later");
    CHECK(scene.Run() == "0+ 1+ 2+ 3+ 4+ 5+ 6+ 7+ 8+ 9+ 10+ late- 11+ 12+ 13+ 14+ lucky+ later+ ");
  }
}

// 500 calls a second come to a service that hangs for ten seconds, under a limit of 20.
TEST_CASE("by default an outage piles up no more than a second of calls") {
  World world;
  const auto permits = Permits(20);
  auto call = Simulate(world, Stack(Bulkhead(permits), Timeout(20s)),
                       Executor([&world](Call&, Reply<absl::Status> reply) {
                         const Duration down = TimePoint(10s) - world.Now();
                         world.After(down > Duration::zero() ? down : Duration(10ms),
                                     [reply] { reply.Done(absl::OkStatus()); });
                       }));
  std::int64_t longest = 0;
  std::int64_t late = 0;
  std::int64_t late_and_served = 0;
  for (int i = 0; i < 6'000; ++i) {
    world.At(i * 2ms, [&, i] {
      call([&, i](const absl::Status& status) {
        if (i < 5'000) return;
        ++late;
        late_and_served += status.ok() ? 1 : 0;
      });
      longest = std::max(longest, permits->queued());
    });
  }
  world.Run();
  CHECK(longest <= 501);
  CHECK(late == 1000);
  CHECK(late_and_served == late);  // the pile was gone before any of these had waited for a second
}

// Poisson arrivals of each priority, as shares of what the permits can do; the shares that succeed.
std::array<double, kPriorities> Served(const BulkheadOptions& options,
                                       const std::array<double, kPriorities>& load,
                                       Duration patience = Duration::max()) {
  constexpr std::int64_t kLimit = 20;
  constexpr Duration kService = 100ms;
  constexpr Duration kEnd = 60s;
  World world(7);
  const auto permits = Permits(kLimit);
  auto call = Behind(world, permits, options, kService);
  auto random = world.NewRandom();
  std::array<double, kPriorities> offered = {};
  std::array<double, kPriorities> served = {};
  for (std::size_t p = 0; p < kPriorities; ++p) {
    if (load[p] == 0) continue;
    const double between = 100e6 / (load[p] * kLimit);  // nanoseconds
    for (Duration at{0}; at < kEnd; at += Duration(std::llround(between * random.Exponential()))) {
      ++offered[p];
      world.At(at, [&, p] {
        call.With({.deadline = SaturatingAdd(world.Now(), patience),
                   .priority = static_cast<Priority>(p)},
                  [&served, p](const absl::Status& s) { served[p] += s.ok() ? 1 : 0; });
      });
    }
  }
  world.Run();
  for (std::size_t p = 0; p < kPriorities; ++p) served[p] /= std::max(offered[p], 1.0);
  return served;
}

TEST_CASE("under pressure lower priorities are refused first, whether or not anybody may wait") {
  // Twice what can be served; what matters more than kLow would fit by itself.
  const std::array<double, kPriorities> load = {0.6, 0.6, 0.5, 0.3};
  const auto used = [&load](const std::array<double, kPriorities>& served) {
    return std::inner_product(load.begin(), load.end(), served.begin(), 0.0);
  };
  SECTION("in a queue nothing is wasted") {
    const auto served = Served({.max_queue = 10}, load, 1s);
    CAPTURE(served[0], served[1], served[2], served[3]);
    CHECK(served[3] > 0.999);
    CHECK(served[2] > 0.95);
    CHECK(served[1] > 0.2);
    CHECK(served[0] < 0.05);
    CHECK(used(served) > 0.95);
  }
  // Twenty permits would refuse one in sixteen of these calls even if there were no others:
  // Erlang's loss formula.
  SECTION("without one, room is kept for who would find none") {
    const auto served = Served({.max_queue = 0}, load);
    CAPTURE(served[0], served[1], served[2], served[3]);
    CHECK(served[3] > 0.97);
    CHECK(served[2] > 0.8);
    CHECK(served[1] < 0.1);
    CHECK(served[0] < served[1]);
    CHECK(used(served) > 0.7);
  }
}

TEST_CASE("while nobody is refused who matters more, all may have every permit") {
  const auto served = Served({.max_queue = 0}, {0.5, 0, 0, 0.05});
  CHECK(served[0] > 0.99);
  CHECK(served[3] > 0.99);
}

// With a queue that is long, oldest first, everybody waits until just after they gave up.
TEST_CASE("controlled delay keeps the goodput of a bulkhead that is asked for too much") {
  const std::array<double, kPriorities> load = {0, 0, 1.3, 0};
  const auto shed = Served({.controlled_delay = ControlledDelay{}}, load, 300ms);
  CHECK(shed[2] * 1.3 > 0.95);
}

}  // namespace
}  // namespace holdfast::testing::bulkhead_world_test
