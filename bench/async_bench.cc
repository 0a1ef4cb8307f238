// What a stack costs an asynchronous operation that ends at once, beside that operation alone.
#include <absl/status/status.h>
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <type_traits>
#include <utility>

#include "holdfast/asio.h"
#include "holdfast/holdfast.h"

namespace {

using namespace std::chrono_literals;
using holdfast::Bulkhead;
using holdfast::CircuitBreak;
using holdfast::CircuitBreaker;
using holdfast::RateLimit;
using holdfast::Retry;
using holdfast::Semaphore;
using holdfast::Stack;
using holdfast::Timeout;
using holdfast::TokenBucket;
namespace net = holdfast::net;

std::int64_t allocations = 0;

// Asio's own default, which reuses what a thread freed, and counts.
template <class T>
struct CountingAllocator : net::recycling_allocator<T> {
  template <class U>
  struct rebind {  // NOLINT(readability-identifier-naming): an allocator's
    using other = CountingAllocator<U>;
  };
  CountingAllocator() = default;
  template <class U>
  CountingAllocator(const CountingAllocator<U>&) {}  // NOLINT(google-explicit-constructor)

  T* allocate(std::size_t n) {
    ++allocations;
    return net::recycling_allocator<T>::allocate(n);
  }
};

// Completes by way of its context's queue, which is the least that an operation can do.
struct Operation {
  template <class Token>
  auto operator()(Token&& token) const {
    return net::async_initiate<Token, void(absl::Status)>(
        [this](auto handler) { net::post(io, Ended<decltype(handler)>{std::move(handler)}); },
        token);
  }

  template <class Handler>
  struct Ended {
    using allocator_type = net::associated_allocator_t<Handler>;
    allocator_type get_allocator() const noexcept { return net::get_associated_allocator(handler); }
    void operator()() { std::move(handler)(absl::OkStatus()); }

    Handler handler;
  };

  net::io_context& io;
};

// Has a timer, as a context has that any call with a deadline was made in: it looks for events of
// the system after each handler, which costs several times what an operation does that ends at
// once.
struct Context : net::io_context {
  Context() : net::io_context(1) {}
  net::steady_timer timer{*this};
};

auto FivePolicies() {
  return Stack(Timeout(10s), Retry({.max_attempts = 4}), CircuitBreak(CircuitBreaker::Options{}),
               RateLimit(TokenBucket::Options{.rate = 1e9, .burst = 1'000'000'000}),
               Bulkhead(Semaphore::Options{.limit = 100}));
}

// Starts a call when the one before has ended, as a client does that always has one more to make.
template <class Call>
struct Next {
  using allocator_type = CountingAllocator<std::byte>;
  allocator_type get_allocator() const noexcept { return {}; }

  void operator()(const absl::Status& status) const {
    benchmark::DoNotOptimize(status.ok());
    if (state->KeepRunning()) (*call)(Next(*this));
  }

  benchmark::State* state;
  const Call* call;
};

template <class Call>
void Callbacks(benchmark::State& state, net::io_context& io, const Call& call) {
  allocations = 0;
  net::post(io, [&] { Next<Call>{&state, &call}(absl::OkStatus()); });
  io.run();
  state.counters["allocations"] =
      benchmark::Counter(static_cast<double>(allocations), benchmark::Counter::kAvgIterations);
}

void AsyncOperation(benchmark::State& state) {
  Context io;
  Callbacks(state, io, Operation{io});
}
BENCHMARK(AsyncOperation);

void AsyncStackOfNone(benchmark::State& state) {
  Context io;
  Callbacks(state, io, Stack().AroundAsync(Operation{io}, io.get_executor()));
}
BENCHMARK(AsyncStackOfNone);

void AsyncStackOfFive(benchmark::State& state) {
  Context io;
  Callbacks(state, io, FivePolicies().AroundAsync(Operation{io}, io.get_executor()));
}
BENCHMARK(AsyncStackOfFive);

void AsyncStackWithAttemptTimeout(benchmark::State& state) {
  Context io;
  Callbacks(state, io,
            Stack(FivePolicies(), Timeout(2s)).AroundAsync(Operation{io}, io.get_executor()));
}
BENCHMARK(AsyncStackWithAttemptTimeout);

template <class Call>
void Awaited(benchmark::State& state, net::io_context& io, const Call& call) {
  net::co_spawn(
      io,
      [&]() -> net::awaitable<void> {
        while (state.KeepRunning()) {
          const absl::Status status = co_await call(net::use_awaitable);
          benchmark::DoNotOptimize(status.ok());
        }
      },
      [](const std::exception_ptr&) {});
  io.run();
}

void AwaitedOperation(benchmark::State& state) {
  Context io;
  Awaited(state, io, Operation{io});
}
BENCHMARK(AwaitedOperation);

void AwaitedStackOfFive(benchmark::State& state) {
  Context io;
  Awaited(state, io, FivePolicies().AroundAsync(Operation{io}, io.get_executor()));
}
BENCHMARK(AwaitedStackOfFive);

}  // namespace
