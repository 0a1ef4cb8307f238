// Ten clients ask a server for twice what it can do, by calls that do not all matter the same. The
// server turns down what finds its queue full. How long that is decides what becomes of it without
// throttling: where the queue is longer than the clients' patience, it works for nobody.
#include <absl/status/status.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "holdfast/holdfast.h"
#include "holdfast/testing.h"
#include "test/support/catch.h"

namespace holdfast::testing::adaptive_throttle_world_test {
namespace {

using namespace std::chrono_literals;

constexpr double kCapacity = 400;  // calls per second
constexpr double kRate = 2 * kCapacity;
constexpr std::size_t kClients = 10;
constexpr Duration kPatience = 500ms;
// What is counted began between these.
constexpr Duration kWarm = 30s;
constexpr Duration kEnd = 90s;

// Queues that take 0.25 s, 0.475 s and 0.625 s.
constexpr std::int64_t kShortQueue = 100;
constexpr std::int64_t kLongQueue = 190;
constexpr std::int64_t kHopelessQueue = 250;

struct Tally {
  std::int64_t calls = 0;
  std::int64_t served = 0;
  std::int64_t refused = 0;  // by the throttle

  double served_share() const { return Share(served); }
  double refused_share() const { return Share(refused); }

 private:
  double Share(std::int64_t part) const {
    return static_cast<double>(part) / static_cast<double>(calls);
  }
};

struct Came {
  std::array<Tally, kPriorities> by_priority = {};

  const Tally& Of(Priority priority) const {
    return by_priority[static_cast<std::size_t>(priority)];
  }
  double Goodput() const {
    std::int64_t served = 0;
    for (const Tally& tally : by_priority) served += tally.served;
    return static_cast<double>(served) / std::chrono::duration<double>(kEnd - kWarm).count();
  }
};

class Overload {
 public:
  explicit Overload(std::uint64_t seed) : world_(seed) {}

  Clock* clock() { return world_.clock(); }

  // `make_stack()` is a client's.
  template <class MakeStack>
  Came Run(std::int64_t max_queue, const MakeStack& make_stack) {
    Server server(
        world_, {.service = Distribution::Exponential(20ms), .workers = 8, .max_queue = max_queue});
    const auto make_client = [&] {
      return Simulate(world_, make_stack(),
                      [&](Call&, const Reply<absl::Status>& reply) { server.Serve(reply); });
    };
    std::vector<decltype(make_client())> clients;
    while (clients.size() < kClients) clients.push_back(make_client());

    Came came;
    Random random = world_.NewRandom();
    const std::function<void()> arrive = [&] {
      const Priority priority = PriorityOf(random.Uniform());
      Tally* const tally = world_.Now() < TimePoint(kWarm)
                               ? nullptr
                               : &came.by_priority[static_cast<std::size_t>(priority)];
      if (tally != nullptr) ++tally->calls;
      clients[random.Below(kClients)].With(
          {.priority = priority}, [tally](const absl::Status& status) { Ended(tally, status); });
      const double next = random.Exponential() / kRate * 1e9;
      world_.After(Duration(static_cast<Duration::rep>(next)), arrive);
    };
    world_.After(0s, arrive);
    world_.RunFor(kEnd);
    return came;
  }

 private:
  // Half are sheddable, three tenths normal, two tenths critical: less than there is room for.
  static Priority PriorityOf(double uniform) {
    return uniform < 0.5   ? Priority::kSheddable
           : uniform < 0.8 ? Priority::kNormal
                           : Priority::kCritical;
  }

  static void Ended(Tally* tally, const absl::Status& status) {
    if (tally == nullptr) return;
    if (status.ok()) ++tally->served;
    const auto rejection = RejectionOf(status);
    if (rejection && rejection->kind == RejectionKind::kThrottled) ++tally->refused;
  }

  World world_;
};

// A server for which a call that it turns down is not free wants a K little above 1.
Came WithThrottle(std::int64_t max_queue, std::uint64_t seed, double k = 1.1) {
  Overload overload(seed);
  return overload.Run(max_queue, [&] {
    return Stack(AdaptiveThrottle({.k = k, .window = 10s, .clock = overload.clock()}),
                 Timeout(kPatience));
  });
}

Came Without(std::int64_t max_queue, std::uint64_t seed) {
  return Overload(seed).Run(max_queue, [] { return Stack(Timeout(kPatience)); });
}

TEST_CASE("at twice its capacity a throttled server does what it can, for the calls that matter") {
  for (const std::uint64_t seed : {1, 2, 3}) {
    CAPTURE(seed);
    const Came with = WithThrottle(kLongQueue, seed);
    const Came without = Without(kLongQueue, seed);
    CHECK(with.Goodput() > 0.85 * kCapacity);
    CHECK(without.Goodput() < 0.7 * kCapacity);

    CHECK(with.Of(Priority::kCritical).refused_share() < 0.01);
    CHECK(with.Of(Priority::kNormal).refused_share() < 0.2);
    CHECK(with.Of(Priority::kSheddable).refused_share() > 0.85);
    CHECK(with.Of(Priority::kCritical).served_share() > 0.85);
    CHECK(without.Of(Priority::kCritical).served_share() < 0.4);
  }
}

TEST_CASE("a server that works for nobody without throttling does most of what it can with it") {
  for (const std::uint64_t seed : {1, 2, 3}) {
    CAPTURE(seed);
    const Came with = WithThrottle(kHopelessQueue, seed);
    CHECK(with.Goodput() > 0.7 * kCapacity);
    CHECK(with.Of(Priority::kCritical).refused_share() < 0.05);
    CHECK(with.Of(Priority::kCritical).served_share() > 0.8);
    CHECK(Without(kHopelessQueue, seed).Goodput() < 0.05 * kCapacity);
  }
}

TEST_CASE("where turning calls down costs nothing, throttling decides only which are served") {
  const Came with = WithThrottle(kShortQueue, 1);
  const Came without = Without(kShortQueue, 1);
  CHECK(with.Goodput() > 0.98 * kCapacity);
  CHECK(without.Goodput() > 0.98 * kCapacity);
  CHECK(with.Of(Priority::kCritical).served_share() > 0.88);
  CHECK(without.Of(Priority::kCritical).served_share() < 0.55);

  // With K = 2 half of what is sent may be turned down before anything is refused.
  const Came generous = WithThrottle(kShortQueue, 1, 2);
  CHECK(generous.Of(Priority::kSheddable).refused_share() < 0.1);
  CHECK(generous.Of(Priority::kNormal).refused_share() == 0);
}

}  // namespace
}  // namespace holdfast::testing::adaptive_throttle_world_test
