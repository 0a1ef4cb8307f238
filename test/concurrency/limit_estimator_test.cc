// The algorithms, by numbers.
#include "src/concurrency/limit_estimator.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "test/support/catch.h"

namespace holdfast::internal::limit_estimator_test {
namespace {

using namespace std::chrono_literals;

constexpr double kMs = 1e6;
constexpr LimitBounds kWide = {.initial = 100, .minimum = 1, .maximum = 1000};

LimitWindow Window(double latency_ms, std::int64_t in_flight) {
  return {.latency = latency_ms * kMs, .succeeded = 100, .calls = 100, .in_flight = in_flight};
}

LimitWindow Dropped(double latency_ms, std::int64_t in_flight) {
  LimitWindow window = Window(latency_ms, in_flight);
  window.dropped = true;
  return window;
}

LimitEstimator Make(const LimitAlgorithm& algorithm, const LimitBounds& bounds = kWide,
                    std::optional<std::int64_t> queue_size = std::nullopt) {
  return LimitEstimator(algorithm, bounds, queue_size);
}

// An estimator that has seen `latency_ms` without load.
LimitEstimator Knowing(const LimitAlgorithm& algorithm, double latency_ms,
                       std::optional<std::int64_t> queue_size = std::nullopt) {
  LimitEstimator estimator = Make(algorithm, kWide, queue_size);
  estimator.Update(Window(latency_ms, 1));
  REQUIRE(estimator.estimate() == 100);
  return estimator;
}

TEST_CASE("AIMD adds one while its limit is used, and keeps nine tenths after a drop") {
  LimitEstimator aimd = Make(Aimd{});
  aimd.Update(Window(10, 100));
  CHECK(aimd.limit() == 101);
  aimd.Update(Window(10, 51));
  CHECK(aimd.limit() == 102);
  aimd.Update(Window(10, 50));
  CHECK(aimd.limit() == 102);
  aimd.Update(Dropped(10, 102));
  CHECK(aimd.estimate() == test::Approx(91.8));
  aimd.Update(Window(5000, 91));
  CHECK(aimd.estimate() == test::Approx(92.8));
  aimd.Update(Window(5001, 92));
  CHECK(aimd.estimate() == test::Approx(0.9 * 92.8));
}

TEST_CASE("AIMD shrinks for drops alone, where nothing succeeded") {
  LimitEstimator aimd = Make(Aimd{.backoff_ratio = 0.5});
  aimd.Update({.calls = 10, .in_flight = 100, .dropped = true});
  CHECK(aimd.limit() == 50);
}

// At a limit of 100 the unit is log10(100) = 2: alpha is 6 calls, beta 12.
TEST_CASE("Vegas goes by how many calls wait") {
  const auto after = [](double waiting) {
    LimitEstimator vegas = Knowing(Vegas{}, 10);
    vegas.Update(Window(10 / (1 - waiting / 100), 100));
    return vegas.estimate() - 100;
  };
  CHECK(after(0) == test::Approx(12));  // none: by beta
  CHECK(after(1.9) == test::Approx(12));
  CHECK(after(2.1) == test::Approx(2));  // few: by one unit
  CHECK(after(5.9) == test::Approx(2));
  CHECK(after(6.1) == test::Approx(0));  // from alpha to beta: as it should be
  CHECK(after(11.9) == test::Approx(0));
  CHECK(after(12.1) == test::Approx(-2));
  CHECK(after(90) == test::Approx(-2));
}

TEST_CASE("Vegas shrinks by a unit for drops, and far below its limit for nothing else") {
  LimitEstimator vegas = Knowing(Vegas{}, 10);
  vegas.Update(Window(10, 49));
  CHECK(vegas.estimate() == 100);
  vegas.Update(Window(1000, 49));
  CHECK(vegas.estimate() == 100);
  vegas.Update(Dropped(10, 100));
  CHECK(vegas.estimate() == test::Approx(98));
}

TEST_CASE(
    "Vegas with a queue size keeps so many waiting whatever the limit, and smoothing smooths") {
  LimitEstimator vegas = Knowing(Vegas{}, 10, 30);  // the unit is 10, alpha 30, beta 60
  vegas.Update(Window(10 / (1 - 0.45), 100));
  CHECK(vegas.estimate() == 100);
  vegas.Update(Window(10 / (1 - 0.09), 100));
  CHECK(vegas.estimate() == test::Approx(160));

  LimitEstimator smooth = Knowing(Vegas{.smoothing = 0.5}, 10);
  smooth.Update(Window(10, 100));
  CHECK(smooth.estimate() == test::Approx(106));
}

TEST_CASE("Gradient2 moves a fifth of the way to the tolerated share, plus the queue size") {
  const auto after = [](double latency_ms, const Gradient2& options = {}) {
    LimitEstimator gradient = Knowing(options, 10);
    for (int i = 0; i < 20; ++i) gradient.Update(Window(10, 1));  // past the average's warm-up
    gradient.Update(Window(latency_ms, 100));
    return gradient.estimate() - 100;
  };
  CHECK(after(10) == test::Approx(0.8));
  CHECK(after(15) == test::Approx(0.8));
  CHECK(after(20) == test::Approx(0.2 * (100 * 0.75 * 1.0017 + 4 - 100)).epsilon(1e-2));
  CHECK(after(1000) == test::Approx(0.2 * (50 + 4 - 100)));  // never more than by half
  CHECK(after(20, {.smoothing = 1, .tolerance = 1}) == test::Approx(-46).epsilon(1e-2));
}

TEST_CASE("Gradient2 takes drops for the greatest slowness") {
  LimitEstimator gradient = Knowing(Gradient2{}, 10);
  gradient.Update(Dropped(10, 100));
  CHECK(gradient.estimate() == test::Approx(90));
}

TEST_CASE("the latency without load is probed for, at four fifths of what is worked on") {
  LimitEstimator vegas = Knowing(Vegas{}, 10);
  int windows = 0;
  while (!vegas.probing()) {
    REQUIRE(++windows < 40);
    vegas.Update(Window(10 / (1 - 0.09), 100));  // nine wait: the limit stays
  }
  CHECK(windows >= 15);  // 30 x 100 calls, times 0.5 to 1, at 100 in a window
  CHECK(windows <= 30);
  CHECK(vegas.estimate() == test::Approx(100));
  CHECK(vegas.limit() == 72);  // of 91
  vegas.Update(Window(10, 72));
  CHECK(!vegas.probing());
  CHECK(vegas.limit() == 100);
}

TEST_CASE("a probe finds a service that has become slower, and the limit stays") {
  const LimitAlgorithm algorithm = GENERATE(LimitAlgorithm(Vegas{}), LimitAlgorithm(Gradient2{}));
  LimitEstimator estimator = Knowing(algorithm, 10);
  // 80 calls at once, now each for 30 ms.
  for (int i = 0; i < 300; ++i) {
    const double in_flight = static_cast<double>(estimator.limit());
    estimator.Update(Window(30 * std::max(1.0, in_flight / 80), estimator.limit()));
  }
  CHECK(estimator.estimate() > 80);
  CHECK(estimator.estimate() < 1.75 * 80);
}

// Netflix's issues 88, 134 and 165: the latency under load is taken for that without, again and
// again.
TEST_CASE("no latency under load is taken for that without, however long the load lasts") {
  const LimitAlgorithm algorithm = GENERATE(LimitAlgorithm(Vegas{}), LimitAlgorithm(Gradient2{}));
  // The first thing it sees is an overload, five times what 20 workers can do.
  LimitEstimator estimator = Make(algorithm);
  double highest_late = 0;
  for (int i = 0; i < 20'000; ++i) {
    const double in_flight = static_cast<double>(estimator.limit());
    estimator.Update(Window(10 * std::max(1.0, in_flight / 20), estimator.limit()));
    if (i > 1000) highest_late = std::max(highest_late, estimator.estimate());
  }
  CHECK(highest_late < 40);
  CHECK(highest_late >= 20);
}

TEST_CASE("probes are not at the same time for clients that measure differently") {
  const auto windows_until_second_probe = [](double latency_ms) {
    LimitEstimator vegas = Make(Vegas{}, {.initial = 1000, .minimum = 1, .maximum = 1000});
    int windows = 0;
    for (int probes = 0; probes < 2; ++windows) {
      vegas.Update(Window(latency_ms, 1000));
      probes += vegas.probing() ? 1 : 0;
    }
    return windows;
  };
  CHECK(windows_until_second_probe(10) == windows_until_second_probe(10));
  CHECK(windows_until_second_probe(10) != windows_until_second_probe(10.001));
}

TEST_CASE("limits keep within their bounds") {
  const LimitAlgorithm algorithm =
      GENERATE(LimitAlgorithm(Aimd{}), LimitAlgorithm(Vegas{}), LimitAlgorithm(Gradient2{}));
  LimitEstimator estimator = Make(algorithm, {.initial = 20, .minimum = 10, .maximum = 30});
  for (int i = 0; i < 100; ++i) {
    estimator.Update(Window(10, estimator.limit()));
    REQUIRE(estimator.limit() <= 30);
    REQUIRE(estimator.limit() >= 10);
  }
  CHECK(estimator.estimate() == 30);
  for (int i = 0; i < 100; ++i) {
    estimator.Update(Dropped(10, 30));
    REQUIRE(estimator.limit() >= 10);
  }
  CHECK(estimator.estimate() == 10);
}

TEST_CASE("no number makes a limit that is none") {
  const LimitAlgorithm algorithm =
      GENERATE(LimitAlgorithm(Aimd{}), LimitAlgorithm(Vegas{}), LimitAlgorithm(Gradient2{}));
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double latencies[] = {0, -1, 1, 1e-300, 1e300, kInfinity, -kInfinity, std::nan("")};
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  LimitEstimator estimator = Make(algorithm);
  for (int i = 0; i < 1000; ++i) {
    for (const double latency : latencies) {
      const auto n = static_cast<std::int64_t>(i % 3);
      estimator.Update({.latency = latency,
                        .succeeded = n,
                        .calls = i % 5 == 0 ? kMax : n,
                        .in_flight = i % 7 == 0 ? kMax : n,
                        .dropped = i % 11 == 0});
      REQUIRE(std::isfinite(estimator.estimate()));
      REQUIRE(estimator.limit() >= 1);
      REQUIRE(estimator.limit() <= 1000);
    }
  }
}

TEST_CASE("a limit of one can still be measured, and grows again") {
  const LimitAlgorithm algorithm =
      GENERATE(LimitAlgorithm(Aimd{}), LimitAlgorithm(Vegas{}), LimitAlgorithm(Gradient2{}));
  LimitEstimator estimator = Make(algorithm, {.initial = 1, .minimum = 1, .maximum = 100});
  for (int i = 0; i < 100; ++i) estimator.Update(Window(10, estimator.limit()));
  CHECK(estimator.estimate() > 20);
}

}  // namespace
}  // namespace holdfast::internal::limit_estimator_test
