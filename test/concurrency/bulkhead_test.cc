#include "holdfast/concurrency/bulkhead.h"

#include <absl/status/status.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <vector>

#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"

namespace holdfast::bulkhead_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

std::shared_ptr<Semaphore> Permits(std::int64_t limit) {
  return std::make_shared<Semaphore>(Semaphore::Options{.limit = limit, .name = "db"});
}

const auto kSucceed = [] { return absl::OkStatus(); };
constexpr BulkheadOptions kPatient = {.max_wait = Duration::max()};

TEST_CASE("a bulkhead holds a permit while the call is below it, and no longer") {
  const auto permits = Permits(1);
  std::int64_t during = 0;
  const auto call = Stack(Bulkhead(permits)).Around([&] {
    during = permits->in_use();
    return absl::OkStatus();
  });
  CHECK(call().ok());
  CHECK(during == 1);
  CHECK(permits->in_use() == 0);
}

TEST_CASE("a call that waits gets the permit that comes back") {
  FakeClock clock;
  const auto permits = Permits(1);
  auto held = permits->TryAcquire();
  const auto call = Stack(Bulkhead(permits, kPatient)).Around(kSucceed, &clock);
  absl::Status status = absl::UnknownError("");
  std::jthread caller([&] { status = call(); });
  clock.AwaitWaiters(1);
  CHECK(permits->queued() == 1);
  held->Release();
  caller.join();
  CHECK(status.ok());
  CHECK(permits->in_use() == 0);
  CHECK(clock.Now() == TimePoint{0s});
}

