#include <absl/status/status.h>

#include <atomic>
#include <cstdint>
#include <latch>
#include <memory>
#include <thread>

#include "holdfast/base/thread_pool.h"
#include "holdfast/stack/stack.h"
#include "holdfast/stack/update_all.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::thread_pool_update_test {
namespace {

using namespace std::chrono_literals;

// For what other threads are about to do; never ends if they don't.
template <class Condition>
void Await(const Condition& condition) {
  while (!condition()) std::this_thread::yield();
}

TEST_CASE("a pool's waiting tasks begin at once where it may have more threads") {
  std::latch all(4);
  ThreadPool pool({.max_threads = 1, .max_queue = 3});
  for (int i = 0; i < 4; ++i) REQUIRE(pool.TryRun([&all] { all.arrive_and_wait(); }));
  REQUIRE(pool.threads() == 1);
  REQUIRE(pool.Update({.max_threads = 4, .max_queue = 3}).ok());
  all.wait();
  CHECK(pool.threads() == 4);
}

TEST_CASE("a pool with fewer threads runs no more tasks at once than it now may") {
  std::latch open(1);
  std::latch end(10);
  std::latch all(4);
  std::atomic<int> begun{0};
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  ThreadPool pool({.max_threads = 4, .max_queue = 10});
  const auto task = [&] {
    ++begun;
    open.wait();
  };
  for (int i = 0; i < 4; ++i) REQUIRE(pool.TryRun(task));
  Await([&] { return begun == 4; });
  REQUIRE(pool.Update({.max_threads = 2, .max_queue = 10}).ok());
  CHECK(pool.options().max_threads == 2);

  for (int i = 0; i < 10; ++i) {
    REQUIRE(pool.TryRun([&] {
      const int now = ++inside;
      int seen = most;
      while (seen < now && !most.compare_exchange_weak(seen, now)) {
      }
      // So long that threads which may not begin one would.
      for (int turn = 0; turn < 10'000 && inside <= 2; ++turn) std::this_thread::yield();
      --inside;
      end.count_down();
    }));
  }
  CHECK(pool.queued() == 10);
  CHECK_FALSE(pool.TryRun([] {}));
  open.count_down();
  end.wait();
  CHECK(most <= 2);
  Await([&] { return pool.idle() == 2; });
  CHECK(pool.threads() == 4);
  SECTION("and all of them again when it may") {
    REQUIRE(pool.Update({.max_threads = 4}).ok());
    for (int i = 0; i < 4; ++i) REQUIRE(pool.TryRun([&all] { all.arrive_and_wait(); }));
    all.wait();
  }
}

TEST_CASE("tasks wait in a pool's queue by its new bound") {
  std::latch open(1);
  ThreadPool pool({.max_threads = 1, .max_queue = 2});
  for (int i = 0; i < 3; ++i) REQUIRE(pool.TryRun([&open] { open.wait(); }));
  CHECK_FALSE(pool.TryRun([] {}));
  REQUIRE(pool.Update({.max_threads = 1, .max_queue = 3}).ok());
  CHECK(pool.TryRun([] {}));
  REQUIRE(pool.Update({.max_threads = 1, .max_queue = 0}).ok());
  CHECK_FALSE(pool.TryRun([] {}));
  CHECK(pool.queued() == 3);  // they stay
  open.count_down();
  Await([&] { return pool.idle() == 1; });
}

TEST_CASE("a pool refuses a change that it can't make, and nothing changes") {
  ThreadPool pool({.max_threads = 3, .max_queue = 4, .name = "calls"});
  using Options = ThreadPool::Options;
  for (const Options& wrong :
       {Options{.max_threads = 0}, Options{.max_threads = ThreadPool::kMaxThreads + 1},
        Options{.max_queue = -1}, Options{.name = "others"}}) {
    CHECK(absl::IsInvalidArgument(pool.Update(wrong)));
  }
  CHECK(pool.options().max_threads == 3);
  CHECK(pool.options().max_queue == 4);
  CHECK(pool.options().name == "calls");
  CHECK(pool.Update({.name = "calls"}).ok());
  CHECK(pool.options().max_threads == 64);
}

TEST_CASE("a pool destroyed with fewer threads than it has runs all that waits") {
  std::atomic<int> ran{0};
  {
    std::latch open(1);
    std::latch busy(3);
    ThreadPool pool({.max_threads = 3, .max_queue = 20});
    for (int i = 0; i < 3; ++i) {
      REQUIRE(pool.TryRun([&] {
        busy.count_down();
        open.wait();
      }));
    }
    busy.wait();
    REQUIRE(pool.Update({.max_threads = 1, .max_queue = 20}).ok());
    for (int i = 0; i < 20; ++i) REQUIRE(pool.TryRun([&ran] { ++ran; }));
    open.count_down();
  }
  CHECK(ran == 20);
}

TEST_CASE("threads that change a pool lose no task") {
  std::atomic<std::int64_t> ran{0};
  std::atomic<std::int64_t> taken{0};
  {
    ThreadPool pool({.max_threads = 2});
    test::InThreads(3, [&](int thread) {
      for (int i = 0; i < 3000; ++i) {
        if (thread == 0) {
          CHECK(pool.Update({.max_threads = 1 + i % 4, .max_queue = i % 50}).ok());
        } else {
          taken += pool.TryRun([&ran] { ++ran; }) ? 1 : 0;
        }
      }
    });
    CHECK(pool.threads() <= 4);
  }
  CHECK(ran == taken);
}

TEST_CASE("UpdateAll changes the pool that a Timeout walks away with") {
  auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{});
  auto limit = std::make_shared<Settings<TimeoutOptions>>(TimeoutOptions{.limit = 10s});
  auto stack = Stack(Timeout(limit, pool));
  CHECK(UpdateAll(stack, Change(pool, {.max_threads = 2}), Change(limit, {.limit = 5s})).ok());
  CHECK(pool->options().max_threads == 2);
  CHECK_FALSE(UpdateAll(stack, Change(pool, {.max_threads = 3}), Change(limit, {})).ok());
  CHECK(pool->options().max_threads == 2);
}

}  // namespace
}  // namespace holdfast::thread_pool_update_test
