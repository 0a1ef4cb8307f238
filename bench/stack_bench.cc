// What a stack costs a call that every policy lets through, beside one reading of the clock; what a
// refusal costs; and what each policy adds by itself.
#include <absl/status/status.h>
#include <benchmark/benchmark.h>

#include <chrono>
#include <memory>

#include "holdfast/holdfast.h"

namespace {

using namespace std::chrono_literals;
using holdfast::BreakerCounts;
using holdfast::Bulkhead;
using holdfast::CircuitBreak;
using holdfast::CircuitBreaker;
using holdfast::Outcome;
using holdfast::RateLimit;
using holdfast::Retry;
using holdfast::Semaphore;
using holdfast::Stack;
using holdfast::Timeout;
using holdfast::TokenBucket;

// Out of line, as a real call would be.
[[gnu::noinline]] absl::Status Execute(int request) {
  benchmark::DoNotOptimize(request);
  return absl::OkStatus();
}

const TokenBucket::Options kPlenty{.rate = 1e9, .burst = 1'000'000'000};

auto FivePolicies() {
  return Stack(Timeout(10s), Retry({.max_attempts = 4}), CircuitBreak(CircuitBreaker::Options{}),
               RateLimit(kPlenty), Bulkhead(Semaphore::Options{.limit = 100}));
}

void ClockRead(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(std::chrono::steady_clock::now());
}
BENCHMARK(ClockRead);

void ExecutorAlone(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(Execute(1));
}
BENCHMARK(ExecutorAlone);

template <class MakeStack>
void Around(benchmark::State& state, const MakeStack& make) {
  const auto call = make().Around(Execute);
  for (auto _ : state) benchmark::DoNotOptimize(call(1));
}

void StackOfNone(benchmark::State& state) {
  Around(state, [] { return Stack(); });
}
BENCHMARK(StackOfNone);

void TimeoutAlone(benchmark::State& state) {
  Around(state, [] { return Stack(Timeout(10s)); });
}
BENCHMARK(TimeoutAlone);

void RetryAlone(benchmark::State& state) {
  Around(state, [] { return Stack(Retry({})); });
}
BENCHMARK(RetryAlone);

void CircuitBreakAlone(benchmark::State& state) {
  Around(state, [] { return Stack(CircuitBreak(CircuitBreaker::Options{})); });
}
BENCHMARK(CircuitBreakAlone);

void RateLimitAlone(benchmark::State& state) {
  Around(state, [] { return Stack(RateLimit(kPlenty)); });
}
BENCHMARK(RateLimitAlone);

void BulkheadAlone(benchmark::State& state) {
  Around(state, [] { return Stack(Bulkhead(Semaphore::Options{.limit = 100})); });
}
BENCHMARK(BulkheadAlone);

void StackOfFive(benchmark::State& state) { Around(state, FivePolicies); }
BENCHMARK(StackOfFive);

void RefusedByOpenBreaker(benchmark::State& state) {
  auto breaker = std::make_shared<CircuitBreaker>(
      CircuitBreaker::Options{.ready_to_trip = [](const BreakerCounts&) { return true; }});
  breaker->Admit()->Done(Outcome::kFailure);
  Around(state, [&breaker] { return Stack(CircuitBreak(breaker)); });
}
BENCHMARK(RefusedByOpenBreaker);

void RefusedByRateLimit(benchmark::State& state) {
  Around(state, [] {
    return Stack(RateLimit(TokenBucket::Options{.rate = 1e-3, .burst = 1}, {.max_wait = 0s}));
  });
}
BENCHMARK(RefusedByRateLimit);

void RefusedByBulkhead(benchmark::State& state) {
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  const auto permit = semaphore->TryAcquire();
  Around(state, [&semaphore] { return Stack(Bulkhead(semaphore, {.max_wait = 0s})); });
}
BENCHMARK(RefusedByBulkhead);

}  // namespace
