#include "scenarios.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <memory>
#include <utility>

#include "adaptive_limits.h"
#include "holdfast/holdfast.h"
#include "holdfast/testing.h"
#include "recovery.h"

namespace storm {
namespace {

using namespace std::chrono_literals;
using holdfast::Duration;
using holdfast::RetryBudget;
using holdfast::Stack;
using holdfast::Timeout;
using holdfast::testing::Backend;
using holdfast::testing::ClosedClients;
using holdfast::testing::Distribution;
using holdfast::testing::Disturbance;
using holdfast::testing::FailureKind;
using holdfast::testing::OpenClients;
using holdfast::testing::Population;
using holdfast::testing::Results;
using holdfast::testing::Server;
using holdfast::testing::ServerOptions;
using holdfast::testing::World;

Duration Seconds(double seconds) {
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

// Calls per second of all clients together.
double Rate(const Settings& settings) {
  return 0.1 * static_cast<double>(std::max<std::int64_t>(settings.clients, 1000));
}

// A server that `rate` calls per second keep busy for the share `load` of its time. Its queue holds
// four seconds of work, and it also serves calls whose clients have given up.
ServerOptions ServerFor(double rate, double load) {
  const double capacity = rate / load;
  const double workers = std::max(1.0, std::round(capacity * 0.02));  // 20 ms a call
  return {.service = Distribution::Exponential(Seconds(workers / capacity)),
          .workers = static_cast<std::int64_t>(workers),
          .max_queue = static_cast<std::int64_t>(4 * capacity)};
}

void Run(World& world, const Settings& settings, Duration length) {
  if (settings.progress) world.OnProgress(100ms, settings.progress);
  world.RunUntil(length);
}

Outcome OutcomeOf(std::string name, const Disturbance& disturbance, Results results) {
  const auto recovered = UntilMostSucceed(results, disturbance.to);
  return {std::move(name), std::move(results), disturbance, recovered};
}

// One policy object for each process. The clients of a process make ten calls per second together.
template <class T>
class PerProcess {
 public:
  template <class Make>
  PerProcess(const Settings& settings, Make make) : clients_(settings.clients) {
    const auto processes = static_cast<std::int64_t>(std::ceil(Rate(settings) / 10));
    for (std::int64_t i = 0; i < std::min(processes, clients_); ++i) objects_.push_back(make());
  }

  const std::shared_ptr<T>& Of(std::int64_t client) const {
    const auto share = static_cast<double>(client) / static_cast<double>(clients_);
    return objects_[static_cast<std::size_t>(share * static_cast<double>(objects_.size()))];
  }

 private:
  std::int64_t clients_;
  std::vector<std::shared_ptr<T>> objects_;
};

// 1 and 2. A server that is busy for three quarters of its time hangs for 25 seconds. Retries
// without a budget make up to four times the load; afterwards the server works on calls whose
// clients have given up, and the retries of those clients keep it overloaded: a metastable failure
// (Bronson, Aghayev, Charapko and Zhu, "Metastable Failures in Distributed Systems", HotOS 2021).
// On retries that multiply load see "Addressing Cascading Failures" (Site Reliability Engineering,
// O'Reilly 2016, chapter 22).
constexpr Disturbance kHang = {20s, 45s};
constexpr Duration kRetryStorm = 120s;

template <class MakeStack>
std::vector<Outcome> RetryStorm(const Settings& settings, std::string name, MakeStack make_stack) {
  World world(settings.seed);
  ServerOptions server_options = ServerFor(Rate(settings), 0.75);
  server_options.failures = {{kHang.from, kHang.to, 1, FailureKind::kHang}};
  Server server(world, server_options);
  Population clients(world, OpenClients{.count = settings.clients, .rate = Rate(settings)}, server,
                     make_stack);
  Run(world, settings, kRetryStorm);
  return {OutcomeOf(std::move(name), kHang, clients.results())};
}

std::vector<Outcome> WithoutRetries(const Settings& settings) {
  return RetryStorm(settings, "no retries", [] { return Stack(Timeout(1s)); });
}

std::vector<Outcome> WithoutBudget(const Settings& settings) {
  return RetryStorm(settings, "no budget", [] {
    return Stack(holdfast::Retry({.max_attempts = 4, .budget = RetryBudget::Unlimited()}),
                 Timeout(1s));
  });
}

// A Retry without a given budget makes its own, of a hundred retries: more than a client that calls
// once in ten seconds can spend, so the budget never limits it.
std::vector<Outcome> WithClientBudget(const Settings& settings) {
  return RetryStorm(settings, "budget per client",
                    [] { return Stack(holdfast::Retry({.max_attempts = 4}), Timeout(1s)); });
}

std::vector<Outcome> WithBudget(const Settings& settings) {
  const PerProcess<RetryBudget> budgets(settings, [] { return RetryBudget::MakeDefault(); });
  return RetryStorm(settings, "budget per process", [&](std::int64_t client) {
    return Stack(holdfast::Retry({.max_attempts = 4, .budget = budgets.Of(client)}), Timeout(1s));
  });
}

// 3. All clients lose their connections to a server at one moment; it is back after two seconds,
// and each client retries until it is connected. To connect all of them is four seconds of work;
// the server's queue holds one second of it, and the server rejects the rest. The jitters are those
// of "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
constexpr Disturbance kDown = {2s, 4s};
constexpr Duration kHerd = 30s;

// The connection that a client had: the client's first attempt notices the loss.
struct LostConnection {
  struct State {};
  static holdfast::Verdict Before(holdfast::Call& call, State&) {
    if (call.now() > holdfast::TimePoint(kDown.from)) return holdfast::Verdict::Proceed();
    return holdfast::Verdict::Reject(absl::UnavailableError("connection lost"));
  }
  template <class R>
  static holdfast::Next After(holdfast::Call&, State&, R&) {
    return holdfast::Next::Done();
  }
};

std::vector<Outcome> Herd(const Settings& settings, std::string name, holdfast::Jitter jitter) {
  World world(settings.seed);
  ServerOptions server_options = ServerFor(static_cast<double>(settings.clients) / 4, 1);
  server_options.max_queue = std::max<std::int64_t>(settings.clients / 4, 1);
  server_options.failures = {{kDown.from, kDown.to}};
  Server server(world, server_options);
  const auto backoff = holdfast::Backoff::Exponential({.initial = 1s, .jitter = jitter});
  const auto stack = [&] {
    return Stack(holdfast::Retry({.max_attempts = 100,
                                  .backoff = backoff,
                                  .budget = RetryBudget::Unlimited(),
                                  .wait_for_refusals = true}),  // LostConnection rejects
                 LostConnection());
  };
  const ClosedClients one_call_each = {.count = settings.clients,
                                       .start = kDown.from,
                                       .ramp = 0s,
                                       .end = kDown.from,
                                       .bucket = 500ms};
  Population herd(world, one_call_each, server, stack);
  Run(world, settings, kHerd);
  Results results = herd.results();
  const auto recovered = UntilMostAreConnected(results, kDown.to);
  return {{std::move(name), std::move(results), kDown, recovered}};
}

// 4. A caller uses two services, and one becomes fifty times slower. Calls to that one then hold
// the caller's threads until they time out, and none are left for the other, unless a bulkhead for
// each service keeps it to half of the threads.
constexpr Disturbance kSlow = {16s, 36s};
constexpr Duration kSlowServer = 60s;

std::vector<Outcome> SlowServer(const Settings& settings, const std::string& name, bool bulkheads) {
  World world(settings.seed);
  const double rate = Rate(settings) / 2;  // to each of the two
  const auto limit = static_cast<std::int64_t>(rate * 0.16);
  const auto threads =
      std::make_shared<holdfast::Semaphore>(holdfast::Semaphore::Options{.limit = 2 * limit});
  const auto stack = [&] {
    return Stack(Timeout(1s), holdfast::Bulkhead(threads, {.max_wait = 100ms}),
                 holdfast::Bulkhead({.limit = bulkheads ? limit : 2 * limit}, {.max_wait = 0s}));
  };
  Server fast(world, ServerFor(rate, 0.5));
  ServerOptions slow_options = ServerFor(rate, 0.5);
  slow_options.brown_outs = {{kSlow.from, kSlow.to, 50}};
  Server slow(world, slow_options);
  const OpenClients options{.count = settings.clients, .rate = rate};
  auto fast_stack = stack();
  auto slow_stack = stack();
  Population to_fast(world, options, fast, [&] { return fast_stack; });
  Population to_slow(world, options, slow, [&] { return slow_stack; });
  Run(world, settings, kSlowServer);
  Results fast_results = to_fast.results();
  fast_results.disturbances.push_back(kSlow);  // of the other server
  return {OutcomeOf("fast, " + name, kSlow, std::move(fast_results)),
          OutcomeOf("slow, " + name, kSlow, to_slow.results())};
}

// 5. A server that is later busy for seven tenths of its time starts with cold caches: four times
// slower for ten seconds, then twice as slow for ten. In the first five seconds three times as many
// calls arrive as later.
constexpr Disturbance kCold = {0s, 20s};
constexpr Duration kColdStart = 90s;

template <class MakeStack>
std::vector<Outcome> ColdStart(const Settings& settings, World& world, std::string name,
                               MakeStack make_stack) {
  const double rate = Rate(settings);
  ServerOptions server_options = ServerFor(rate, 0.7);
  server_options.brown_outs = {{0s, 10s, 4}, {10s, 20s, 2}};
  Server server(world, server_options);
  Population usual(world, OpenClients{.count = settings.clients, .rate = rate}, server, make_stack);
  Population rush(world, OpenClients{.count = settings.clients, .rate = 2 * rate, .end = 5s},
                  server, make_stack);
  Run(world, settings, kColdStart);
  Results results = usual.results();
  results.Add(rush.results());
  return {OutcomeOf(std::move(name), kCold, std::move(results))};
}

std::vector<Outcome> ColdUnprotected(const Settings& settings) {
  World world(settings.seed);
  return ColdStart(settings, world, "no budget", [] {
    return Stack(holdfast::Retry({.max_attempts = 4, .budget = RetryBudget::Unlimited()}),
                 Timeout(1s));
  });
}

std::vector<Outcome> ColdRamp(const Settings& settings) {
  World world(settings.seed);
  const double rate = Rate(settings);
  const auto bucket = std::make_shared<holdfast::TokenBucket>(holdfast::TokenBucket::Options{
      .rate = rate / 10, .burst = static_cast<std::int64_t>(rate / 10), .clock = world.clock()});
  for (int second = 1; second <= 40; ++second) {
    world.At(second * 1s, [=] { bucket->SetRate(rate * (0.1 + 0.03 * second)); });
  }
  return ColdStart(settings, world, "rate ramp", [&] {
    return Stack(holdfast::Retry({.max_attempts = 4, .budget = RetryBudget::Unlimited()}),
                 holdfast::RateLimit(bucket, {.max_wait = 0s}), Timeout(1s));
  });
}

std::vector<Outcome> ColdBudget(const Settings& settings) {
  World world(settings.seed);
  const PerProcess<RetryBudget> budgets(settings, [] { return RetryBudget::MakeDefault(); });
  return ColdStart(settings, world, "budget per process", [&](std::int64_t client) {
    return Stack(holdfast::Retry({.max_attempts = 4, .budget = budgets.Of(client)}), Timeout(1s));
  });
}

std::vector<Outcome> ColdAdaptive(const Settings& settings) {
  World world(settings.seed);
  const holdfast::AdaptiveTimeout adaptive({.clock = world.clock()}, {.max = 10s});
  return ColdStart(settings, world, "adaptive timeout", [&] {
    return Stack(holdfast::Retry({.max_attempts = 4, .budget = RetryBudget::Unlimited()}),
                 adaptive);
  });
}

// 6. One of ten backends is a hundred times slower, and each attempt goes to a random one.
constexpr Disturbance kBad = {10s, 50s};
constexpr Duration kOneBad = 60s;

template <class MakeStack>
std::vector<Outcome> OneBad(const Settings& settings, std::string name, MakeStack make_stack) {
  World world(settings.seed);
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<Server*> backends;
  for (int i = 0; i < 10; ++i) {
    ServerOptions options = ServerFor(Rate(settings) / 10, 0.2);
    if (i == 0) options.brown_outs = {{kBad.from, kBad.to, 100}};
    servers.push_back(std::make_unique<Server>(world, options));
    backends.push_back(servers.back().get());
  }
  Population clients(world, OpenClients{.count = settings.clients, .rate = Rate(settings)},
                     Backend(backends), make_stack);
  Run(world, settings, kOneBad);
  return {OutcomeOf(std::move(name), kBad, clients.results())};
}

std::vector<Outcome> BadPlain(const Settings& settings) {
  return OneBad(settings, "plain", [] { return Stack(Timeout(500ms)); });
}

std::vector<Outcome> BadRetry(const Settings& settings) {
  const PerProcess<RetryBudget> budgets(settings, [] { return RetryBudget::MakeDefault(); });
  return OneBad(settings, "retry", [&](std::int64_t client) {
    return Stack(holdfast::Retry({.budget = budgets.Of(client)}), Timeout(500ms));
  });
}

std::vector<Outcome> BadHedge(const Settings& settings) {
  const PerProcess<RetryBudget> budgets(settings, [] { return RetryBudget::MakeDefault(); });
  return OneBad(settings, "retry and hedge", [&](std::int64_t client) {
    return Stack(holdfast::Retry({.budget = budgets.Of(client)}),
                 holdfast::Hedge({.delay = 80ms, .max_hedges = 2, .budget = budgets.Of(client)},
                                 holdfast::HedgeAll()),
                 Timeout(500ms));
  });
}

Variant JitterVariant(const std::string& name, holdfast::Jitter jitter) {
  return {name, [=](const Settings& settings) { return Herd(settings, name, jitter); }};
}

Variant SlowVariant(const std::string& name, bool bulkheads) {
  return {name, [=](const Settings& settings) { return SlowServer(settings, name, bulkheads); }};
}

}  // namespace

const std::vector<Scenario>& Scenarios() {
  static const std::vector<Scenario> scenarios = {
      {"retry-storm",
       "a server hangs for 25 s, and retries without a budget keep it down",
       kRetryStorm,
       {{"no retries", WithoutRetries}, {"no budget", WithoutBudget}}},
      {"retry-storm-budget",
       "the same with a retry budget for each client, or for each process of many clients",
       kRetryStorm,
       {{"no budget", WithoutBudget},
        {"budget per client", WithClientBudget},
        {"budget per process", WithBudget}}},
      {"thundering-herd",
       "all clients lose their connections at once and retry until connected, per jitter",
       kHerd,
       {JitterVariant("no jitter", holdfast::Jitter::kNone),
        JitterVariant("full jitter", holdfast::Jitter::kFull),
        JitterVariant("equal jitter", holdfast::Jitter::kEqual),
        JitterVariant("decorrelated jitter", holdfast::Jitter::kDecorrelated)}},
      {"slow-server",
       "one of two services slows down, and its calls take all threads of the caller",
       kSlowServer,
       {SlowVariant("shared threads", false), SlowVariant("bulkheads", true)}},
      {"cold-start",
       "many clients call at once while the server's caches are cold",
       kColdStart,
       {{"no budget", ColdUnprotected},
        {"budget per process", ColdBudget},
        {"rate ramp", ColdRamp},
        {"adaptive timeout", ColdAdaptive}}},
      {"one-bad-of-ten",
       "one backend of ten is a hundred times slower",
       kOneBad,
       {{"plain", BadPlain}, {"retry", BadRetry}, {"retry and hedge", BadHedge}}},
      AdaptiveLimits(),
  };
  return scenarios;
}

const Scenario* Find(const std::string& name) {
  for (const Scenario& scenario : Scenarios()) {
    if (scenario.name == name) return &scenario;
  }
  return nullptr;
}

}  // namespace storm
