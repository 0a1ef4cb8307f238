#include "holdfast/concurrency/semaphore.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <mutex>
#include <random>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <vector>

#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"

namespace holdfast::semaphore_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

// A waiter's bell that only counts.
class CountingWaker final : public Waker {
 public:
  void Wake() noexcept override { ++wakes; }
  int wakes = 0;
};

TEST_CASE("a semaphore hands out as many permits as its limit") {
  Semaphore semaphore({.limit = 3});
  auto one = semaphore.TryAcquire();
  auto two = semaphore.TryAcquire(2);
  REQUIRE(one);
  REQUIRE(two);
  CHECK(semaphore.in_use() == 3);
  CHECK_FALSE(semaphore.TryAcquire());
  two->Release();
  CHECK(semaphore.in_use() == 1);
  CHECK(semaphore.TryAcquire(2));
}

TEST_CASE("a permit goes back once, whatever is done with it") {
  Semaphore semaphore({.limit = 5});
  {
    Permit permit = *semaphore.TryAcquire(2);
    Permit moved = std::move(permit);
    permit.Release();
    CHECK(semaphore.in_use() == 2);
    moved.Release();
    moved.Release();
    CHECK(semaphore.in_use() == 0);
    moved = *semaphore.TryAcquire(3);
    Permit& same = moved;
    moved = std::move(same);
    CHECK(semaphore.in_use() == 3);
    moved = *semaphore.TryAcquire(1);
    CHECK(semaphore.in_use() == 1);
  }
  CHECK(semaphore.in_use() == 0);
  CHECK_NOTHROW(Permit().Release());
}

