// What an asynchronous call allocates: one piece, from its handler's allocator.
#include <absl/status/status.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "holdfast/holdfast.h"
#include "test/asio/support/net.h"
#include "test/support/allocations.h"
#include "test/support/catch.h"

namespace holdfast::alloc_test {
namespace {

using namespace std::chrono_literals;
using testing::allocations;

struct Counts {
  int allocated = 0;
  int freed = 0;
};

// Has its memory from malloc, so that operator new counts what others allocate.
template <class T>
struct CountingAllocator {
  using value_type = T;

  explicit CountingAllocator(Counts& c) : counts(&c) {}
  template <class U>
  CountingAllocator(const CountingAllocator<U>& other)  // NOLINT(google-explicit-constructor)
      : counts(other.counts) {}

  T* allocate(std::size_t n) {
    ++counts->allocated;
    return static_cast<T*>(std::malloc(n * sizeof(T)));
  }
  void deallocate(T* memory, std::size_t) {
    ++counts->freed;
    std::free(memory);
  }
  friend bool operator==(const CountingAllocator& a, const CountingAllocator& b) {
    return a.counts == b.counts;
  }

  Counts* counts;
};

// Sees what was freed before it is called.
template <class Executor>
struct Handler {
  using allocator_type = CountingAllocator<std::byte>;
  allocator_type get_allocator() const { return allocator_type(*counts); }
  using executor_type = Executor;
  executor_type get_executor() const noexcept { return executor; }

  void operator()(const std::exception_ptr&, const absl::Status& status) const {
    *ok = status.ok();
    *at_call = *counts;
  }

