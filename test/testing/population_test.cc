#include "holdfast/testing/population.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "holdfast/holdfast.h"
#include "holdfast/testing/results.h"
#include "test/support/catch.h"

namespace holdfast::testing::population_test {
namespace {

using namespace std::chrono_literals;

// Everything about a run that could differ.
std::string Print(const Results& results) {
  std::ostringstream out;
  out << results << results.latencies.Mean().count();
  for (const Moment& moment : results.timeline) {
    out << ' ' << moment.calls << '/' << moment.attempts << '/' << moment.successes;
  }
  return out.str();
}

// A retry storm: a server at three quarters of what it can do is out for 15 seconds.
Results Storm(std::uint64_t seed, std::optional<RetryBudget::Options> budget,
              std::int64_t count = 2250) {
  World world(seed);
  // A call in ten seconds from each, and 100 in a second from each worker.
  Server server(world, {.workers = count / 750,
                        .max_queue = 4 * count / 10,
                        .failures = {{.from = 20s, .to = 35s, .kind = FailureKind::kHang}}});
  Population clients(world, ClosedClients{.count = count}, server, [&budget](std::int64_t) {
    return Stack(Retry({.max_attempts = 4,
                        .budget = budget ? std::make_shared<RetryBudget>(*budget)
                                         : RetryBudget::Unlimited()}),
                 Timeout(1s));
  });
  world.RunFor(80s);
  return clients.results();
}

TEST_CASE("a retry storm outlives what began it, unless there is a budget") {
  const Results without = Storm(1, std::nullopt);
  INFO(Print(without));
  CHECK(without.Goodput(0s, 20s) > 210);
  CHECK(without.Goodput(60s, 80s) < 100);
  CHECK(without.Amplification() > 2.5);
  CHECK(without.TimeToRecover({20s, 35s}) == std::nullopt);
  CHECK(without.servers[0].counts.wasted > 5000);

  const Results with = Storm(1, RetryBudget::Options{.capacity = 2, .per_success = 0.1});
  INFO(Print(with));
  CHECK(with.Goodput(60s, 80s) > 210);
  CHECK(with.Amplification() < 1.4);
  REQUIRE(with.TimeToRecover({20s, 35s}).has_value());
  CHECK(*with.TimeToRecover({20s, 35s}) < 10s);
}

TEST_CASE("one seed, one run") {
  CHECK(Print(Storm(5, std::nullopt, 750)) == Print(Storm(5, std::nullopt, 750)));
  CHECK(Print(Storm(5, std::nullopt, 750)) != Print(Storm(6, std::nullopt, 750)));
}

TEST_CASE("open clients call at their rate whatever becomes of the calls") {
  World world;
  Server server(world, {.service = Distribution::Constant(2s)});
  Population random(world, OpenClients{.count = 10, .rate = 100}, server,
                    [] { return Stack(Timeout(1s)); });
  Population even(world, OpenClients{.count = 10, .rate = 100, .periodic = true}, server,
                  [] { return Stack(Timeout(1s)); });
  world.RunFor(100s);
  CHECK(random.results().calls == test::Approx(10'000).epsilon(0.03));
  CHECK(even.results().calls == 10'000);
  for (const Moment& moment : even.results().timeline) CHECK(moment.calls <= 101);
}

TEST_CASE("closed clients wait for their calls") {
  World world;
  Server server(world, {.service = Distribution::Constant(2s), .workers = 50});
  Population clients(world,
                     ClosedClients{.count = 50, .think = Distribution::Constant(3s), .ramp = 0s},
                     server, [] { return Stack(); });
  world.RunUntil(54s);
  // Calls begin at 0, 5, ..., 50 s.
  CHECK(clients.results().calls == 550);
  CHECK(clients.results().in_flight() == 0);
  CHECK(clients.results().latencies.Mean() == 2s);
}

TEST_CASE("from the start closed clients make the load that they make for ever") {
  for (const Distribution& think : {Distribution::Constant(10s), Distribution::Exponential(10s),
                                    Distribution::Uniform(1s, 19s)}) {
    World world;
    Server server(world, {.service = Distribution::Constant(0s)});
    Population clients(world, ClosedClients{.count = 10'000, .think = think}, server,
                       [] { return Stack(); });
    world.RunFor(5s);
    for (const Moment& moment : clients.results().timeline) {
      CHECK(moment.calls == test::Approx(1000).epsilon(0.12));
    }
  }
}

TEST_CASE("a population begins and ends when it is told, and leaves nothing behind") {
  World world;
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 5});
  Server server(world, {.service = Distribution::Exponential(20ms)});
  Population clients(world, OpenClients{.count = 7, .rate = 100, .start = 2s, .end = 12s}, server,
                     [&](std::int64_t) {
                       return Stack(Timeout(500ms), Retry({}), Bulkhead(semaphore), Timeout(100ms));
                     });
  world.Run();
  const Results results = clients.results();
  CHECK(results.calls == test::Approx(1000).epsilon(0.12));
  CHECK(results.timeline[1].calls == 0);
  CHECK(results.timeline[2].calls > 0);
  CHECK(results.in_flight() == 0);
  CHECK(semaphore->in_use() == 0);
  CHECK(semaphore->queued() == 0);
  CHECK(results.attempts == results.servers[0].counts.received);
}

TEST_CASE("refusals are counted by the policy that made them") {
  World world;
  Server server(world, {.service = Distribution::Constant(100ms), .workers = 10});
  auto bucket = std::make_shared<TokenBucket>(
      TokenBucket::Options{.rate = 50, .burst = 1, .clock = world.clock()});
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 3});
  Population clients(world, OpenClients{.rate = 100}, server, [&] {
    return Stack(RateLimit(bucket, {.max_wait = 0s}), Bulkhead(semaphore, {.max_wait = 0s}));
  });
  world.RunFor(100s);
  const Results results = clients.results();
  const auto& rejections = results.rejections;
  REQUIRE(rejections.size() == 2);
  CHECK(rejections.at("RateLimit") > 4000);
  CHECK(rejections.at("Bulkhead") > 500);
  CHECK(rejections.at("RateLimit") + rejections.at("Bulkhead") == results.failures);
  CHECK(results.attempts + results.failures == results.calls);
}

// One server of ten is slow.
Duration P99OfTen(bool hedged) {
  World world;
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<Server*> backends;
  for (int i = 0; i < 10; ++i) {
    servers.push_back(std::make_unique<Server>(
        world, ServerOptions{
                   .service = i == 0 ? Distribution::Constant(1s) : Distribution::Exponential(5ms),
                   .workers = 20}));
    backends.push_back(servers.back().get());
  }
  const OpenClients options{.count = 10, .rate = 100};
  const auto run = [&](auto make_stack) {
    Population clients(world, options, Backend(backends), make_stack);
    world.RunFor(60s);
    return clients.results().latencies.Percentile(0.99);
  };
  if (!hedged) return run([] { return Stack(Timeout(5s)); });
  return run(
      [] { return Stack(Timeout(5s), Hedge({.delay = 30ms, .max_hedges = 2}, HedgeAll())); });
}

TEST_CASE("hedging cuts the tail that one slow server of ten makes") {
  CHECK(P99OfTen(false) >= 990ms);
  CHECK(P99OfTen(true) < 120ms);
}

TEST_CASE("a client's attempts go to its own server where that is asked for") {
  World world;
  Server even(world, {.name = "even"});
  Server odd(world, {.name = "odd"});
  Population clients(world, OpenClients{.count = 2, .rate = 10, .periodic = true},
                     Backend({&even, &odd}, ServerChoice::kByClient), [] { return Stack(); });
  world.RunFor(10s);
  CHECK(even.counts().received == 50);
  CHECK(odd.counts().received == 50);
}

TEST_CASE("a population's backend may be a function, which may throw") {
  World world;
  const Backend backend([&](std::int64_t client, Call&, Reply<absl::Status> reply) {
    if (client == 1) throw std::runtime_error("client 1");
    world.After(1ms, [reply] { reply.Done(absl::OkStatus()); });
  });
  Population clients(
      world,
      ClosedClients{.count = 4, .think = Distribution::Constant(1s), .ramp = 0s, .end = 9500ms},
      backend, [](std::int64_t) { return Stack(Retry({})); });
  world.Run();
  const Results results = clients.results();
  CHECK(results.calls == 40);
  CHECK(results.exceptions == 10);
  CHECK(results.failures == 10);
  CHECK(results.successes == 30);
}

TEST_CASE("a million seconds with a dead backend end, with nothing but timeouts") {
  World world;
  const Backend nobody([](std::int64_t, Call&, const Reply<absl::Status>&) {});
  Population clients(world, ClosedClients{.think = Distribution::Constant(999s), .ramp = 0s},
                     nobody, [] { return Stack(Timeout(1s)); });
  world.RunUntil(1'000'000s - 1ns);
  CHECK(clients.results().failures == 1000);
}

TEST_CASE("populations that make no sense are refused") {
  World world;
  Server server(world, {});
  const auto refused = [&](const auto& options) {
    CHECK_FALSE(Validate(options).ok());
    CHECK_THROWS_AS(Population(world, options, server, [] { return Stack(); }),
                    std::invalid_argument);
  };
  refused(OpenClients{.count = 0});
  refused(OpenClients{.rate = 0});
  refused(OpenClients{.rate = std::numeric_limits<double>::quiet_NaN()});
  refused(OpenClients{.start = 2s, .end = 1s});
  refused(OpenClients{.start = -1s});
  refused(OpenClients{.bucket = 0s});
  refused(ClosedClients{.count = -1});
  refused(ClosedClients{.ramp = -1s});
  CHECK_THROWS_AS(Backend(std::vector<Server*>{}), std::invalid_argument);
  CHECK_THROWS_AS(Backend(std::vector<Server*>{nullptr}), std::invalid_argument);
}

}  // namespace
}  // namespace holdfast::testing::population_test
