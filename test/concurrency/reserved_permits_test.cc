#include "holdfast/concurrency/internal/reserved_permits.h"

#include <chrono>

#include "test/support/catch.h"

namespace holdfast::internal::reserved_permits_test {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{1h};

TEST_CASE(
    "a refused call reserves permits against lower priorities, and half of them go each second") {
  ReservedPermits reserved;
  reserved.NoteSeen(Priority::kLow);
  for (int i = 0; i < 4; ++i) reserved.NoteRefused(Priority::kNormal, kStart, 64);
  CHECK(reserved.MustReserve(Priority::kLow));
  CHECK(reserved.MustReserve(Priority::kSheddable));
  CHECK_FALSE(reserved.MustReserve(Priority::kNormal));
  CHECK(reserved.ReservedAgainst(Priority::kLow, kStart) == 16);
  CHECK(reserved.ReservedAgainst(Priority::kSheddable, kStart + 1s) == 8);
  CHECK(reserved.ReservedAgainst(Priority::kLow, kStart + 2s) == 4);
  CHECK(reserved.ReservedAgainst(Priority::kNormal, kStart) == 0);
}

TEST_CASE("a reservation is forgotten in the end, and then costs nothing") {
  ReservedPermits reserved;
  reserved.NoteSeen(Priority::kLow);
  reserved.NoteRefused(Priority::kCritical, kStart, 1);
  CHECK(reserved.ReservedAgainst(Priority::kLow, kStart) == 1);
  CHECK(reserved.ReservedAgainst(Priority::kLow, kStart + 999ms) == 1);
  CHECK(reserved.ReservedAgainst(Priority::kLow, kStart + 1001ms) == 0);
  CHECK_FALSE(reserved.MustReserve(Priority::kLow));
}

TEST_CASE("no more is ever reserved than all, and an older time changes nothing") {
  ReservedPermits reserved;
  for (int i = 0; i < 1000; ++i) reserved.NoteRefused(Priority::kNormal, kStart, 10);
  CHECK(reserved.ReservedAgainst(Priority::kLow, kStart) == 10);
  CHECK(reserved.ReservedAgainst(Priority::kLow, kStart - 1h) == 10);
  CHECK(reserved.ReservedAgainst(Priority::kLow, TimePoint::min()) == 10);
  CHECK(reserved.ReservedAgainst(Priority::kLow, TimePoint::max()) == 0);
}

TEST_CASE("a reservation has an effect only where calls of a lower priority come") {
  ReservedPermits reserved;
  reserved.NoteSeen(Priority::kNormal);
  CHECK_FALSE(reserved.HasLowerPriority(Priority::kNormal));
  CHECK(reserved.HasLowerPriority(Priority::kCritical));
  CHECK_FALSE(reserved.HasLowerPriority(Priority::kSheddable));
}

}  // namespace
}  // namespace holdfast::internal::reserved_permits_test
