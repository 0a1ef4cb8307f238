#include "holdfast/call/internal/duration_histogram.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <utility>

#include "holdfast/base/internal/int128.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::duration_histogram_test {
namespace {

using namespace std::chrono_literals;
using internal::DurationBuckets;
using internal::DurationHistogram;
using internal::Uint128;

// The upper and the lower half of a * b.
std::pair<Uint128, Uint128> Product(Uint128 a, Uint128 b) {
  const auto low = [](Uint128 x) { return Uint128{static_cast<std::uint64_t>(x)}; };
  const Uint128 mid1 = (a >> 64) * low(b) + (low(a) * low(b) >> 64);
  const Uint128 mid2 = low(a) * (b >> 64) + low(mid1);
  return {(a >> 64) * (b >> 64) + (mid1 >> 64) + (mid2 >> 64), a * b};
}

// Whether ns nanoseconds are no more than 2^(quarters / 4) seconds, in whole numbers:
// ns^4 <= 10^36 * 2^quarters, where 2 to what is negative goes to the other side.
bool AtMost(std::uint64_t ns, int quarters) {
  const int right = quarters > 0 ? quarters : 0;
  const int left = quarters < 0 ? -quarters : 0;
  const Uint128 square = Uint128{ns} * ns;
  const Uint128 second = Uint128{1'000'000'000} * 1'000'000'000;
  return Product(square << (left / 2), square << (left - left / 2)) <=
         Product(second << (right / 2), second << (right - right / 2));
}

// The most nanoseconds of which AtMost is true.
std::uint64_t Edge(int quarters) {
  std::uint64_t least = 0;
  std::uint64_t more = std::uint64_t{1} << 38;  // 275 s
  while (more - least > 1) {
    const std::uint64_t middle = std::midpoint(least, more);
    (AtMost(middle, quarters) ? least : more) = middle;
  }
  return least;
}

std::size_t BucketOf(std::uint64_t ns) {
  return DurationBuckets::BucketOf(Duration(static_cast<Duration::rep>(ns)));
}

TEST_CASE("the edges of the test are those that can be known otherwise") {
  CHECK(Edge(0) == 1'000'000'000);
  CHECK(Edge(4) == 2'000'000'000);
  CHECK(Edge(28) == 128'000'000'000);
  CHECK(Edge(-4) == 500'000'000);
  CHECK(Edge(2) == 1'414'213'562);  // the root of 2
  CHECK(Edge(-80) == 953);          // 953.67
}

TEST_CASE("each bucket ends with the last nanosecond that is in it") {
  for (int i = DurationBuckets::kFirst; i < DurationBuckets::kLast; ++i) {
    const auto bucket = static_cast<std::size_t>(i - DurationBuckets::kFirst);
    const std::uint64_t edge = Edge(i + 1);
    CAPTURE(i, edge);
    CHECK(BucketOf(edge - 1) == bucket);
    CHECK(BucketOf(edge) == bucket);
    CHECK(BucketOf(edge + 1) == bucket + 1);
  }
}

TEST_CASE("what is shorter or longer than all buckets is in the first or the last") {
  CHECK(DurationBuckets::kCount == 110);
  CHECK(DurationBuckets::BucketOf(Duration::min()) == 0);
  CHECK(DurationBuckets::BucketOf(-1ns) == 0);
  CHECK(BucketOf(0) == 0);
  CHECK(BucketOf(1) == 0);
  CHECK(BucketOf(953) == 0);
  CHECK(BucketOf(954) == 1);
  CHECK(DurationBuckets::BucketOf(128s) == DurationBuckets::kCount - 2);
  CHECK(DurationBuckets::BucketOf(128s + 1ns) == DurationBuckets::kCount - 1);
  CHECK(DurationBuckets::BucketOf(24h) == DurationBuckets::kCount - 1);
  CHECK(DurationBuckets::BucketOf(Duration::max()) == DurationBuckets::kCount - 1);
  static_assert(DurationBuckets::BucketOf(1s) == 80);
}

TEST_CASE("a longer time is in no earlier bucket") {
  std::size_t before = 0;
  for (std::uint64_t ns = 1; ns < std::uint64_t{1} << 62; ns += ns / 64 + 1) {
    CHECK(BucketOf(ns) >= before);
    before = BucketOf(ns);
  }
}

TEST_CASE("a histogram has all that it recorded") {
  DurationHistogram histogram;
  histogram.Record(1s);
  histogram.Record(1s + 1ns);
  histogram.Record(500ms);
  histogram.Record(-3s);
  const HistogramCounts counts = histogram.Counts();
  CHECK(counts.offset == -81);
  CHECK(counts.counts.size() == 110);
  CHECK(counts.counts.at(80) == 1);  // -1: up to 1 s
  CHECK(counts.counts.at(81) == 1);
  CHECK(counts.counts.at(76) == 1);
  CHECK(counts.counts.at(0) == 1);
  CHECK(counts.sum == test::Approx(2.500000001).epsilon(1e-12));
}

TEST_CASE("threads lose nothing that they record") {
  DurationHistogram histogram;
  constexpr int kThreads = 4;
  constexpr int kEach = 10'000;
  test::InThreads(kThreads, [&histogram](int thread) {
    for (int i = 0; i < kEach; ++i) histogram.Record(std::chrono::microseconds(1 + thread));
  });
  const HistogramCounts counts = histogram.Counts();
  CHECK(std::accumulate(counts.counts.begin(), counts.counts.end(), std::uint64_t{0}) ==
        std::uint64_t{kThreads} * kEach);
  CHECK(counts.sum == test::Approx(kEach * 10e-6));
}

}  // namespace
}  // namespace holdfast::duration_histogram_test
