// What a TokenBucket costs, row by row as rate_test.go does it with golang.org/x/time/rate.
#include <benchmark/benchmark.h>

#include <chrono>
#include <memory>

#include "holdfast/base/time.h"
#include "holdfast/rate/token_bucket.h"

namespace {

using holdfast::Duration;
using holdfast::Reservation;
using holdfast::TimePoint;
using holdfast::TokenBucket;

// One bucket for all threads of a run, and the time at which it was made.
std::unique_ptr<TokenBucket> bucket;
TimePoint now;

void Make(const TokenBucket::Options& options) {
  bucket = std::make_unique<TokenBucket>(options);
  now = std::chrono::steady_clock::now();
}

// Never runs dry.
void Plenty(const benchmark::State&) { Make({.rate = 1e9, .burst = TokenBucket::kMaxBurst}); }

// Gives its next token in a quarter of an hour.
void Empty(const benchmark::State&) {
  Make({.rate = 1e-3, .burst = 1});
  (void)bucket->Allow();
}

void Thousand(const benchmark::State&) { Make({.rate = 1e3, .burst = 1}); }

// Fails a row that measures something else than it says.
void Expect(benchmark::State& state, bool ok) {
  if (!ok) state.SkipWithError("not what this row is about");
}

void AllowGranted(benchmark::State& state) {
  for (auto _ : state) Expect(state, bucket->Allow());
}

void AllowRefused(benchmark::State& state) {
  for (auto _ : state) Expect(state, !bucket->Allow());
}

void AllowAtGranted(benchmark::State& state) {
  for (auto _ : state) Expect(state, bucket->AllowAt(now));
}

void AllowAtRefused(benchmark::State& state) {
  for (auto _ : state) Expect(state, !bucket->AllowAt(now));
}

void ReserveAtGranted(benchmark::State& state) {
  for (auto _ : state) {
    const Reservation reservation = bucket->ReserveAt(now);
    Expect(state, reservation.DelayFrom(now) == Duration::zero());
  }
}

// The wait is of a millisecond or more, and its end is never reached.
void ReserveAndCancel(benchmark::State& state) {
  for (auto _ : state) {
    Reservation reservation = bucket->Reserve();
    Expect(state, reservation.ok());
    reservation.Cancel();
  }
}

void Tokens(benchmark::State& state) {
  for (auto _ : state) Expect(state, bucket->Tokens() > 0);
}

void Rows(benchmark::internal::Benchmark* row) { row->Threads(1)->Threads(2)->UseRealTime(); }

BENCHMARK(AllowGranted)->Apply(Rows)->Setup(Plenty);
BENCHMARK(AllowRefused)->Apply(Rows)->Setup(Empty);
BENCHMARK(AllowAtGranted)->Apply(Rows)->Setup(Plenty);
BENCHMARK(AllowAtRefused)->Apply(Rows)->Setup(Empty);
BENCHMARK(ReserveAtGranted)->Apply(Rows)->Setup(Plenty);
BENCHMARK(ReserveAndCancel)->Apply(Rows)->Setup(Thousand);
BENCHMARK(Tokens)->Apply(Rows)->Setup(Plenty);

}  // namespace

BENCHMARK_MAIN();
