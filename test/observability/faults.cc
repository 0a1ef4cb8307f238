// Half an hour of three stacks in virtual time, with an outage, a brown-out, a rush of calls, and
// in the end more stacks than the registry has room for. Prints what a registry tells every 15 s,
// each time after a line with the second: "# at 15".
#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <chrono>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/holdfast.h"
#include "holdfast/metrics.h"
#include "holdfast/testing.h"

namespace {

using namespace std::chrono_literals;
using holdfast::testing::Distribution;
using holdfast::testing::Random;
using holdfast::testing::Reply;
using holdfast::testing::Server;
using holdfast::testing::World;

constexpr auto kLength = 30min;
constexpr auto kEvery = 15s;

// Down from minute 5 to 8, and eight times as slow from minute 12 to 16.
Server MakeServer(World& world, std::string name) {
  return Server(world, {.name = std::move(name),
                        .service = Distribution::LogNormal(20ms, 100ms),
                        .workers = 8,
                        .max_queue = 100,
                        .failures = {{.from = 5min, .to = 8min}},
                        .brown_outs = {{.from = 12min, .to = 16min, .factor = 8}}});
}

auto To(Server& server) {
  return [&server](holdfast::Call&, Reply<absl::Status> reply) { server.Serve(std::move(reply)); };
}

auto Orders() {
  return holdfast::Stack(
      holdfast::Bulkhead({.limit = 10, .name = "orders"}, {.max_wait = 500ms}),
      holdfast::Timeout(2s),
      holdfast::Retry({.max_attempts = 3,
                       .backoff = holdfast::Backoff::Constant(100ms),
                       .budget = std::make_shared<holdfast::RetryBudget>(
                           holdfast::RetryBudget::Options{.capacity = 20, .name = "orders"}),
                       .pause = std::make_shared<holdfast::RetryPause>()}),
      holdfast::CircuitBreak({.name = "orders-db",
                              .timeout = 20s,
                              .rules = {holdfast::ConsecutiveFailures(50)},
                              .slow_call = 200ms}),
      holdfast::Timeout(300ms));
}

auto Search() {
  return holdfast::Stack(
      holdfast::Cache<absl::Status>({.ttl = 2s, .stale_if_error = 10s, .max_entries = 50}),
      holdfast::KeyedRateLimit({.limits = {.rate = 2, .burst = 4}, .name = "users"},
                               {.max_wait = 0s}),
      holdfast::KeyedCircuitBreak({.breaker = {.timeout = 20s}, .name = "shards"}),
      holdfast::AdaptiveThrottle({.name = "search"}),
      holdfast::AdaptiveLimit({.maximum = 8, .name = "search"}),
      holdfast::AdaptiveTimeout(
          holdfast::LatencyQuantile::Options{.min_samples = 20, .name = "search"}));
}

auto Prices() {
  const auto pool = std::make_shared<holdfast::ThreadPool>(
      holdfast::ThreadPool::Options{.max_threads = 8, .name = "prices"});
  return holdfast::Stack(
      holdfast::Fallback([](const absl::Status&) { return absl::OkStatus(); }),
      holdfast::RateLimit({.rate = 60, .burst = 20, .name = "prices"}, {.max_wait = 0s}),
      holdfast::Pace({.rate = 100, .name = "prices"}),
      holdfast::Hedge({.delay = 60ms, .pool = pool}, holdfast::HedgeAll()),
      holdfast::Timeout(500ms, pool));
}

std::vector<std::string> Keys() {
  std::vector<std::string> keys;
  for (int i = 0; i < 100; ++i) keys.push_back(absl::StrCat("key", i));
  return keys;
}

// Calls at random times, `rate` a second on average; for a minute after minute 20 ten times as
// many.
template <class Fetch>
void Arrive(World& world, const Fetch& fetch, double rate) {
  auto random = std::make_shared<Random>(world.NewRandom());
  const auto arrive = std::make_shared<std::function<void()>>();
  *arrive = [&world, fetch, rate, random, next = std::weak_ptr(arrive)] {
    static const std::vector<std::string> keys = Keys();
    fetch.With({.key = keys[random->Below(keys.size())],
                .priority = random->Below(4) == 0 ? holdfast::Priority::kLow
                                                  : holdfast::Priority::kNormal});
    const auto now = world.Now().time_since_epoch();
    const double factor = now >= 20min && now < 21min ? 10 : 1;
    world.After(std::chrono::duration<double>(random->Exponential() / rate / factor), *next.lock());
  };
  world.Keep(arrive);
  world.After(0s, *arrive);
}

}  // namespace

int main() {
  World world;
  holdfast::Metrics metrics({.max_series = 1000});
  Server orders_db = MakeServer(world, "orders-db");
  Server index = MakeServer(world, "index");
  Server exchange = MakeServer(world, "exchange");
  const auto orders = Orders();
  const auto search = Search();
  const auto prices = Prices();
  for (const absl::Status& added : {metrics.Add("orders", orders), metrics.Add("search", search),
                                    metrics.Add("prices", prices)}) {
    if (!added.ok()) {
      std::cerr << added << '\n';
      return 1;
    }
  }
  Arrive(world, Simulate(world, orders, To(orders_db)), 40);
  Arrive(world, Simulate(world, search, To(index)), 80);
  Arrive(world, Simulate(world, prices, To(exchange)), 30);
  // More than there is room for.
  std::vector<decltype(Orders())> more;
  world.At(28min, [&] {
    for (int i = 0; i < 40; ++i) {
      more.push_back(Orders());
      metrics.Add(absl::StrCat("more", i), more.back()).IgnoreError();
    }
  });
  world.OnProgress(kEvery, [&](holdfast::Duration now) {
    std::cout << "# at " << std::chrono::duration_cast<std::chrono::seconds>(now).count() << '\n'
              << metrics.Text();
    return true;
  });
  world.RunFor(kLength);
  return 0;
}
