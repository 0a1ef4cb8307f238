// What it costs a call to be counted, measured and observed: a stack of five that every policy lets
// through, as nobody knows of it, in a registry that asks for no durations and in one that does,
// and with an observer of rare events and one of all. Whoever adds a stack to a registry for its
// totals is to pay nothing for that (ratio 1.02 at most); durations are to cost one reading of the
// clock and 8 ns; and counters and histograms that two threads fill are to cost each no more
// than 1.2 times what they cost one.
//
// Each is the median of several short repetitions: see rate_bench.cc.
#include <absl/status/status.h>
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <memory>

#include "holdfast/base/internal/striped_counters.h"
#include "holdfast/base/time.h"
#include "holdfast/call/internal/duration_histogram.h"
#include "holdfast/holdfast.h"
#include "holdfast/metrics/metrics.h"

namespace {

using namespace std::chrono_literals;
using holdfast::Bulkhead;
using holdfast::CircuitBreak;
using holdfast::CircuitBreaker;
using holdfast::Duration;
using holdfast::Event;
using holdfast::Metrics;
using holdfast::Observer;
using holdfast::RateLimit;
using holdfast::Retry;
using holdfast::Semaphore;
using holdfast::Severity;
using holdfast::Stack;
using holdfast::Timeout;
using holdfast::TokenBucket;

// Out of line, as a real call would be.
[[gnu::noinline]] absl::Status Execute(int request) {
  benchmark::DoNotOptimize(request);
  return absl::OkStatus();
}

auto FivePolicies() {
  return Stack(Timeout(10s), Retry({.max_attempts = 4}), CircuitBreak(CircuitBreaker::Options{}),
               RateLimit(TokenBucket::Options{.rate = 1e9, .burst = 1'000'000'000}),
               Bulkhead(Semaphore::Options{.limit = 100}));
}

class Counts final : public Observer {
 public:
  explicit Counts(Severity least) : least_(least) {}
  void OnEvent(const Event& event) override {
    benchmark::DoNotOptimize(event.severity);
    ++events_;
  }
  Severity least_severity() const override { return least_; }
  std::int64_t events() const { return events_; }

 private:
  const Severity least_;
  std::int64_t events_ = 0;  // the benchmark has one thread
};

template <class Call>
void Run(benchmark::State& state, const Call& call) {
  for (auto _ : state) benchmark::DoNotOptimize(call(1));
}

void InRegistry(benchmark::State& state, const holdfast::MetricsOptions& options) {
  const auto stack = FivePolicies();
  Metrics metrics(options);
  if (!metrics.Add("five", stack).ok()) return state.SkipWithError("it was not added");
  Run(state, stack.Around(Execute));
}

void Observed(benchmark::State& state, Severity least) {
  const auto observer = std::make_shared<Counts>(least);
  Run(state, FivePolicies().Observed("five", observer).Around(Execute));
  state.counters["events"] = static_cast<double>(observer->events());
}

void Short(benchmark::internal::Benchmark* b) { b->Repetitions(11)->MinTime(0.02); }
void ShortByOneAndTwo(benchmark::internal::Benchmark* b) {
  Short(b);
  b->ThreadRange(1, 2);
}

void FiveUnknown(benchmark::State& state) { Run(state, FivePolicies().Around(Execute)); }
BENCHMARK(FiveUnknown)->Apply(Short);

void FiveCounted(benchmark::State& state) { InRegistry(state, {.durations = false}); }
BENCHMARK(FiveCounted)->Apply(Short);

void FiveTimed(benchmark::State& state) { InRegistry(state, {}); }
BENCHMARK(FiveTimed)->Apply(Short);

void FiveObservedRarely(benchmark::State& state) { Observed(state, Severity::kWarning); }
BENCHMARK(FiveObservedRarely)->Apply(Short);

void FiveObservedAlways(benchmark::State& state) { Observed(state, Severity::kDebug); }
BENCHMARK(FiveObservedAlways)->Apply(Short);

void MetricsClockRead(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(holdfast::internal::ReadClock(nullptr));
}
BENCHMARK(MetricsClockRead)->Apply(Short);

// One object for all threads.
void CounterAdd(benchmark::State& state) {
  static auto& counters = *new holdfast::internal::StripedCounters(1);
  for (auto _ : state) counters.Add(0);
}
BENCHMARK(CounterAdd)->Apply(ShortByOneAndTwo);

void HistogramRecord(benchmark::State& state) {
  static auto& histogram = *new holdfast::internal::DurationHistogram;
  Duration took = 1us;
  for (auto _ : state) {
    histogram.Record(took);
    took = took < 1s ? took * 3 / 2 : Duration(1us);
  }
}
BENCHMARK(HistogramRecord)->Apply(ShortByOneAndTwo);

// A stack of none: what is left is the counter, and the machine.
void CallCounted(benchmark::State& state) {
  static const auto& call = *new auto(Stack().Around(Execute));
  Run(state, call);
}
BENCHMARK(CallCounted)->Apply(ShortByOneAndTwo);

}  // namespace
