// holdfast.active_calls: how many calls through a stack have begun and not ended.
#include <absl/status/status.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <vector>

#include "holdfast/hedge/hedge.h"
#include "holdfast/rate/rate_limit.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/testing/simulate.h"
#include "holdfast/testing/world.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"
#include "test/support/collected.h"
#include "test/support/threads.h"

namespace holdfast::active_calls_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

// The meter of a stack that counts them.
class Meter {
 public:
  template <class S>
  explicit Meter(const S& stack) : objects_(stack.Objects()), meter_(objects_.all().front()) {
    meter_.count_active(meter_.object.lock().get());
  }

  double active() const {
    test::Collected counters;
    meter_.collect(meter_.object.lock().get(), counters);
    return counters.at("holdfast.active_calls");
  }

 private:
  const CollectedObjects objects_;
  const CollectedObject& meter_;
};

TEST_CASE("active calls are counted where that was asked for") {
  const Stack stack;
  const auto objects = stack.Objects();
  test::Collected counters;
  objects.all().front().collect(objects.all().front().object.lock().get(), counters);
  CHECK_FALSE(counters.has("holdfast.active_calls"));
  const Meter meter(stack);
  CHECK(meter.active() == 0);
}

TEST_CASE("a call is active until it ends, however it does") {
  FakeClock clock;
  const auto stack = Stack(RateLimit({.rate = 1, .burst = 3}, {.max_wait = 0s}),
                           Retry({.max_attempts = 3, .backoff = Backoff::Constant(1ms)}));
  const Meter meter(stack);
  std::vector<double> seen;
  const auto see = [&] { seen.push_back(meter.active()); };
  // A call in a call.
  const auto ok = stack.Around(
      [&] {
        see();
        return absl::OkStatus();
      },
      &clock);
  const auto fails = stack.Around(
      [&] {
        see();
        (void)ok();
        return absl::UnavailableError("down");
      },
      &clock);
  CHECK_FALSE(fails().ok());
  CHECK(seen == std::vector<double>{1, 2, 1, 2, 1});  // the third one is refused
  CHECK(meter.active() == 0);
  CHECK(absl::IsResourceExhausted(ok()));
  CHECK(meter.active() == 0);
  clock.Advance(1min);
  CHECK_THROWS(stack.Around([]() -> absl::Status { throw std::runtime_error("x"); }, &clock)());
  CHECK(meter.active() == 0);
  std::stop_source stop;
  const auto stopped = stack.Around(
      [&] {
        stop.request_stop();
        return absl::UnavailableError("down");
      },
      &clock);
  CHECK(absl::IsCancelled(stopped.With({.stop = stop.get_token()})));
  CHECK(absl::IsCancelled(stopped.With({.stop = stop.get_token()})));
  CHECK(meter.active() == 0);
}

TEST_CASE("a call that runs when counting begins is not counted, at its end either") {
  const Stack stack(Timeout(1h));
  testing::World world;
  const auto fetch =
      testing::Simulate(world, stack, [&](Call&, const testing::Reply<absl::Status>& reply) {
        world.After(1s, [reply] { reply.Done(absl::OkStatus()); });
      });
  fetch();
  const Meter meter(stack);
  CHECK(meter.active() == 0);
  fetch();
  CHECK(meter.active() == 1);
  world.Run();
  CHECK(meter.active() == 0);
}

TEST_CASE("a call with copies is one call, and one that its driver leaves has ended") {
  const auto stack = Stack(Hedge({.delay = 10ms, .max_hedges = 3}, HedgeAll()));
  const Meter meter(stack);
  {
    testing::World world;
    const auto fetch =
        testing::Simulate(world, stack, [](Call&, const testing::Reply<absl::Status>&) {});
    fetch();
    fetch();
    world.RunFor(1s);
    CHECK(meter.active() == 2);
  }
  CHECK(meter.active() == 0);
}

TEST_CASE("calls in many threads are counted to the last one") {
  const Stack stack(Timeout(1h));
  const Meter meter(stack);
  std::atomic<int> wrong{0};
  constexpr int kThreads = 6;
  const auto fetch = stack.Around([&] {
    const double active = meter.active();
    if (active > kThreads || active < 0) wrong.fetch_add(1, std::memory_order_relaxed);
    return absl::OkStatus();
  });
  test::InThreads(kThreads, [&](int) {
    for (int i = 0; i < 300; ++i) (void)fetch();
  });
  CHECK(wrong.load(std::memory_order_relaxed) == 0);
  CHECK(meter.active() == 0);
}

}  // namespace
}  // namespace holdfast::active_calls_test
