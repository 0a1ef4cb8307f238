// What an AdaptiveThrottler costs a call that it admits and that is accepted, beside the least that
// counts by priority in a window of buckets: one mutex around everything; and what a refusal costs.
// Times are given, so that no clock is part of it. Each is the median of several short repetitions:
// see rate_bench.cc.
#include <benchmark/benchmark.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "holdfast/base/priority.h"
#include "holdfast/base/time.h"
#include "holdfast/throttle/adaptive_throttler.h"

namespace {

using namespace std::chrono_literals;
using holdfast::AdaptiveThrottler;
using holdfast::Outcome;
using holdfast::Priority;
using holdfast::TimePoint;

constexpr TimePoint kNow{100s};

class MutexThrottler {
 public:
  bool Admit(TimePoint now, Priority priority) {
    const std::lock_guard lock(mutex_);
    Advance(now);
    const double requests = static_cast<double>(requests_);
    if (requests <= 2 * static_cast<double>(accepts_)) return true;
    ++requests_;
    ++buckets_[newest_].requests[static_cast<std::size_t>(priority)];
    return false;
  }
  void Accept(TimePoint now, Priority priority) {
    const std::lock_guard lock(mutex_);
    Advance(now);
    ++requests_;
    ++accepts_;
    ++buckets_[newest_].requests[static_cast<std::size_t>(priority)];
    ++buckets_[newest_].accepts;
  }

 private:
  struct Bucket {
    std::array<std::uint64_t, holdfast::kPriorities> requests = {};
    std::uint64_t accepts = 0;
  };

  void Advance(TimePoint now) {
    while (now >= turns_at_) {
      newest_ = (newest_ + 1) % buckets_.size();
      for (const std::uint64_t count : buckets_[newest_].requests) requests_ -= count;
      accepts_ -= std::exchange(buckets_[newest_], {}).accepts;
      turns_at_ += 3s;
    }
  }

  std::mutex mutex_;
  std::vector<Bucket> buckets_ = std::vector<Bucket>(40);
  std::size_t newest_ = 0;
  TimePoint turns_at_ = kNow;
  std::uint64_t requests_ = 0;
  std::uint64_t accepts_ = 0;
};

// The threads of a run share them; they are new in each.
std::unique_ptr<AdaptiveThrottler> throttler;
std::unique_ptr<MutexThrottler> mutex_throttler;

void Calm(const benchmark::State&) {
  throttler = std::make_unique<AdaptiveThrottler>(AdaptiveThrottler::Options{});
}
void ByMutex(const benchmark::State&) { mutex_throttler = std::make_unique<MutexThrottler>(); }
// Of the calls of the lowest priority it refuses all.
void Refusing(const benchmark::State&) {
  throttler = std::make_unique<AdaptiveThrottler>(AdaptiveThrottler::Options{.max_rejection = 1});
  for (int i = 0; i < 1000; ++i) {
    auto ticket = throttler->AdmitAt(kNow);
    if (ticket.ok()) ticket->DoneAt(kNow, Outcome::kFailure);
  }
}
// Nothing is refused, but it is not calm: there are too few requests to say anything.
void Tense(const benchmark::State&) {
  throttler =
      std::make_unique<AdaptiveThrottler>(AdaptiveThrottler::Options{.min_requests = 1 << 30});
  for (int i = 0; i < 1 << 20; ++i) throttler->AdmitAt(kNow)->DoneAt(kNow, Outcome::kFailure);
}

void OneAndTwoThreads(benchmark::internal::Benchmark* benchmark) {
  benchmark->MinTime(0.03)->Repetitions(9)->Threads(1)->Threads(2);
}

void Run(benchmark::State& state) {
  for (auto _ : state) {
    auto ticket = throttler->AdmitAt(kNow);
    ticket->DoneAt(kNow, Outcome::kSuccess);
  }
}

void Throttled(benchmark::State& state) { Run(state); }
BENCHMARK(Throttled)->Apply(OneAndTwoThreads)->Setup(Calm);

void ThrottledTense(benchmark::State& state) { Run(state); }
BENCHMARK(ThrottledTense)->Apply(OneAndTwoThreads)->Setup(Tense);

void ThrottledByMutex(benchmark::State& state) {
  for (auto _ : state) {
    if (mutex_throttler->Admit(kNow, Priority::kNormal)) {
      mutex_throttler->Accept(kNow, Priority::kNormal);
    }
  }
}
BENCHMARK(ThrottledByMutex)->Apply(OneAndTwoThreads)->Setup(ByMutex);

void ThrottleRefusal(benchmark::State& state) {
  for (auto _ : state) {
    auto ticket = throttler->AdmitAt(kNow, Priority::kSheddable);
    benchmark::DoNotOptimize(ticket);
    if (ticket.ok()) ++state.counters["admitted"].value;
  }
}
BENCHMARK(ThrottleRefusal)->Apply(OneAndTwoThreads)->Setup(Refusing);

}  // namespace
