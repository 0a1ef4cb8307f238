// New options of a Semaphore while permits are out.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "holdfast/concurrency/semaphore.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::semaphore_update_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;
using Options = Semaphore::Options;

TEST_CASE("a smaller limit takes no permit away, and holds once enough came back") {
  Semaphore semaphore({.limit = 3});
  std::optional<Permit> permits[] = {semaphore.TryAcquire(), semaphore.TryAcquire(),
                                     semaphore.TryAcquire()};
  CHECK(semaphore.Update({.limit = 1}).ok());
  CHECK(semaphore.options().limit == 1);
  CHECK(semaphore.in_use() == 3);
  permits[0].reset();
  permits[1].reset();
  CHECK_FALSE(semaphore.TryAcquire());
  permits[2].reset();
  CHECK(semaphore.TryAcquire());
}

TEST_CASE("who waits is served by a larger limit, and told where it has become impossible") {
  Semaphore semaphore({.limit = 2});
  std::optional<Permit> held = semaphore.TryAcquire(2);
  Parker parker;
  Semaphore::Waiter waiter;
  REQUIRE(waiter.TryEnter(semaphore, parker, {.n = 2}));
  CHECK_FALSE(parker.TryConsume());
  SECTION("the same limit does not ring") {
    CHECK(semaphore.Update(semaphore.options()).ok());
    CHECK_FALSE(parker.TryConsume());
    CHECK_FALSE(waiter.Take());
  }
  SECTION("a larger one serves") {
    CHECK(semaphore.Update({.limit = 4}).ok());
    CHECK(parker.TryConsume());
    CHECK(waiter.Take()->ok());
  }
  SECTION("a smaller one ends the waiting") {
    CHECK(semaphore.Update({.limit = 1}).ok());
    CHECK(parker.TryConsume());
    CHECK(waiter.Take()->status().code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("what a semaphore refuses changes nothing of it") {
  FakeClock clock;
  FakeClock other;
  Semaphore semaphore({.limit = 2, .name = "db", .clock = &clock});
  for (const Options& wrong :
       {Options{.limit = 0}, Options{.limit = Semaphore::kMaxLimit + 1},
        Options{.limit = 1, .name = "web"}, Options{.limit = 1, .clock = &other}}) {
    const absl::Status status = semaphore.Update(wrong);
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(status.message()), test::StartsWith("Semaphore db: "));
  }
  CHECK(semaphore.limit() == 2);
  CHECK(semaphore.options().name == "db");
  CHECK(semaphore.options().clock == &clock);
  CHECK(semaphore.Update({.limit = 3, .name = "db", .clock = &clock}).ok());
}

TEST_CASE("whatever is asked and changed, only who finds room is let in") {
  std::mt19937_64 gen(7);
  const auto below = [&gen](std::int64_t n) {
    return static_cast<std::int64_t>(gen() % static_cast<std::uint64_t>(n));
  };
  Semaphore semaphore({.limit = 5});
  std::int64_t limit = 5;
  std::vector<std::pair<std::int64_t, Permit>> out;
  std::int64_t in_use = 0;
  for (int step = 0; step < 100'000; ++step) {
    const std::int64_t what = below(5);
    if (what == 0) {
      limit = 1 + below(9);
      REQUIRE(semaphore.Update({.limit = limit}).ok());
    } else if (what < 3) {
      const std::int64_t n = 1 + below(4);
      std::optional<Permit> permit = semaphore.TryAcquire(n);
      REQUIRE(permit.has_value() == (in_use + n <= limit));
      if (!permit) continue;
      in_use += n;
      out.emplace_back(n, *std::move(permit));
    } else if (!out.empty()) {
      const auto which = static_cast<std::size_t>(below(std::ssize(out)));
      std::swap(out[which], out.back());
      in_use -= out.back().first;
      out.pop_back();
    }
    REQUIRE(semaphore.in_use() == in_use);
    REQUIRE(semaphore.limit() == limit);
  }
}

TEST_CASE("threads that wait for permits while the limit changes all get theirs") {
  Semaphore semaphore({.limit = 2});
  std::atomic<int> running = 3;
  std::atomic<int> inside = 0;
  std::atomic<int> wrong = 0;
  test::InThreads(4, [&](int thread) {
    if (thread < 3) {
      for (int i = 0; i < 5'000; ++i) {
        const absl::StatusOr<Permit> permit = semaphore.Acquire();
        wrong += permit.ok() && ++inside <= 3 ? 0 : 1;
        --inside;
      }
      --running;
    } else {
      for (int i = 0; running > 0; ++i) {
        wrong += semaphore.Update({.limit = 1 + i % 3}).ok() ? 0 : 1;
        wrong += semaphore.options().limit <= 3 ? 0 : 1;
        std::this_thread::yield();
      }
    }
  });
  CHECK(wrong == 0);
  CHECK(semaphore.in_use() == 0);
  CHECK(semaphore.queued() == 0);
}

}  // namespace
}  // namespace holdfast::semaphore_update_test
