// What it costs to bound how many are at it at once, beside two atomic additions to one word, a
// std::counting_semaphore and a counter behind a mutex; and what a Cache takes to answer.
//
// A permit that is taken and given back is to cost at most three times the two additions, and a
// refusal no more than a permit.
#include <absl/status/status.h>
#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <semaphore>

#include "holdfast/cache/cache.h"
#include "holdfast/concurrency/bulkhead.h"
#include "holdfast/concurrency/semaphore.h"
#include "holdfast/stack/stack.h"

namespace {

using namespace std::chrono_literals;
using holdfast::Bulkhead;
using holdfast::Cache;
using holdfast::Semaphore;
using holdfast::Stack;

constexpr std::int64_t kLimit = 100;

void OneAndTwoThreads(benchmark::internal::Benchmark* benchmark) {
  benchmark->MinTime(0.03)->Repetitions(9)->Threads(1)->Threads(2);
}

// Shared by the threads of a run, as the others are.
std::atomic<std::int64_t> word;

void TwoAtomicAdds(benchmark::State& state) {
  for (auto _ : state) {
    word.fetch_add(1, std::memory_order_acq_rel);
    word.fetch_sub(1, std::memory_order_acq_rel);
  }
}
BENCHMARK(TwoAtomicAdds)->Apply(OneAndTwoThreads);

Semaphore semaphore({.limit = kLimit});

void AcquireRelease(benchmark::State& state) {
  for (auto _ : state) {
    auto permit = semaphore.TryAcquire();
    if (!permit) state.SkipWithError("refused");
    benchmark::DoNotOptimize(permit);
  }
}
BENCHMARK(AcquireRelease)->Apply(OneAndTwoThreads);

std::counting_semaphore<kLimit> standard(kLimit);

void StandardAcquireRelease(benchmark::State& state) {
  for (auto _ : state) {
    standard.acquire();
    standard.release();
  }
}
BENCHMARK(StandardAcquireRelease)->Apply(OneAndTwoThreads);

std::mutex mutex;
std::int64_t counter = 0;  // guarded by it

void MutexedAcquireRelease(benchmark::State& state) {
  for (auto _ : state) {
    {
      const std::lock_guard lock(mutex);
      if (counter == kLimit) state.SkipWithError("refused");
      ++counter;
    }
    const std::lock_guard lock(mutex);
    --counter;
  }
}
BENCHMARK(MutexedAcquireRelease)->Apply(OneAndTwoThreads);

Semaphore full({.limit = 1});
const auto kAllOfIt = full.TryAcquire();

void AcquireRefused(benchmark::State& state) {
  for (auto _ : state) {
    auto permit = full.TryAcquire();
    if (permit) state.SkipWithError("admitted");
    benchmark::DoNotOptimize(permit);
  }
}
BENCHMARK(AcquireRefused)->Apply(OneAndTwoThreads);

const auto kSucceed = [] { return absl::OkStatus(); };

void BulkheadAdmits(benchmark::State& state) {
  static const auto call = Stack(Bulkhead({.limit = kLimit}, {.max_queue = 0})).Around(kSucceed);
  for (auto _ : state) benchmark::DoNotOptimize(call());
}
BENCHMARK(BulkheadAdmits)->Apply(OneAndTwoThreads);

void BulkheadRefuses(benchmark::State& state) {
  static const auto shared = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  static const auto held = shared->TryAcquire();
  static const auto call = Stack(Bulkhead(shared, {.max_queue = 0})).Around(kSucceed);
  for (auto _ : state) benchmark::DoNotOptimize(call());
}
BENCHMARK(BulkheadRefuses)->Apply(OneAndTwoThreads);

void CacheHit(benchmark::State& state) {
  static const auto call = Stack(Cache<absl::Status>({.ttl = 24h})).Around(kSucceed);
  for (auto _ : state) benchmark::DoNotOptimize(call.With({.key = "orders/7"}));
}
BENCHMARK(CacheHit)->Apply(OneAndTwoThreads);

}  // namespace