TEST_CASE("more than the limit, or less than one, is refused for good") {
  Semaphore semaphore({.limit = 2});
  CHECK_FALSE(semaphore.TryAcquire(3));
  CHECK_FALSE(semaphore.TryAcquire(0));
  CHECK_FALSE(semaphore.TryAcquire(-1));
  CHECK_FALSE(semaphore.TryAcquire(std::numeric_limits<std::int64_t>::max()));
  {
    const auto one = semaphore.TryAcquire();
    CHECK_FALSE(semaphore.TryAcquire(std::numeric_limits<std::int64_t>::max()));
    CHECK_FALSE(semaphore.TryAcquire(2));
  }
  CHECK(semaphore.Acquire(3).status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(semaphore.Acquire(0).status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(semaphore.in_use() == 0);
}

TEST_CASE("waiters are served first come, first served, and nobody passes them") {
  Semaphore semaphore({.limit = 3});
  Permit all = *semaphore.TryAcquire(3);
  CountingWaker waker;
  Semaphore::Waiter big;
  Semaphore::Waiter small;
  REQUIRE(big.TryEnter(semaphore, waker, {.n = 3}));
  REQUIRE(small.TryEnter(semaphore, waker, {.n = 1}));
  CHECK(semaphore.queued() == 2);

  Permit part = [&] {  // two of the three come back
    all.Release();
    return *std::move(*big.Take());
  }();
  CHECK(waker.wakes == 1);
  CHECK_FALSE(semaphore.TryAcquire());
  CHECK_FALSE(small.Take());
  part.Release();
  CHECK(waker.wakes == 2);
  const auto taken = small.Take();
  REQUIRE(taken);
  CHECK(taken->ok());
  CHECK(semaphore.queued() == 0);
}

TEST_CASE("a small request does not pass a big one that waits") {
  Semaphore semaphore({.limit = 2});
  Permit one = *semaphore.TryAcquire();
  CountingWaker waker;
  Semaphore::Waiter big;
  REQUIRE(big.TryEnter(semaphore, waker, {.n = 2}));
  CHECK_FALSE(semaphore.TryAcquire());  // though one is free
  one.Release();
  CHECK(waker.wakes == 1);
}

TEST_CASE("a waiter that leaves lets those behind it through, and gives back what it was given") {
  Semaphore semaphore({.limit = 2});
  Permit one = *semaphore.TryAcquire();
  CountingWaker waker;
  auto big = std::make_optional<Semaphore::Waiter>();
  Semaphore::Waiter small;
  REQUIRE(big->TryEnter(semaphore, waker, {.n = 2}));
  REQUIRE(small.TryEnter(semaphore, waker, {.n = 1}));
  big.reset();
  CHECK(waker.wakes == 1);
  CHECK(small.Take());
  {
    Semaphore::Waiter served;
    REQUIRE(served.TryEnter(semaphore, waker, {.n = 1}));
    one.Release();
  }
  CHECK(semaphore.in_use() == 0);
  CHECK(semaphore.queued() == 0);
}

TEST_CASE("a full queue takes nobody") {
  Semaphore semaphore({.limit = 1});
  const auto permit = semaphore.TryAcquire();
  CountingWaker waker;
  Semaphore::Waiter first;
  Semaphore::Waiter second;
  CHECK(first.TryEnter(semaphore, waker, {.n = 1, .max_queue = 1}));
  CHECK_FALSE(second.TryEnter(semaphore, waker, {.n = 1, .max_queue = 1}));
  CHECK_FALSE(second.entered());
}

TEST_CASE("the limit changes while in use") {
  Semaphore semaphore({.limit = 4});
  Permit four = *semaphore.TryAcquire(4);
  semaphore.SetLimit(2);
  CHECK(semaphore.limit() == 2);
  CHECK(semaphore.in_use() == 4);
  CountingWaker waker;
  Semaphore::Waiter one;
  REQUIRE(one.TryEnter(semaphore, waker, {.n = 1}));
  four.Release();
  CHECK(one.Take());

  Permit two = *semaphore.TryAcquire(2);
  Semaphore::Waiter another;
  REQUIRE(another.TryEnter(semaphore, waker, {.n = 1}));
  semaphore.SetLimit(3);
  CHECK(another.Take());

  Semaphore::Waiter too_big;
  REQUIRE(too_big.TryEnter(semaphore, waker, {.n = 3}));
  semaphore.SetLimit(1);
  const auto taken = too_big.Take();
  REQUIRE(taken);
  CHECK(taken->status().code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("Acquire waits until its deadline and holds nothing afterwards") {
  FakeClock clock;
  Semaphore semaphore({.limit = 1, .name = "db", .clock = &clock});
  auto held = semaphore.Acquire();
  REQUIRE(held.ok());
  const auto late = semaphore.Acquire(1, {.deadline = TimePoint{5s}});
  CHECK(late.status().code() == absl::StatusCode::kDeadlineExceeded);
  const auto rejection = RejectionOf(late.status());
  REQUIRE(rejection);
  CHECK(rejection->kind == RejectionKind::kDeadline);
  CHECK(rejection->policy == "Bulkhead");
  CHECK(rejection->name == "db");
  CHECK(clock.Now() == TimePoint{5s});
  CHECK(semaphore.queued() == 0);
  held->Release();
  CHECK(semaphore.Acquire(1, {.deadline = TimePoint{5s}}).ok());
  CHECK(semaphore.Acquire(1, {.deadline = TimePoint{4s}}).status().code() ==
        absl::StatusCode::kDeadlineExceeded);
}

TEST_CASE("a stop request ends Acquire") {
  FakeClock clock;
  Semaphore semaphore({.limit = 1, .clock = &clock});
  const auto held = semaphore.TryAcquire();
  std::stop_source stop;
  absl::StatusCode code = absl::StatusCode::kOk;
  std::jthread waiter(
      [&] { code = semaphore.Acquire(1, {.stop = stop.get_token()}).status().code(); });
  clock.AwaitWaiters(1);
  stop.request_stop();
  waiter.join();
  CHECK(code == absl::StatusCode::kCancelled);
  CHECK(semaphore.queued() == 0);
  CHECK(semaphore.Acquire(1, {.stop = stop.get_token()}).status().code() ==
        absl::StatusCode::kCancelled);
}

TEST_CASE("a semaphore refuses options that make no sense") {
  for (const std::int64_t limit :
       {std::int64_t{0}, std::int64_t{-1}, std::numeric_limits<std::int64_t>::max()}) {
    const Semaphore::Options options{.limit = limit};
    CHECK_THROWS_WITH(Semaphore(options), std::string(Validate(options).message()));
    Semaphore semaphore({.limit = 1});
    CHECK_THROWS_AS(semaphore.SetLimit(limit), std::invalid_argument);
  }
  Semaphore largest({.limit = Semaphore::kMaxLimit});
  const auto all = largest.TryAcquire(Semaphore::kMaxLimit);
  REQUIRE(all);
  CHECK_FALSE(largest.TryAcquire());
}

// Real concurrency never passes the limit, nobody is forgotten, and all of it comes back.
TEST_CASE("threads that acquire, time out, cancel and change the limit") {
  constexpr std::int64_t kMost = 6;
  Semaphore semaphore({.limit = kMost});
  std::atomic<std::int64_t> inside = 0;
  std::atomic<std::int64_t> peak = 0;
  std::atomic<int> entered = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 6; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 1'500; ++i) {
          const std::int64_t n = 1 + (t + i) % 3;
          const bool hasty = i % 5 == 0;
          auto permit = semaphore.Acquire(
              n, {.deadline = hasty ? SteadyClock()->Now() + 20us : TimePoint::max()});
          if (!permit.ok()) continue;
          ++entered;
          const std::int64_t now_inside = inside += n;
          std::int64_t seen = peak.load();
          while (seen < now_inside && !peak.compare_exchange_weak(seen, now_inside)) {
          }
          inside -= n;
        }
      });
    }
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) semaphore.SetLimit(3 + i % 4);
      semaphore.SetLimit(kMost);
    });
  }
  CHECK(peak <= kMost);
  CHECK(entered >= 6 * 1'200);
  CHECK(semaphore.in_use() == 0);
  CHECK(semaphore.queued() == 0);
}

