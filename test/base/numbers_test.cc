#include <cstddef>
#include <cstdint>
#include <limits>

#include "holdfast/base/internal/int128.h"
#include "holdfast/base/internal/log_linear.h"
#include "holdfast/base/time.h"
#include "test/support/catch.h"

namespace holdfast::internal::numbers_test {
namespace {

TEST_CASE("a quotient is rounded down, whatever its sign") {
  CHECK(FloorDiv(7, 2) == 3);
  CHECK(FloorDiv(-7, 2) == -4);
  CHECK(FloorDiv(-8, 2) == -4);
  CHECK(FloorDiv(0, 5) == 0);
  CHECK(FloorDiv(Int128{std::numeric_limits<std::int64_t>::min()} * 3, 2) ==
        Int128{std::numeric_limits<std::int64_t>::min()} / 2 * 3);
}

template <int kBits>
void CheckBuckets() {
  using Buckets = LogLinear<kBits>;
  Duration next = Duration::zero();
  for (std::size_t bucket = 0; bucket < Buckets::kBuckets; ++bucket) {
    const Duration begin = Buckets::Begin(bucket);
    const Duration last = Buckets::Last(bucket);
    REQUIRE(begin == next);  // without a gap
    REQUIRE(Buckets::BucketOf(begin) == bucket);
    REQUIRE(Buckets::BucketOf(last) == bucket);
    REQUIRE((Buckets::Width(bucket) == Duration(1) ||
             Buckets::Width(bucket) <= begin / Buckets::kPerDoubling));
    if (bucket + 1 < Buckets::kBuckets) next = last + Duration(1);
  }
  CHECK(Buckets::BucketOf(Duration::max()) == Buckets::kBuckets - 1);
  CHECK(Buckets::BucketOf(Duration::min()) == 0);
  CHECK(Buckets::Last(Buckets::kBuckets - 1) == Duration::max());
}

TEST_CASE("the buckets of a log-linear histogram cover all times, each narrow for its times") {
  CheckBuckets<5>();
  CheckBuckets<6>();
}

}  // namespace
}  // namespace holdfast::internal::numbers_test