TEST_CASE("a full bulkhead refuses when the wait is over: max_wait's end, or the deadline") {
  FakeClock clock;
  const auto permits = Permits(1);
  const auto held = permits->TryAcquire();
  const auto impatient = Stack(Bulkhead(permits, {.max_wait = 3s})).Around(kSucceed, &clock);
  const absl::Status full = impatient();
  CHECK(full.code() == absl::StatusCode::kResourceExhausted);
  CHECK(RejectionOf(full)->kind == RejectionKind::kBulkheadFull);
  CHECK(RejectionOf(full)->name == "db");
  CHECK(clock.Now() == TimePoint{3s});

  const auto bounded = Stack(Timeout(2s), Bulkhead(permits, kPatient)).Around(kSucceed, &clock);
  CHECK(bounded().code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(clock.Now() == TimePoint{5s});
  CHECK(permits->queued() == 0);

  const auto at_once = Stack(Bulkhead(permits, {.max_wait = 0s})).Around(kSucceed, &clock);
  CHECK(at_once().code() == absl::StatusCode::kResourceExhausted);
  CHECK(clock.Now() == TimePoint{5s});
}

TEST_CASE("a bulkhead whose queue is full refuses at once") {
  FakeClock clock;
  const auto permits = Permits(1);
  auto held = permits->TryAcquire();
  const auto call = Stack(Bulkhead(permits, {.max_wait = Duration::max(), .max_queue = 1}))
                        .Around(kSucceed, &clock);
  std::jthread waiter([&] { (void)call(); });
  clock.AwaitWaiters(1);
  CHECK(call().code() == absl::StatusCode::kResourceExhausted);
  CHECK(permits->queued() == 1);
  held->Release();
}

TEST_CASE("a call that is stopped while it waits leaves the queue") {
  FakeClock clock;
  const auto permits = Permits(1);
  const auto held = permits->TryAcquire();
  const auto call = Stack(Bulkhead(permits, kPatient)).Around(kSucceed, &clock);
  std::stop_source stop;
  absl::Status status;
  std::jthread caller([&] { status = call.With({.stop = stop.get_token()}); });
  clock.AwaitWaiters(1);
  stop.request_stop();
  caller.join();
  CHECK(status.code() == absl::StatusCode::kCancelled);
  CHECK(permits->queued() == 0);
  CHECK(permits->in_use() == 1);
}

TEST_CASE("whatever the executor throws, the permit comes back") {
  const auto permits = Permits(1);
  const auto call =
      Stack(Bulkhead(permits)).Around([]() -> absl::Status { throw std::runtime_error("boom"); });
  for (int i = 0; i < 5; ++i) CHECK_THROWS(call());
  CHECK(permits->in_use() == 0);
}

TEST_CASE("by default a call waits for a second, or less where its deadline says so") {
  FakeClock clock;
  const auto permits = Permits(1);
  const auto held = permits->TryAcquire();
  const auto waited = [&](const auto& stack, absl::StatusCode code) {
    const TimePoint before = clock.Now();
    CHECK(stack.Around(kSucceed, &clock)().code() == code);
    return clock.Now() - before;
  };
  CHECK(waited(Stack(Bulkhead(permits)), absl::StatusCode::kResourceExhausted) == 1s);
  CHECK(waited(Stack(Bulkhead(permits, {})), absl::StatusCode::kResourceExhausted) == 1s);
  const Stack hasty(Timeout(300ms), Bulkhead(permits));
  CHECK(waited(hasty, absl::StatusCode::kDeadlineExceeded) == 300ms);
  CHECK(Validate(hasty).ok());
  CHECK(Validate(Stack(Bulkhead(permits))).ok());
  CHECK_FALSE(Validate(Stack(Bulkhead(permits, kPatient))).ok());
  CHECK(permits->queued() == 0);
}

TEST_CASE("a bulkhead says how long a call may wait, where that was chosen") {
  const auto text = [](BulkheadOptions options) {
    return Stack(Bulkhead(Permits(1), options)).Describe();
  };
  CHECK(text({}) == "Bulkhead(\"db\", 1 at once)");
  CHECK(text({.max_wait = 3s}) == "Bulkhead(\"db\", 1 at once, waits up to 3s)");
  CHECK(text(kPatient) == "Bulkhead(\"db\", 1 at once, waits until the deadline)");
  CHECK(text({.order = QueueOrder::kNewestFirst, .controlled_delay = ControlledDelay{}}) ==
        "Bulkhead(\"db\", 1 at once, LIFO, CoDel 5ms)");
}

TEST_CASE("a bulkhead without a limit says that it is missing") {
  CHECK_THROWS_WITH(Bulkhead({}),
                    "Semaphore: limit is missing; set it to the most permits at once");
  CHECK_THROWS_WITH(Bulkhead({.name = "db"}),
                    "Semaphore db: limit is missing; set it to the most permits at once");
  CHECK_THROWS_WITH(Bulkhead({.limit = -1}), "Semaphore: limit must be in [1, 2^31 - 1], not -1");
  CHECK(Stack(Bulkhead({.limit = 10})).Around(kSucceed)().ok());
  CHECK(Stack(Bulkhead({.limit = 10}, {})).Around(kSucceed)().ok());
}

TEST_CASE("a bulkhead may be made from options, and refuses senseless ones") {
  CHECK(Stack(Bulkhead({.limit = 1})).Around(kSucceed)().ok());
  CHECK_THROWS_AS(Bulkhead({.limit = 0}), std::invalid_argument);
  CHECK_THROWS_AS(Bulkhead(Permits(1), {.max_wait = -1s}), std::invalid_argument);
  CHECK_THROWS_AS(Bulkhead(Permits(1), {.max_queue = -1}), std::invalid_argument);
  CHECK_THROWS_AS(Bulkhead(std::shared_ptr<Semaphore>()), std::invalid_argument);
}

TEST_CASE("threads through one bulkhead never pass its limit") {
  const auto permits = Permits(3);
  std::atomic<int> inside = 0;
  std::atomic<bool> passed = false;
  const auto call = Stack(Timeout(200us), Bulkhead(permits)).Around([&] {
    if (++inside > 3) passed = true;
    --inside;
    return absl::OkStatus();
  });
  std::atomic<int> succeeded = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 1'000; ++i) succeeded += call().ok() ? 1 : 0;
      });
    }
  }
  CHECK_FALSE(passed);
  CHECK(succeeded > 0);
  CHECK(permits->in_use() == 0);
  CHECK(permits->queued() == 0);
}

}  // namespace
}  // namespace holdfast::bulkhead_test