  Executor executor;
  Counts* counts;
  Counts* at_call;
  bool* ok;
};

auto Posting(net::io_context& io) {
  return [&io](auto&& token) {
    return net::async_initiate<decltype(token), void(absl::Status)>(
        [&io](auto handler) {
          const auto executor = net::get_associated_executor(handler, io.get_executor());
          const auto allocator = net::get_associated_allocator(handler);
          struct Posted {
            using executor_type = std::decay_t<decltype(executor)>;
            using allocator_type = std::decay_t<decltype(allocator)>;
            executor_type get_executor() const noexcept { return on; }
            allocator_type get_allocator() const noexcept { return from; }
            void operator()() { std::move(then)(absl::OkStatus()); }
            executor_type on;
            allocator_type from;
            decltype(handler) then;
          };
          net::post(Posted{executor, allocator, std::move(handler)});
        },
        token);
  };
}

// Makes calls one after the other, and checks each but the first few, after which Asio, the timers
// and the bucket have the memory that they go on with.
template <class Call, class Executor>
void CheckOneAllocation(net::io_context& io, const Call& call, const Executor& executor,
                        bool fails = false) {
  // A strand has its handlers' allocators for what it does for itself.
  constexpr bool kStrand = requires { executor.get_inner_executor(); };
  for (int i = 0; i < 20; ++i) {
    Counts counts;
    Counts at_call;
    bool ok = false;
    const std::int64_t before = allocations;
    call(Handler<Executor>{executor, &counts, &at_call, &ok});
    io.restart();
    io.run();
    if (i < 10) continue;
    const std::int64_t by_new = allocations - before;
    CHECK(ok);
    CHECK((kStrand || counts.allocated == 1));
    CHECK(at_call.allocated == counts.allocated);
    CHECK(at_call.freed == counts.allocated);
    CHECK(counts.freed == counts.allocated);
    if (!fails) CHECK(by_new == 0);  // a status with a text is some
  }
}

auto Five() {
  return Stack(Timeout(10s), Retry({}), CircuitBreak(CircuitBreaker::Options{}),
               RateLimit(TokenBucket::Options{.rate = 1e9, .burst = 1'000'000'000}),
               Bulkhead(Semaphore::Options{.limit = 100}));
}

TEST_CASE("a call through five policies is one allocation, its attempt included") {
  net::io_context io;
  CheckOneAllocation(io, Five().AroundAsync(Posting(io)), io.get_executor());
}

TEST_CASE("so it is with a timeout for the attempt") {
  net::io_context io;
  CheckOneAllocation(io, Stack(Five(), Timeout(2s)).AroundAsync(Posting(io)), io.get_executor());
}

// What was cut off has failed: here that is a success.
struct Forgiving {
  struct State {};
  Verdict Before(Call&, State&) { return Verdict::Proceed(); }
  Next After(Call&, State&, absl::Status& result) {
    result = absl::OkStatus();
    return Next::Done();
  }
};

TEST_CASE("so it is where the attempt waits for a timer, or is cut off there") {
  net::io_context io;
  net::steady_timer timer(io);
  const bool cut = GENERATE(false, true);
  const auto wait = [&](auto&& token) {
    timer.expires_after(cut ? Duration(10s) : Duration(10us));
    return timer.async_wait(std::forward<decltype(token)>(token));
  };
  if (cut) {
    const auto call = Stack(Five(), Forgiving{}, Timeout(1ms)).AroundAsync(wait);
    CheckOneAllocation(io, call, io.get_executor(), /*fails=*/true);
  } else {
    CheckOneAllocation(io, Stack(Five(), Timeout(2s)).AroundAsync(wait), io.get_executor());
  }
}

TEST_CASE("so it is where the call waits for its turn, and tries again") {
  net::io_context io;
  const auto call =
      Stack(Timeout(10s),
            Retry({.backoff = Backoff::Constant(20us), .budget = RetryBudget::Unlimited()},
                  [](const Call& c, const absl::Status&) { return c.attempt() < 3; }),
            RateLimit(TokenBucket::Options{.rate = 10'000, .burst = 1}), Timeout(2s))
          .AroundAsync(Posting(io));
  CheckOneAllocation(io, call, io.get_executor());
}

TEST_CASE("a strand allocates for itself, also from the handler, and before that is called") {
  net::io_context io;
  const auto call =
      Stack(Five(), RateLimit(TokenBucket::Options{.rate = 10'000, .burst = 1}), Timeout(2s))
          .AroundAsync(Posting(io));
  CheckOneAllocation(io, call, net::make_strand(io));
}

TEST_CASE("so it is in an executor of a type that was erased") {
  net::io_context io;
  const auto call = Stack(Five(), Timeout(2s)).AroundAsync(Posting(io));
  CheckOneAllocation(io, call, net::any_io_executor(io.get_executor()));
}

TEST_CASE("so it is through an AnyAsyncExecutor") {
  net::io_context io;
  const AnyAsyncExecutor<absl::Status()> call =
      Stack(Five(), Timeout(2s)).AroundAsync(Posting(io), io);
  CheckOneAllocation(io, call, io.get_executor());
  CheckOneAllocation(io, call, net::any_io_executor(io.get_executor()));
  CheckOneAllocation(io, AnyAsyncExecutor<absl::Status()>(Posting(io), io), io.get_executor());
}

TEST_CASE("so it is where the attempt of an AnyAsyncExecutor waits for a timer, or is cut off") {
  net::io_context io;
  net::steady_timer timer(io);
  const bool cut = GENERATE(false, true);
  const auto wait = [&](auto&& token) {
    timer.expires_after(cut ? Duration(10s) : Duration(10us));
    return timer.async_wait(std::forward<decltype(token)>(token));
  };
  const AnyAsyncExecutor<absl::Status()> call =
      Stack(Five(), Forgiving{}, Timeout(cut ? Duration(1ms) : Duration(2s))).AroundAsync(wait, io);
  CheckOneAllocation(io, call, io.get_executor(), /*fails=*/cut);
}

TEST_CASE("a stack below a stack is an allocation more, through an AnyAsyncExecutor or not") {
  net::io_context io;
  const AnyAsyncExecutor<absl::Status()> inner = Stack(Timeout(2s)).AroundAsync(Posting(io), io);
  const AnyAsyncExecutor<absl::Status()> outer = Stack(Five()).AroundAsync(inner, io);
  for (int i = 0; i < 10; ++i) {
    Counts counts;
    Counts at_call;
    bool ok = false;
    outer(Handler<net::io_context::executor_type>{io.get_executor(), &counts, &at_call, &ok});
    io.restart();
    io.run();
    CHECK(ok);
    CHECK(counts.allocated == 2);
    CHECK(at_call.freed == 2);
  }
}

TEST_CASE("in a strand an AnyAsyncExecutor takes one piece of the handler's memory") {
  net::io_context io;
  const AnyAsyncExecutor<absl::Status()> call =
      Stack(Five(), Timeout(2s)).AroundAsync(Posting(io), io);
  for (int i = 0; i < 10; ++i) {
    Counts counts;
    Counts at_call;
    bool ok = false;
    const auto strand = net::make_strand(io);
    call(Handler<std::decay_t<decltype(strand)>>{strand, &counts, &at_call, &ok});
    io.restart();
    io.run();
    CHECK(ok);
    CHECK(counts.allocated == 1);
    CHECK(at_call.freed == 1);
  }
}

}  // namespace
}  // namespace holdfast::alloc_test
