// One stack for threads, coroutines and callbacks at once, on the real clock.
#include <absl/status/status.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/holdfast.h"
#include "test/asio/support/net.h"
#include "test/support/catch.h"

namespace holdfast::threads_test {
namespace {

using namespace std::chrono_literals;

// What the calls share. Now and then one fails and is tried again.
struct Shared {
  std::shared_ptr<Semaphore> semaphore =
      std::make_shared<Semaphore>(Semaphore::Options{.limit = 3});
  std::shared_ptr<CircuitBreaker> breaker = std::make_shared<CircuitBreaker>(
      CircuitBreaker::Options{.ready_to_trip = [](const BreakerCounts&) { return false; }});
  std::shared_ptr<TokenBucket> bucket =
      std::make_shared<TokenBucket>(TokenBucket::Options{.rate = 200'000, .burst = 50});
  std::atomic<int> under_way{0};
  std::atomic<int> most{0};
  std::atomic<unsigned> count{0};
  std::atomic<int> ok{0};
  std::atomic<int> cancelled{0};
  std::atomic<int> other{0};

  auto MakeStack() {
    return Stack(Timeout(50s),
                 Retry({.max_attempts = 50,
                        .backoff = Backoff::Constant(50us),
                        .budget = RetryBudget::Unlimited(),
                        .wait_for_refusals = true}),
                 CircuitBreak(breaker), RateLimit(bucket),
                 Bulkhead(semaphore, {.max_wait = Duration::max()}), Timeout(40s));
  }

  void Enter() {
    const int now = under_way.fetch_add(1) + 1;
    int before = most.load();
    while (before < now && !most.compare_exchange_weak(before, now)) {
    }
  }
  absl::Status Leave() {
    under_way.fetch_sub(1);
    return count.fetch_add(1) % 7 == 0 ? absl::UnavailableError("busy") : absl::OkStatus();
  }

  void Count(const std::exception_ptr& error, const absl::Status& status) {
    if (error == nullptr && status.ok()) {
      ++ok;
    } else if (error == nullptr && status.code() == absl::StatusCode::kCancelled) {
      ++cancelled;
    } else {
      ++other;
    }
  }
  void CheckNothingHeld() {
    CHECK(other == 0);
    CHECK(under_way == 0);
    CHECK(most <= 3);
    CHECK(semaphore->in_use() == 0);
    CHECK(semaphore->queued() == 0);
  }
};

// Ends after a trip through the context, or after a wait on its timer, and may be cancelled there.
auto Attempting(net::io_context& io, Shared& shared) {
  return [&io, &shared]() -> net::awaitable<absl::Status> {
    struct Inside {
      explicit Inside(Shared& s) : shared(s) { shared.Enter(); }
      ~Inside() {
        if (!left) shared.under_way.fetch_sub(1);
      }
      Shared& shared;
      bool left = false;
    } inside(shared);
    if (shared.count.load() % 3 == 0) {
      net::steady_timer timer(io, 20us);
      co_await timer.async_wait(net::use_awaitable);
    } else {
      co_await net::post(net::use_awaitable);
    }
    inside.left = true;
    co_return shared.Leave();
  };
}

void RunInThreads(net::io_context& io, int n) {
  std::vector<std::thread> threads;
  for (int i = 1; i < n; ++i) threads.emplace_back([&io] { io.run(); });
  io.run();
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("threads, coroutines and callbacks share one stack") {
  constexpr int kCalls = 300;
  Shared shared;
  const auto stack = shared.MakeStack();
  net::io_context io;
  const auto async = stack.AroundAsync(Attempting(io, shared), io.get_executor());
  const auto blocking = stack.Around([&shared] {
    shared.Enter();
    std::this_thread::yield();
    return shared.Leave();
  });

  // Callbacks that each start the next, with no strand: nothing of theirs is cancelled.
  std::function<void(int)> chain = [&](int left) {
    async([&, left](const std::exception_ptr& error, const absl::Status& status) {
      shared.Count(error, status);
      if (left > 1) chain(left - 1);
    });
  };
  for (int i = 0; i < 4; ++i) chain(kCalls);
  for (int i = 0; i < 4; ++i) {
    const auto executor = i % 2 == 0 ? net::any_io_executor(io.get_executor())
                                     : net::any_io_executor(net::make_strand(io));
    net::co_spawn(
        executor,
        [&]() -> net::awaitable<void> {
          for (int k = 0; k < kCalls; ++k) {
            shared.Count(nullptr, co_await async(net::use_awaitable));
          }
        },
        net::detached);
  }
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < kCalls; ++k) shared.Count(nullptr, blocking());
    });
  }
  RunInThreads(io, 3);
  for (std::thread& thread : threads) thread.join();
  CHECK(shared.ok == 10 * kCalls);
  shared.CheckNothingHeld();
}

TEST_CASE("a permit goes from a thread to a coroutine and back") {
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  net::io_context io;
  int inside = 0;  // guarded by the permit
  const auto stack = Stack(Bulkhead(semaphore, {.max_wait = Duration::max()}));
  const auto async = stack.AroundAsync(
      [&]() -> net::awaitable<absl::Status> {
        ++inside;
        co_await net::post(net::use_awaitable);
        --inside;
        co_return absl::OkStatus();
      },
      io.get_executor());
  const auto blocking = stack.Around([&] {
    ++inside;
    std::this_thread::yield();
    --inside;
    return absl::OkStatus();
  });
  std::thread thread([&] {
    for (int i = 0; i < 2000; ++i) (void)blocking();
  });
  int done = 0;
  net::co_spawn(
      io,
      [&]() -> net::awaitable<void> {
        for (int i = 0; i < 2000; ++i) done += (co_await async(net::use_awaitable)).ok() ? 1 : 0;
      },
      net::detached);
  io.run();
  thread.join();
  CHECK(done == 2000);
  CHECK(inside == 0);
  CHECK(semaphore->in_use() == 0);
}

TEST_CASE("calls are stopped by other threads, at any time") {
  const bool hedged = GENERATE(false, true);
  Shared shared;
  net::io_context io;
  std::mt19937 random(20);
  constexpr int kCalls = 1500;
  std::vector<std::stop_source> stops(kCalls);
  const auto run = [&](const auto& stack) {
    const auto async = stack.AroundAsync(Attempting(io, shared), io.get_executor());
    for (int i = 0; i < kCalls; ++i) {
      const auto stop = stops[static_cast<std::size_t>(i)].get_token();
      const auto done = [&](const std::exception_ptr& error, const absl::Status& status) {
        shared.Count(error, status);
      };
      if (i % 3 == 0) {
        async.With({.stop = stop}, net::bind_executor(net::make_strand(io), done));
      } else {
        async.With({.stop = stop}, done);
      }
    }
  };
  if (hedged) {
    run(Stack(
        Timeout(50s),
        Hedge({.delay = 30us, .max_hedges = 2, .budget = RetryBudget::Unlimited()}, HedgeAll()),
        Bulkhead(shared.semaphore, {.max_wait = Duration::max()})));
  } else {
    run(shared.MakeStack());
  }
  std::shuffle(stops.begin(), stops.end(), random);
  std::thread stopper([&] {
    for (std::size_t i = 0; i < stops.size(); i += 2) {
      stops[i].request_stop();
      if (i % 64 == 0) std::this_thread::sleep_for(100us);  // so that some calls get on
    }
  });
  RunInThreads(io, 3);
  stopper.join();
  // A failure of an attempt is one of a hedged call, where nothing tries again.
  CHECK(shared.ok + shared.cancelled + shared.other == kCalls);
  if (hedged) shared.other = 0;
  CHECK(shared.ok >= (hedged ? 1 : kCalls / 2));
  CHECK(shared.cancelled > 0);
  shared.CheckNothingHeld();
}

TEST_CASE("calls in strands are cancelled through their slots, in several threads") {
  Shared shared;
  net::io_context io;
  const auto async = shared.MakeStack().AroundAsync(Attempting(io, shared), io.get_executor());
  struct Session {
    explicit Session(net::io_context& context) : strand(net::make_strand(context)) {}
    net::strand<net::io_context::executor_type> strand;
    net::cancellation_signal signal;
  };
  std::vector<std::unique_ptr<Session>> sessions;
  for (int i = 0; i < 600; ++i) sessions.push_back(std::make_unique<Session>(io));
  for (auto& session : sessions) {
    net::dispatch(session->strand, [&shared, &async, s = session.get()] {
      async(net::bind_cancellation_slot(
          s->signal.slot(), net::bind_executor(s->strand, [&shared](const std::exception_ptr& error,
                                                                    const absl::Status& status) {
            shared.Count(error, status);
          })));
    });
  }
  std::thread canceller([&] {
    for (std::size_t i = 0; i < sessions.size(); i += 2) {
      Session* const s = sessions[sessions.size() - 1 - i].get();
      net::post(s->strand, [s] { s->signal.emit(net::cancellation_type::terminal); });
    }
  });
  RunInThreads(io, 3);
  canceller.join();
  io.restart();
  io.run();  // what was posted after the last call's end
  CHECK(shared.ok + shared.cancelled == 600);
  shared.CheckNothingHeld();
}

// Whoever gives back a permit does not know that the context of who waits for it is ending.
TEST_CASE("a context may end while other threads wake its calls") {
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  for (int round = 0; round < 200; ++round) {
    std::stop_source stop;
    std::atomic<int> called{0};
    std::atomic<bool> go{false};
    auto permit = semaphore->TryAcquire();
    REQUIRE(permit.has_value());
    std::thread thread;
    {
      net::io_context io;
      const auto call = Stack(Bulkhead(semaphore, {.max_wait = Duration::max()}), Timeout(60s))
                            .AroundAsync(
                                [&io](auto&& token) {
                                  return net::post(io, std::forward<decltype(token)>(token));
                                },
                                io.get_executor());
      for (int i = 0; i < 5; ++i) {
        call.With({.stop = stop.get_token()},
                  [&](const std::exception_ptr&, const absl::Status&) { ++called; });
      }
      thread = std::thread([&] {
        while (!go.load()) {
        }
        permit.reset();
        stop.request_stop();
      });
      go = true;
      // So that the rounds meet at different moments.
      const auto end = std::chrono::steady_clock::now() + round * 50ns;
      while (std::chrono::steady_clock::now() < end) {
      }
    }
    thread.join();
    CHECK(called == 0);
    REQUIRE(semaphore->in_use() == 0);
    REQUIRE(semaphore->queued() == 0);
  }
}

}  // namespace
}  // namespace holdfast::threads_test