// One thread's random deeds, a tenth of which may wait.
class Deeds {
 public:
  Deeds(Semaphore& semaphore, unsigned seed) : semaphore_(semaphore), random_(seed) {}

  void Do(int times) {
    for (int i = 0; i < times; ++i) One();
    held_ = {};
  }

 private:
  unsigned Draw(unsigned below) { return static_cast<unsigned>(random_() % below); }

  void Keep(absl::StatusOr<Permit> permit) {
    if (permit.ok()) held_[Draw(2)] = *std::move(permit);  // gives back what was there
  }

  void One() {
    const unsigned deed = Draw(100);
    const std::int64_t n = 1 + Draw(3);
    if (deed < 60) {
      if (auto permit = semaphore_.TryAcquire(n)) held_[Draw(2)] = *std::move(permit);
    } else if (deed < 85) {
      held_[Draw(2)].Release();
    } else if (deed < 95) {
      Queue(n);
    } else if (deed < 97) {
      held_ = {};  // who waits holds nothing, or all might wait for each other
      Keep(semaphore_.Acquire(n, {.deadline = SteadyClock()->Now() + 5us}));
    } else if (deed < 99) {
      Cancel(n);
    } else {
      semaphore_.SetLimit(2 + Draw(6));
    }
  }

  // Looks at most twice, and leaves.
  void Queue(std::int64_t n) {
    Parker waker;
    Semaphore::Waiter waiter;
    if (!waiter.TryEnter(semaphore_, waker,
                         {.n = n,
                          .priority = static_cast<Priority>(Draw(kPriorities)),
                          .newest_first = Draw(2) == 0,
                          .max_queue = 3})) {
      return;
    }
    if (auto permit = waiter.Take()) return Keep(*std::move(permit));
    held_ = {};
    if (auto permit = waiter.Take()) Keep(*std::move(permit));
  }

  void Cancel(std::int64_t n) {
    held_ = {};
    std::stop_source stop;
    std::jthread stopper([&] { stop.request_stop(); });
    Keep(semaphore_.Acquire(n, {.stop = stop.get_token()}));
  }

  Semaphore& semaphore_;
  std::minstd_rand random_;
  std::array<Permit, 2> held_;
};

TEST_CASE("a semaphore's count is exact after a million random deeds of threads") {
  Semaphore semaphore({.limit = 5});
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < 4; ++t) {
      threads.emplace_back([&semaphore, t] { Deeds(semaphore, t + 1).Do(250'000); });
    }
  }
  CHECK(semaphore.in_use() == 0);
  CHECK(semaphore.queued() == 0);
  semaphore.SetLimit(5);
  CHECK(semaphore.TryAcquire(5).has_value());
}

TEST_CASE("a queue in which one gives way to another is as old as before") {
  Semaphore semaphore({.limit = 1});
  const auto held = semaphore.TryAcquire();
  CountingWaker waker;
  Semaphore::Waiter first;
  Semaphore::Waiter second;
  REQUIRE(first.TryEnter(semaphore, waker, {.max_queue = 1, .now = TimePoint(1s)}));
  REQUIRE(second.TryEnter(semaphore, waker,
                          {.priority = Priority::kCritical, .max_queue = 1, .now = TimePoint(3s)}));
  CHECK(second.queue_age() == 2s);
}

}  // namespace
}  // namespace holdfast::semaphore_test
