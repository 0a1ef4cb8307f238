// What a CircuitBreaker costs a call that it admits and that succeeds, which is to be at most 15 ns
// over reading the clock, and with two threads at most half as much again; what a refusal costs
// while it is open, at most as much as an admission; and that no window costs more than none.
//
// Beside it, gobreaker's design (one mutex around everything, the clock read at both ends) as one
// would write it in C++. Each is the median of several short repetitions: see rate_bench.cc.
#include <absl/status/status.h>
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "holdfast/base/time.h"
#include "holdfast/breaker/circuit_breaker.h"

namespace {

using namespace std::chrono_literals;
using holdfast::BreakerCounts;
using holdfast::CircuitBreaker;
using holdfast::Outcome;
using holdfast::TimePoint;

TimePoint Now() { return std::chrono::steady_clock::now(); }

class MutexBreaker {
 public:
  // False if it is open.
  bool Admit(std::uint64_t& generation) {
    const TimePoint now = Now();
    const std::lock_guard lock(mutex_);
    Advance(now);
    if (open_) return false;
    ++counts_.requests;
    generation = generation_;
    return true;
  }

  void Done(std::uint64_t generation, bool success) {
    const TimePoint now = Now();
    const std::lock_guard lock(mutex_);
    Advance(now);
    if (generation != generation_) return;
    if (success) {
      ++counts_.successes;
      ++counts_.consecutive_successes;
      counts_.consecutive_failures = 0;
    } else {
      ++counts_.failures;
      ++counts_.consecutive_failures;
      counts_.consecutive_successes = 0;
      if (ready_to_trip_(counts_)) Begin(true, now + 60s);
    }
  }

 private:
  void Advance(TimePoint now) {
    if (open_ && expiry_ < now) Begin(false, TimePoint::max());
  }
  void Begin(bool open, TimePoint expiry) {
    ++generation_;
    counts_ = {};
    open_ = open;
    expiry_ = expiry;
  }

  std::mutex mutex_;
  bool open_ = false;
  TimePoint expiry_ = TimePoint::max();
  std::uint64_t generation_ = 1;
  BreakerCounts counts_;
  std::function<bool(const BreakerCounts&)> ready_to_trip_ = [](const BreakerCounts& counts) {
    return counts.consecutive_failures > 5;
  };
};

// The threads of a run share the breaker, which is new in each. Where the time is given it is the
// same all along.
std::unique_ptr<CircuitBreaker> breaker;
std::unique_ptr<MutexBreaker> mutex_breaker;
TimePoint start;

void Make(CircuitBreaker::Options options) {
  breaker = std::make_unique<CircuitBreaker>(std::move(options));
  start = Now();
}

void Plain(const benchmark::State&) { Make({}); }
void Open(const benchmark::State&) {
  Make({.timeout = 24h});
  for (int i = 0; i < 6; ++i) breaker->AdmitAt(start)->DoneAt(start, Outcome::kFailure);
}
void ByMutex(const benchmark::State&) { mutex_breaker = std::make_unique<MutexBreaker>(); }

void OneAndTwoThreads(benchmark::internal::Benchmark* benchmark) {
  benchmark->MinTime(0.03)->Repetitions(9)->Threads(1)->Threads(2);
}

void Run(benchmark::State& state) {
  for (auto _ : state) {
    auto ticket = breaker->AdmitAt(start);
    ticket->DoneAt(start, Outcome::kSuccess);
  }
}

void BreakerClockRead(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(Now());
}
BENCHMARK(BreakerClockRead)->Apply(OneAndTwoThreads);

void Breaker(benchmark::State& state) {
  for (auto _ : state) {
    auto ticket = breaker->Admit();
    benchmark::DoNotOptimize(ticket);
    ticket->Done(Outcome::kSuccess);
  }
}
BENCHMARK(Breaker)->Apply(OneAndTwoThreads)->Setup(Plain);

void BreakerByMutex(benchmark::State& state) {
  for (auto _ : state) {
    std::uint64_t generation = 0;
    if (mutex_breaker->Admit(generation)) mutex_breaker->Done(generation, true);
  }
}
BENCHMARK(BreakerByMutex)->Apply(OneAndTwoThreads)->Setup(ByMutex);

void BreakerAt(benchmark::State& state) { Run(state); }
BENCHMARK(BreakerAt)->Apply(OneAndTwoThreads)->Setup(Plain);

// Every tenth call fails, without ever opening it.
void BreakerAtTenthFails(benchmark::State& state) {
  int call = 0;
  for (auto _ : state) {
    auto ticket = breaker->AdmitAt(start);
    ticket->DoneAt(start, ++call % 10 == 0 ? Outcome::kFailure : Outcome::kSuccess);
  }
}
BENCHMARK(BreakerAtTenthFails)->Apply(OneAndTwoThreads)->Setup(Plain);

void BreakerRefusal(benchmark::State& state) {
  for (auto _ : state) {
    auto ticket = breaker->Admit();
    benchmark::DoNotOptimize(ticket);
    if (ticket.ok()) state.SkipWithError("it is not open");
  }
}
BENCHMARK(BreakerRefusal)->Apply(OneAndTwoThreads)->Setup(Open);

void BreakerFixedWindow(benchmark::State& state) { Run(state); }
BENCHMARK(BreakerFixedWindow)->Apply(OneAndTwoThreads)->Setup([](const benchmark::State&) {
  Make({.interval = 10s});
});

void BreakerRolling10(benchmark::State& state) { Run(state); }
BENCHMARK(BreakerRolling10)->Apply(OneAndTwoThreads)->Setup([](const benchmark::State&) {
  Make({.interval = 10s, .bucket_period = 1s});
});

void BreakerRolling10000(benchmark::State& state) { Run(state); }
BENCHMARK(BreakerRolling10000)->Apply(OneAndTwoThreads)->Setup([](const benchmark::State&) {
  Make({.interval = 10s, .bucket_period = 1ms});
});

void BreakerLast100000(benchmark::State& state) { Run(state); }
BENCHMARK(BreakerLast100000)->Apply(OneAndTwoThreads)->Setup([](const benchmark::State&) {
  Make({.last_calls = 100'000});
});

}  // namespace
