// What a simulated call costs: closed clients, each with a retry, a budget and a timeout of its
// own, and a server that is out for a quarter of the time, so that calls time out and are tried
// again.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <ctime>
#include <memory>

#include "holdfast/holdfast.h"
#include "holdfast/testing.h"

namespace {

using namespace std::chrono_literals;
using namespace holdfast::testing;  // NOLINT(google-build-using-namespace): a program of its own
using holdfast::Retry;
using holdfast::RetryBudget;
using holdfast::Stack;
using holdfast::Timeout;

auto ClientStack(std::int64_t) {
  const RetryBudget::Options budget{.capacity = 10, .per_success = 0.1};
  return Stack(Retry({.max_attempts = 4, .budget = std::make_shared<RetryBudget>(budget)}),
               Timeout(1s));
}

double PeakMebibytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

// The time is the processor's, and that of the run alone.
void SimulatedCall(benchmark::State& state) {
  const std::int64_t clients = state.range(0);
  double calls = 0;
  double attempts = 0;
  double events = 0;
  for (auto _ : state) {
    World world(1);
    Server server(world, {.workers = clients / 750,
                          .max_queue = clients * 4 / 10,
                          .failures = {{.from = 20s, .to = 40s, .kind = FailureKind::kHang}}});
    Population population(world, ClosedClients{.count = clients}, server, ClientStack);
    const std::clock_t begin = std::clock();
    world.RunFor(80s);
    const std::clock_t took = std::clock() - begin;
    const Results results = population.results();
    state.SetIterationTime(static_cast<double>(took) / CLOCKS_PER_SEC);
    calls += static_cast<double>(results.calls);
    attempts += static_cast<double>(results.attempts);
    events += static_cast<double>(world.events());
  }
  using benchmark::Counter;
  const auto flags = Counter::kIsRate | Counter::kInvert;
  state.counters["per_call"] = Counter(calls, flags);
  state.counters["per_attempt"] = Counter(attempts, flags);
  state.counters["per_event"] = Counter(events, flags);
  state.counters["peak_MiB"] = PeakMebibytes();
}
BENCHMARK(SimulatedCall)
    ->Arg(10'000)
    ->Arg(100'000)
    ->Arg(1'000'000)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
