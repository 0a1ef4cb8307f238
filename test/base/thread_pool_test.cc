#include "holdfast/base/thread_pool.h"

#include <pthread.h>

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/base/rejection.h"
#include "test/support/catch.h"

namespace holdfast::thread_pool_test {
namespace {

// For what other threads are about to do; never ends if they don't.
template <class Condition>
void Await(const Condition& condition) {
  while (!condition()) std::this_thread::yield();
}

// A task that keeps its thread until Open().
class Gate {
 public:
  auto Task() {
    return [this] { open_.wait(); };
  }
  void Open() { open_.count_down(); }

 private:
  std::latch open_{1};
};

TEST_CASE("a pool runs as many tasks at once as it may have threads") {
  for (const int n : {1, 2, 7, 32}) {
    // Each waits for all: behind one another they would wait for ever.
    std::latch all(n);
    ThreadPool pool({.max_threads = n, .max_queue = 0});
    for (int i = 0; i < n; ++i) REQUIRE(pool.TryRun([&all] { all.arrive_and_wait(); }));
    all.wait();
    CHECK(pool.threads() == n);
  }
}

TEST_CASE(
    "no task waits for a busy thread while there could be another, however threads come back") {
  constexpr int kThreads = 8;
  ThreadPool pool({.max_threads = kThreads});
  for (int round = 0; round < 2000; ++round) {
    const int n = 1 + round % kThreads;
    auto all = std::make_shared<std::latch>(n);
    for (int i = 0; i < n; ++i) REQUIRE(pool.TryRun([all] { all->arrive_and_wait(); }));
    // Every other round finds the threads of the one before on their way back.
    if (round % 2 == 0) Await([&pool] { return pool.idle() == pool.threads(); });
  }
  CHECK(pool.threads() <= kThreads);
}

TEST_CASE("a pool starts no thread while one is idle") {
  ThreadPool pool({});
  CHECK(pool.threads() == 0);
  CHECK(pool.idle() == 0);
  for (int i = 0; i < 100; ++i) {
    REQUIRE(pool.TryRun([] {}));
    Await([&pool] { return pool.idle() == 1; });
  }
  CHECK(pool.threads() == 1);
}

TEST_CASE("a task that finds every thread busy waits, and is refused where the queue is full") {
  Gate gate;
  std::vector<int> ran;
  {
    ThreadPool pool({.max_threads = 1, .max_queue = 2});
    REQUIRE(pool.TryRun(gate.Task()));
    CHECK(pool.queued() == 0);
    CHECK(pool.TryRun([&ran] { ran.push_back(1); }));
    CHECK(pool.TryRun([&ran] { ran.push_back(2); }));
    auto owned = std::make_shared<int>(3);
    const std::weak_ptr<int> watch = owned;
    CHECK_FALSE(pool.TryRun([&ran, owned = std::move(owned)] { ran.push_back(*owned); }));
    CHECK(watch.expired());
    CHECK(pool.threads() == 1);
    CHECK(pool.idle() == 0);
    CHECK(pool.queued() == 2);
    gate.Open();
  }
  CHECK(ran == std::vector{1, 2});
}

TEST_CASE("the destructor runs out what waits") {
  std::atomic<int> ran = 0;
  {
    const auto count = [&ran] { ++ran; };
    ThreadPool pool({.max_threads = 3, .max_queue = 1000});
    for (int i = 0; i < 1000; ++i) REQUIRE(pool.TryRun(count));
  }
  CHECK(ran == 1000);
}

TEST_CASE("a task may give the pool another, but not while the pool is being destroyed") {
  std::atomic<int> taken = 0;
  std::atomic<int> ran = 0;
  std::latch began(1);
  auto pool =
      std::make_unique<ThreadPool>(ThreadPool::Options{.max_threads = 1, .max_queue = 1'000'000});
  const auto count = [&ran] { ++ran; };
  const auto keep_giving = [&, pool = pool.get()] {
    began.count_down();
    // The destructor, once it has begun, waits for this.
    while (pool->TryRun(count)) {
      ++taken;
      std::this_thread::yield();
    }
  };
  REQUIRE(pool->TryRun(keep_giving));
  began.wait();
  Await([&taken] { return taken > 0; });
  pool.reset();
  CHECK(ran == taken);
}

TEST_CASE("what a task throws is swallowed, and its thread goes on") {
  std::latch done(1);
  ThreadPool pool({.max_threads = 1});
  REQUIRE(pool.TryRun([] { throw std::runtime_error("boom"); }));
  REQUIRE(pool.TryRun([] { throw 42; }));
  REQUIRE(pool.TryRun([&done] { done.count_down(); }));
  done.wait();
  CHECK(pool.threads() == 1);
}

TEST_CASE("a pool takes tasks that can only be moved, and destroys them when they have run") {
  std::atomic<int> seen = 0;
  auto owned = std::make_shared<int>(7);
  const std::weak_ptr<int> watch = owned;
  ThreadPool pool({});
  REQUIRE(pool.TryRun([&seen, owned = std::make_unique<std::shared_ptr<int>>(std::move(owned))] {
    seen = **owned;
  }));
  Await([&watch] { return watch.expired(); });
  CHECK(seen == 7);
}

TEST_CASE("the last reference to a pool may be dropped by its own task, or with that") {
  const std::int64_t threads = GENERATE(1, 4);
  const bool inside = GENERATE(true, false);
  for (int round = 0; round < 50; ++round) {
    auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{.max_threads = threads});
    auto ran = std::make_shared<std::atomic<int>>(0);
    auto gate = std::make_shared<std::latch>(1);
    REQUIRE(pool->TryRun([held = pool, gate, ran, inside]() mutable {
      gate->wait();
      if (inside) held.reset();
      ++*ran;
    }));
    for (int i = 0; i < 9; ++i) REQUIRE(pool->TryRun([ran] { ++*ran; }));
    pool.reset();
    gate->count_down();
    // With one thread, the others run after the task that destroyed the pool.
    Await([&ran] { return *ran == 10; });
    // The threads have let go of everything.
    Await([&ran] { return ran.use_count() == 1; });
  }
}

#ifdef __GLIBC__  // where the size of every new stack can be set

TEST_CASE("where the system gives no thread, a task waits for those there are") {
  Gate gate;
  std::atomic<bool> ran = false;
  ThreadPool none({});
  ThreadPool one({.max_queue = 1});
  REQUIRE(one.TryRun(gate.Task()));

  pthread_attr_t normal;
  pthread_attr_t huge;
  REQUIRE(pthread_getattr_default_np(&normal) == 0);
  REQUIRE(pthread_getattr_default_np(&huge) == 0);
  // More than the address space.
  REQUIRE(pthread_attr_setstacksize(&huge, std::size_t{1} << 50) == 0);
  REQUIRE(pthread_setattr_default_np(&huge) == 0);
  const bool by_none = none.TryRun([] {});
  const bool by_one = one.TryRun([&ran] { ran = true; });
  const bool by_full = one.TryRun([] {});
  REQUIRE(pthread_setattr_default_np(&normal) == 0);
  pthread_attr_destroy(&normal);
  pthread_attr_destroy(&huge);

  CHECK_FALSE(by_none);
  CHECK(none.threads() == 0);
  CHECK(none.TryRun([] {}));
  CHECK(by_one);
  CHECK_FALSE(by_full);
  CHECK(one.threads() == 1);
  gate.Open();
  Await([&ran] { return ran.load(); });
}

#endif

TEST_CASE("a pool's refusal says that it is one") {
  const ThreadPool pool({.name = "walkers"});
  CHECK(pool.name() == "walkers");
  CHECK(pool.refusal().code() == absl::StatusCode::kResourceExhausted);
  const auto rejection = RejectionOf(pool.refusal());
  REQUIRE(rejection);
  CHECK(rejection->kind == RejectionKind::kBulkheadFull);
  CHECK(rejection->policy == "ThreadPool");
  CHECK(rejection->name == "walkers");
}

TEST_CASE("a pool refuses options that make no sense") {
  CHECK_THROWS_AS(ThreadPool({.max_threads = 0}), std::invalid_argument);
  CHECK_THROWS_AS(ThreadPool({.max_threads = ThreadPool::kMaxThreads + 1}), std::invalid_argument);
  CHECK_THROWS_AS(ThreadPool({.max_queue = -1}), std::invalid_argument);
  CHECK_THROWS_WITH(ThreadPool({.max_threads = -3, .name = "walkers"}),
                    "ThreadPool walkers: max_threads must be in [1, 4096], not -3");
  CHECK_NOTHROW(ThreadPool({.max_threads = ThreadPool::kMaxThreads}));
}

TEST_CASE("every task that many threads hand to a pool runs once or is refused") {
  constexpr int kProducers = 4;
  constexpr int kEach = 5000;
  std::atomic<int> ran = 0;
  std::atomic<int> refused = 0;
  std::atomic<bool> wrong = false;
  {
    ThreadPool pool({.max_threads = 4, .max_queue = 8});
    std::vector<std::jthread> producers;
    for (int p = 0; p < kProducers; ++p) {
      producers.emplace_back([&] {
        for (int i = 0; i < kEach; ++i) {
          const bool taken = pool.TryRun([&ran, i] {
            ++ran;
            if (i % 100 == 0) throw std::runtime_error("boom");
          });
          if (!taken) ++refused;
          if (pool.idle() > pool.threads() || pool.queued() > 8) wrong = true;
        }
      });
    }
  }
  CHECK(ran + refused == kProducers * kEach);
  CHECK(ran > 0);
  CHECK_FALSE(wrong);
}

TEST_CASE(
    "a thread of a pool blocks the signals of the program, and the caller's stay as they were") {
  sigset_t before;
  pthread_sigmask(SIG_BLOCK, nullptr, &before);
  sigset_t in_pool;
  std::latch seen(1);
  ThreadPool pool({});  // joins its threads before what they use ends
  REQUIRE(pool.TryRun([&] {
    pthread_sigmask(SIG_BLOCK, nullptr, &in_pool);
    seen.count_down();
  }));
  seen.wait();
  sigset_t after;
  pthread_sigmask(SIG_BLOCK, nullptr, &after);
  for (const int signal :
       {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGCHLD, SIGPIPE, SIGPROF, SIGRTMIN}) {
    CAPTURE(signal);
    CHECK(sigismember(&in_pool, signal) == 1);
    CHECK(sigismember(&after, signal) == sigismember(&before, signal));
  }
  // A fault of its own is for the program's handler.
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS}) {
    CAPTURE(signal);
    CHECK(sigismember(&in_pool, signal) == 0);
  }
}

}  // namespace
}  // namespace holdfast::thread_pool_test
