#include "holdfast/testing/fake_clock.h"

#include <thread>

#include "test/support/catch.h"

namespace holdfast::testing::fake_clock_test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("a fake clock moves only when it is told to") {
  FakeClock clock(TimePoint{10s});
  CHECK(clock.Now() == TimePoint{10s});
  clock.Advance(5s);
  CHECK(clock.Now() == TimePoint{15s});
  clock.Advance(-1s);
  CHECK(clock.Now() == TimePoint{14s});
  clock.Advance(Duration::max());
  CHECK(clock.Now() == TimePoint::max());
}

TEST_CASE("a wait on a fake clock is over at once, at its end") {
  FakeClock clock;
  Parker parker;
  clock.WaitUntil(TimePoint{1h}, parker);
  CHECK(clock.Now() == TimePoint{1h});
  clock.WaitUntil(TimePoint{1min}, parker);
  CHECK(clock.Now() == TimePoint{1h});
}

TEST_CASE("a wait that was woken before leaves the time alone") {
  FakeClock clock;
  Parker parker;
  parker.Wake();
  clock.WaitUntil(TimePoint{1h}, parker);
  CHECK(clock.Now() == TimePoint{});
}

TEST_CASE("without auto advance a wait lasts until somebody advances far enough") {
  FakeClock clock;
  clock.set_auto_advance(false);
  TimePoint woken_at;
  std::jthread sleeper([&] {
    Parker parker;
    clock.WaitUntil(TimePoint{10s}, parker);
    woken_at = clock.Now();
  });
  clock.AwaitWaiters(1);
  clock.Advance(9s);
  clock.AwaitWaiters(1);
  clock.Advance(1s);
  sleeper.join();
  CHECK(woken_at == TimePoint{10s});
}

TEST_CASE("who has been woken does not count as waiting") {
  for (int i = 0; i < 100; ++i) {
    FakeClock clock;
    clock.set_auto_advance(false);
    std::jthread sleeper([&] {
      Parker parker;
      clock.WaitUntil(TimePoint{1s}, parker);
      clock.WaitUntil(TimePoint{2s}, parker);
    });
    for (int wait = 0; wait < 2; ++wait) {
      clock.AwaitWaiters(1);
      clock.Advance(1s);
    }
    sleeper.join();
    CHECK(clock.Now() == TimePoint{2s});
  }
}

TEST_CASE("turned on, auto advance ends the waits there are") {
  FakeClock clock;
  clock.set_auto_advance(false);
  std::jthread sleeper([&] {
    Parker parker;
    clock.WaitUntil(TimePoint{1h}, parker);
  });
  clock.AwaitWaiters(1);
  clock.set_auto_advance(true);
  sleeper.join();
  CHECK(clock.Now() == TimePoint{1h});
}

TEST_CASE("a wait without an end lasts until it is woken") {
  FakeClock clock;
  Parker parker;
  std::jthread sleeper([&] { clock.WaitUntil(TimePoint::max(), parker); });
  clock.AwaitWaiters(1);
  parker.Wake();
  sleeper.join();
  CHECK(clock.Now() == TimePoint{});
}

}  // namespace
}  // namespace holdfast::testing::fake_clock_test
