#include "holdfast/concurrency/internal/reserved_permits.h"

#include <chrono>

#include "test/support/catch.h"

namespace holdfast::internal {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{1h};

TEST_CASE(
    "permits are reserved for who missed, from those who matter less, and half of it each second") {
  ReservedPermits reserved;
  reserved.Saw(Priority::kLow);
  for (int i = 0; i < 4; ++i) reserved.Missed(Priority::kNormal, kStart, 64);
  CHECK(reserved.Matters(Priority::kLow));
  CHECK(reserved.Matters(Priority::kSheddable));
  CHECK_FALSE(reserved.Matters(Priority::kNormal));
  CHECK(reserved.For(Priority::kLow, kStart) == 16);
  CHECK(reserved.For(Priority::kSheddable, kStart + 1s) == 8);
  CHECK(reserved.For(Priority::kLow, kStart + 2s) == 4);
  CHECK(reserved.For(Priority::kNormal, kStart) == 0);
}

TEST_CASE("a reservation is forgotten in the end, and then costs nothing") {
  ReservedPermits reserved;
  reserved.Saw(Priority::kLow);
  reserved.Missed(Priority::kCritical, kStart, 1);
  CHECK(reserved.For(Priority::kLow, kStart) == 1);
  CHECK(reserved.For(Priority::kLow, kStart + 999ms) == 1);
  CHECK(reserved.For(Priority::kLow, kStart + 1001ms) == 0);
  CHECK_FALSE(reserved.Matters(Priority::kLow));
}

TEST_CASE("no more is ever reserved than all, and an older time changes nothing") {
  ReservedPermits reserved;
  for (int i = 0; i < 1000; ++i) reserved.Missed(Priority::kNormal, kStart, 10);
  CHECK(reserved.For(Priority::kLow, kStart) == 10);
  CHECK(reserved.For(Priority::kLow, kStart - 1h) == 10);
  CHECK(reserved.For(Priority::kLow, TimePoint::min()) == 10);
  CHECK(reserved.For(Priority::kLow, TimePoint::max()) == 0);
}

TEST_CASE("a reservation counts only where there is somebody to leave it") {
  ReservedPermits reserved;
  reserved.Saw(Priority::kNormal);
  CHECK_FALSE(reserved.Counts(Priority::kNormal));
  CHECK(reserved.Counts(Priority::kCritical));
  CHECK_FALSE(reserved.Counts(Priority::kSheddable));
}

}  // namespace
}  // namespace holdfast::internal
