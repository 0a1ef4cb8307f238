#include "adaptive_limits.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "holdfast/holdfast.h"
#include "holdfast/testing.h"

namespace storm {
namespace {

using namespace std::chrono_literals;
using holdfast::AdaptiveLimiter;
using holdfast::Duration;
using holdfast::testing::Backend;
using holdfast::testing::Disturbance;
using holdfast::testing::Server;
using holdfast::testing::World;
using support::ChartLine;

// 7. Three servers get more calls than they can do, and two of the three go away for a minute. The
// ideal limit is the number of calls that the servers can work on at once: with a lower one they
// are idle, with a higher one their queues grow until calls time out that they still work on.
constexpr Disturbance kTwoGone = {60s, 120s};
constexpr Duration kLength = 180s;

bool IsGone(std::size_t server, Duration at) {
  return server > 0 && at >= kTwoGone.from && at < kTwoGone.to;
}

class Cluster {
 public:
  Cluster(World& world, std::int64_t workers_each) : world_(world) {
    for (int i = 0; i < 3; ++i) {
      servers_.push_back(std::make_unique<Server>(
          world, holdfast::testing::ServerOptions{
                     .service = holdfast::testing::Distribution::LogNormal(40ms, 150ms),
                     .workers = workers_each,
                     .max_queue = workers_each / 4}));
    }
  }

  // By the server with the least load, of those that are there.
  void Serve(const holdfast::testing::Reply<absl::Status>& reply) {
    Server* chosen = servers_[0].get();
    const auto load = [](const Server& server) { return server.queued() + server.busy_workers(); };
    for (std::size_t i = 1; i < servers_.size(); ++i) {
      if (!IsGone(i, Now()) && load(*servers_[i]) < load(*chosen)) chosen = servers_[i].get();
    }
    chosen->Serve(reply);
  }

  double Workers() const {
    double workers = 0;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
      if (!IsGone(i, Now())) workers += static_cast<double>(servers_[i]->options().workers);
    }
    return workers;
  }

 private:
  Duration Now() const { return world_.Now().time_since_epoch(); }

  World& world_;
  std::vector<std::unique_ptr<Server>> servers_;
};

std::vector<Outcome> Limited(const Settings& settings, const std::string& name,
                             AdaptiveLimiter::Options options) {
  World world(settings.seed);
  const double rate = 0.2 * static_cast<double>(std::max<std::int64_t>(settings.clients, 1000));
  // A call takes 47 ms on average; the three together get one and a half times what they can do.
  Cluster cluster(world, std::max<std::int64_t>(2, std::llround(rate * 0.047 / 1.5 / 3)));
  options.clock = world.clock();
  const auto limiter = std::make_shared<AdaptiveLimiter>(std::move(options));
  const holdfast::AdaptiveLimit limit(limiter, {.max_wait = 20ms});
  holdfast::testing::Population clients(
      world, holdfast::testing::OpenClients{.count = settings.clients, .rate = rate},
      Backend([&cluster](std::int64_t, holdfast::Call&,
                         const holdfast::testing::Reply<absl::Status>& reply) {
        cluster.Serve(reply);
      }),
      [&limit] { return holdfast::Stack(limit, holdfast::Timeout(1s)); });

  ChartLine limits{.name = "limit"};
  ChartLine workers{.name = "what the servers work on at once"};
  std::function<void()> watch = [&] {
    const Duration now = world.Now().time_since_epoch();
    limits.points.emplace_back(now, static_cast<double>(limiter->limit()));
    workers.points.emplace_back(now, cluster.Workers());
    world.After(1s, watch);
  };
  watch();
  if (settings.progress) world.OnProgress(100ms, settings.progress);
  world.RunUntil(kLength);
  Outcome outcome{
      name, clients.results(), kTwoGone, std::nullopt, {std::move(limits), std::move(workers)}};
  outcome.recovered = outcome.results.TimeToRecover(kTwoGone, {.warm_up = 30s});
  return {std::move(outcome)};
}

Variant LimitVariant(const std::string& name, const AdaptiveLimiter::Options& options) {
  return {name, [=](const Settings& settings) { return Limited(settings, name, options); }};
}

}  // namespace

Scenario AdaptiveLimits() {
  return {"adaptive-limits",
          "two of three servers go away for a minute, and adaptive limits follow, per algorithm",
          kLength,
          {LimitVariant("Vegas", {.algorithm = holdfast::Vegas{}}),
           LimitVariant("Gradient2", {.algorithm = holdfast::Gradient2{}, .minimum = 1}),
           LimitVariant("AIMD", {.algorithm = holdfast::Aimd{}, .minimum = 1})}};
}

}  // namespace storm
