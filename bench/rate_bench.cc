// What a TokenBucket costs that one thread has or two share, beside an atomic addition to a word
// that they share likewise and one reading of the clock. One thread's AllowAt is to cost at most
// three such additions, its Allow a quarter more than reading the clock does, and a refusal, which
// is counted, no more than a grant and one such addition.
//
// Each is the median of several short repetitions: on a busy machine one sample says little, and
// two threads' says nothing where they had to share a processor. Where the machine's frequency
// changes with what its neighbours do, take --benchmark_enable_random_interleaving as well.
#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <thread>

#include "holdfast/base/time.h"
#include "holdfast/rate/token_bucket.h"

namespace {

using namespace std::chrono_literals;
using holdfast::Reservation;
using holdfast::TimePoint;
using holdfast::TokenBucket;

// The threads of a run share the bucket, which is new in each. Where the time is given it begins at
// `start` and goes on by a nanosecond with each operation of a thread: more slowly than the clock.
std::unique_ptr<TokenBucket> bucket;
TimePoint start;

void Make(const TokenBucket::Options& options) {
  bucket = std::make_unique<TokenBucket>(options);
  start = std::chrono::steady_clock::now();
}

// Gets back in a nanosecond what an operation takes.
void Plenty(const benchmark::State&) { Make({.rate = 1e9, .burst = 1'000'000'000}); }

// Gets its next token in a quarter of an hour.
void Empty(const benchmark::State&) {
  Make({.rate = 1e-3, .burst = 1});
  (void)bucket->Allow();
}

// Has the next token in a millisecond.
void Thousand(const benchmark::State&) { Make({.rate = 1e3, .burst = 1}); }

void Usual(benchmark::internal::Benchmark* benchmark) { benchmark->MinTime(0.03)->Repetitions(9); }

void OneAndTwoThreads(benchmark::internal::Benchmark* benchmark) {
  benchmark->Apply(Usual)->Threads(1)->Threads(2);
}

// A benchmark does what its name says, or fails.
void Expect(benchmark::State& state, bool ok) {
  if (!ok) state.SkipWithError("not what this is about");
}

// The yardsticks.

void OneAtomicAdd(benchmark::State& state) {
  alignas(64) static std::atomic<std::uint64_t> word;
  for (auto _ : state) word.fetch_add(1, std::memory_order_acq_rel);
}
BENCHMARK(OneAtomicAdd)->Apply(OneAndTwoThreads);

void OneClockRead(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(std::chrono::steady_clock::now());
}
BENCHMARK(OneClockRead)->Apply(OneAndTwoThreads);

// Granted.

void AllowAt(benchmark::State& state) {
  TimePoint now = start;
  for (auto _ : state) Expect(state, bucket->AllowAt(now += 1ns));
}
BENCHMARK(AllowAt)->Apply(OneAndTwoThreads)->Setup(Plenty);

void Allow(benchmark::State& state) {
  for (auto _ : state) Expect(state, bucket->Allow());
}
BENCHMARK(Allow)->Apply(OneAndTwoThreads)->Setup(Plenty);

void ReserveAt(benchmark::State& state) {
  TimePoint now = start;
  for (auto _ : state) {
    now += 1ns;
    Expect(state, bucket->ReserveAt(now).ready_at() == now);
  }
}
BENCHMARK(ReserveAt)->Apply(OneAndTwoThreads)->Setup(Plenty);

// Refused.

void AllowAtRefused(benchmark::State& state) {
  TimePoint now = start;
  for (auto _ : state) Expect(state, !bucket->AllowAt(now += 1ns));
}
BENCHMARK(AllowAtRefused)->Apply(OneAndTwoThreads)->Setup(Empty);

void AllowRefused(benchmark::State& state) {
  for (auto _ : state) Expect(state, !bucket->Allow());
}
BENCHMARK(AllowRefused)->Apply(OneAndTwoThreads)->Setup(Empty);

// For information.

void TokensAt(benchmark::State& state) {
  TimePoint now = start;
  for (auto _ : state) Expect(state, bucket->TokensAt(now += 1ns) > 0);
}
BENCHMARK(TokensAt)->Apply(OneAndTwoThreads)->Setup(Plenty);

// Of about as many outstanding reservations as are made in a millisecond.
void ReserveAndCancel(benchmark::State& state) {
  for (auto _ : state) {
    Reservation reservation = bucket->Reserve();
    Expect(state, reservation.ok());
    reservation.Cancel();
  }
}
BENCHMARK(ReserveAndCancel)->Apply(OneAndTwoThreads)->Setup(Thousand);

void SetRate(benchmark::State& state) {
  double rate = 1e10;
  for (auto _ : state) bucket->SetRate(rate = 3e10 - rate);
}
BENCHMARK(SetRate)->Apply(OneAndTwoThreads)->Setup(Plenty);

// While another thread changes the rate all the time.
void AllowBesideSetRate(benchmark::State& state) {
  const std::jthread setter([](const std::stop_token& stop) {
    for (double rate = 1e10; !stop.stop_requested();) bucket->SetRate(rate = 3e10 - rate);
  });
  for (auto _ : state) Expect(state, bucket->Allow());
}
BENCHMARK(AllowBesideSetRate)->Apply(Usual)->Setup(Plenty);

}  // namespace
