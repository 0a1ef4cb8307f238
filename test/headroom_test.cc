#include "holdfast/internal/headroom.h"

#include <chrono>

#include "test/support/catch.h"

namespace holdfast::internal {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{1h};

TEST_CASE(
    "headroom is kept for who missed, from those who matter less, and half of it each second") {
  Headroom headroom;
  headroom.Saw(Priority::kLow);
  for (int i = 0; i < 4; ++i) headroom.Missed(Priority::kNormal, kStart, 64);
  CHECK(headroom.Matters(Priority::kLow));
  CHECK(headroom.Matters(Priority::kSheddable));
  CHECK_FALSE(headroom.Matters(Priority::kNormal));
  CHECK(headroom.For(Priority::kLow, kStart) == 16);
  CHECK(headroom.For(Priority::kSheddable, kStart + 1s) == 8);
  CHECK(headroom.For(Priority::kLow, kStart + 2s) == 4);
  CHECK(headroom.For(Priority::kNormal, kStart) == 0);
}

TEST_CASE("headroom is forgotten in the end, and then costs nothing") {
  Headroom headroom;
  headroom.Saw(Priority::kLow);
  headroom.Missed(Priority::kCritical, kStart, 1);
  CHECK(headroom.For(Priority::kLow, kStart) == 1);
  CHECK(headroom.For(Priority::kLow, kStart + 999ms) == 1);
  CHECK(headroom.For(Priority::kLow, kStart + 1001ms) == 0);
  CHECK_FALSE(headroom.Matters(Priority::kLow));
}

TEST_CASE("headroom is never more than all, and an older time changes nothing") {
  Headroom headroom;
  for (int i = 0; i < 1000; ++i) headroom.Missed(Priority::kNormal, kStart, 10);
  CHECK(headroom.For(Priority::kLow, kStart) == 10);
  CHECK(headroom.For(Priority::kLow, kStart - 1h) == 10);
  CHECK(headroom.For(Priority::kLow, TimePoint::min()) == 10);
  CHECK(headroom.For(Priority::kLow, TimePoint::max()) == 0);
}

TEST_CASE("headroom counts only where there is somebody to leave it") {
  Headroom headroom;
  headroom.Saw(Priority::kNormal);
  CHECK_FALSE(headroom.Counts(Priority::kNormal));
  CHECK(headroom.Counts(Priority::kCritical));
  CHECK_FALSE(headroom.Counts(Priority::kSheddable));
}

}  // namespace
}  // namespace holdfast::internal
