#include "holdfast/base/time.h"

#include <stop_token>

#include "holdfast/base/waker.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"

namespace holdfast::time_test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("time arithmetic saturates instead of overflowing") {
  constexpr TimePoint kNow{5s};
  CHECK(SaturatingAdd(kNow, 2s) == TimePoint{7s});
  CHECK(SaturatingAdd(kNow, Duration::max()) == TimePoint::max());
  CHECK(SaturatingAdd(TimePoint{-5s}, Duration::min()) == TimePoint::min());
  CHECK(SaturatingSub(kNow, TimePoint{2s}) == 3s);
  CHECK(SaturatingSub(kNow, TimePoint::min()) == Duration::max());
  CHECK(SaturatingSub(TimePoint{-5s}, TimePoint::max()) == Duration::min());
  CHECK(SaturatingSub(TimePoint::max(), kNow) == TimePoint::max() - kNow);
  CHECK(SaturatingMul(2s, 3) == 6s);
  CHECK(SaturatingMul(Duration::max(), 2) == Duration::max());
  CHECK(SaturatingMul(Duration::max(), -2) == Duration::min());
}

TEST_CASE("the steady clock moves and waits") {
  Clock* clock = SteadyClock();
  const TimePoint start = clock->Now();
  Parker parker;
  clock->WaitUntil(start + 1ms, parker);
  CHECK(clock->Now() >= start + 1ms);
}

TEST_CASE("a wake before the wait is not lost") {
  Parker parker;
  parker.Wake();
  CHECK(parker.ParkUntil(TimePoint::max()));
  CHECK_FALSE(parker.TryConsume());
  parker.Wake();
  CHECK(parker.TryConsume());
}

TEST_CASE("a sleep ends at its time, or with the stop request") {
  testing::FakeClock clock;
  std::stop_source stop;
  CHECK(internal::SleepUntil(&clock, TimePoint{3s}, stop.get_token()));
  CHECK(clock.Now() == TimePoint{3s});
  stop.request_stop();
  CHECK_FALSE(internal::SleepUntil(&clock, TimePoint{9s}, stop.get_token()));
  CHECK(clock.Now() == TimePoint{3s});
}

}  // namespace
}  // namespace holdfast::time_test
