#include "holdfast/testing/server.h"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "holdfast/holdfast.h"
#include "holdfast/testing/population.h"
#include "holdfast/testing/simulate.h"
#include "test/support/catch.h"

namespace holdfast::testing::server_test {
namespace {

using namespace std::chrono_literals;

// What calls without policies to one server come to: at which times, and how many of them failed.
struct Script {
  explicit Script(ServerOptions options) : server(world, std::move(options)) {}

  void CallAt(Duration at, Duration timeout = 1h) {
    auto fetch = Simulate(world, Stack(Timeout(timeout)),
                          [this](Call&, Reply<absl::Status> reply) { server.Serve(reply); });
    world.At(at, [this, fetch] {
      fetch([this](const absl::Status& status) {
        (status.ok() ? served : failed).push_back(world.Now().time_since_epoch());
      });
    });
  }

  World world;
  Server server;
  std::vector<Duration> served = {};
  std::vector<Duration> failed = {};
};

using Times = std::vector<Duration>;

TEST_CASE("a server works for as many as it has workers, and the others queue") {
  Script script({.service = Distribution::Constant(10ms), .workers = 2, .max_queue = 2});
  for (int i = 0; i < 5; ++i) script.CallAt(0s);
  script.world.Run();
  CHECK(script.served == Times{10ms, 10ms, 20ms, 20ms});
  CHECK(script.failed == Times{0ms});
  const ServerCounts& counts = script.server.counts();
  CHECK(counts.received == 5);
  CHECK(counts.served == 4);
  CHECK(counts.refused == 1);
  CHECK(counts.longest_queue == 2);
  CHECK(counts.waited == 20ms);
  CHECK(counts.busy == 40ms);
}

TEST_CASE("the newest, or the oldest, is served next") {
  for (const auto discipline : {QueueDiscipline::kFifo, QueueDiscipline::kLifo}) {
    Script script({.service = Distribution::Constant(10ms), .discipline = discipline});
    script.CallAt(0ms);
    script.CallAt(1ms, 15ms);  // patient enough to be the second, not the third
    script.CallAt(2ms);
    script.world.Run();
    const bool fifo = discipline == QueueDiscipline::kFifo;
    CHECK(script.served.size() == 2);
    CHECK(script.failed == Times{16ms});
    CHECK(script.server.counts().wasted == 1);
    CHECK(script.served.back() == (fifo ? 30ms : 20ms));
  }
}

TEST_CASE("work for a client that gave up is done, or dropped where the server knows") {
  for (const bool drops : {false, true}) {
    Script script({.service = Distribution::Constant(10ms), .drops_cancelled = drops});
    script.CallAt(0ms);
    script.CallAt(0ms, 5ms);
    script.CallAt(0ms);
    script.world.Run();
    CHECK(script.served == (drops ? Times{10ms, 20ms} : Times{10ms, 30ms}));
    CHECK(script.server.counts().wasted == (drops ? 0 : 1));
    CHECK(script.server.counts().cancelled == (drops ? 1 : 0));
  }
}

TEST_CASE("in a failure window requests are refused, or hang") {
  Script script(
      {.service = Distribution::Constant(1ms),
       .failures = {{.from = 1s, .to = 2s}, {.from = 2s, .to = 3s, .kind = FailureKind::kHang}}});
  for (const Duration at : {0ms, 999ms, 1000ms, 1999ms, 2000ms, 3000ms}) script.CallAt(at, 100ms);
  script.world.Run();
  CHECK(script.served == Times{1ms, 1000ms, 3001ms});
  CHECK(script.failed == Times{1000ms, 1999ms, 2100ms});
  CHECK(script.server.counts().failed == 3);
}

TEST_CASE("a share of the requests fails") {
  Script script({.service = Distribution::Constant(0ms),
                 .max_queue = 10'000,
                 .failures = {{.from = 0s, .to = 1s, .share = 0.3}}});
  for (int i = 0; i < 5000; ++i) script.CallAt(1ms);
  script.world.Run();
  CHECK(script.server.counts().failed > 1350);
  CHECK(script.server.counts().failed < 1650);
}

TEST_CASE("in a brown-out work takes longer") {
  Script script({.service = Distribution::Constant(10ms),
                 .brown_outs = {{.from = 1s, .to = 2s, .factor = 5}}});
  for (const Duration at : {0s, 1s, 2s}) script.CallAt(at);
  script.world.Run();
  CHECK(script.served == Times{10ms, 1050ms, 2010ms});
}

TEST_CASE("in a pause everything stands still") {
  Script script({.service = Distribution::Constant(30ms),
                 .workers = 10,
                 .pauses = {.period = 100ms, .length = 20ms}});
  // Before it, into it, in it, to its beginning, and over two of them.
  for (const Duration at : {0ms, 60ms, 90ms, 50ms, 170ms}) script.CallAt(at);
  script.world.Run();
  CHECK(script.served == Times{30ms, 80ms, 110ms, 130ms, 220ms});

  Script longer(
      {.service = Distribution::Constant(200ms), .pauses = {.period = 100ms, .length = 20ms}});
  longer.CallAt(10ms);
  longer.world.Run();
  CHECK(longer.served == Times{250ms});
}

TEST_CASE("controlled delay keeps the queue of an overloaded server short") {
  const auto p99 = [](QueueDiscipline discipline) {
    World world;
    Server server(world, {.service = Distribution::Constant(1ms), .discipline = discipline});
    Population clients(world, OpenClients{.rate = 1300}, server, [] { return Stack(); });
    world.RunFor(10s);
    return clients.results().success_latencies.Percentile(0.99);
  };
  CHECK(p99(QueueDiscipline::kFifo) > 900ms);
  CHECK(p99(QueueDiscipline::kCoDel) < 130ms);
}

struct Queueing {
  double wait;       // mean, milliseconds
  double in_system;  // mean number, sampled
  double utilization;
  double rate;
  double stay;  // mean, milliseconds
};

// One server under a Poisson stream, at a load of 0.7.
Queueing Measure(Distribution service) {
  World world(3);
  Server server(world, {.service = service, .max_queue = 1'000'000});
  Population clients(world, OpenClients{.rate = 70}, server, [] { return Stack(); });
  double sum = 0;
  int samples = 0;
  for (Duration at = 100s; at < 3000s; at += 37ms) {
    world.RunUntil(at);
    sum += static_cast<double>(server.queued() + server.busy_workers());
    ++samples;
  }
  const Results results = clients.results();
  const ServerCounts& counts = server.counts();
  const auto millis = [](Duration d) { return static_cast<double>(d.count()) / 1e6; };
  return {millis(counts.waited) / static_cast<double>(counts.served), sum / samples,
          millis(counts.busy) / millis(results.end), results.Goodput(),
          millis(results.latencies.Mean())};
}

TEST_CASE("queues are as theory has them") {
  // Pollaczek and Khinchine: W = rho / (1 - rho) * (1 + cv^2) / 2 * service.
  const Queueing mm1 = Measure(Distribution::Exponential(10ms));
  CHECK(mm1.wait == test::Approx(0.7 / 0.3 * 10).epsilon(0.06));
  const Queueing md1 = Measure(Distribution::Constant(10ms));
  CHECK(md1.wait == test::Approx(0.7 / 0.3 * 10 / 2).epsilon(0.05));
  for (const Queueing& queue : {mm1, md1}) {
    CHECK(queue.utilization == test::Approx(0.7).epsilon(0.02));
    // Little: L = lambda W.
    CHECK(queue.in_system == test::Approx(queue.rate * queue.stay / 1000).epsilon(0.03));
  }
}

TEST_CASE("options that make no sense are refused") {
  World world;
  const auto refused = [&world](const ServerOptions& options) {
    CHECK_FALSE(Validate(options).ok());
    CHECK_THROWS_AS(Server(world, options), std::invalid_argument);
  };
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  CHECK(Validate(ServerOptions{}).ok());
  refused({.workers = 0});
  refused({.workers = 1'000'001});
  refused({.max_queue = -1});
  refused({.failures = {{.from = 2s, .to = 1s}}});
  refused({.failures = {{.from = -1s, .to = 1s}}});
  refused({.failures = {{.from = 1s, .to = 2s, .share = kNan}}});
  refused({.failures = {{.from = 1s, .to = 2s, .share = 1.5}}});
  refused({.brown_outs = {{.from = 2s, .to = 1s}}});
  refused({.brown_outs = {{.from = 1s, .to = 2s, .factor = 0}}});
  refused({.brown_outs = {{.from = 1s, .to = 2s, .factor = kNan}}});
  refused({.pauses = {.period = 1s, .length = 1s}});
  refused({.pauses = {.period = 1s, .length = -1s}});
  refused({.codel_target = 2s, .codel_interval = 1s});
}

}  // namespace
}  // namespace holdfast::testing::server_test
