#include "holdfast/timeout/latency_quantile.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <stdexcept>
#include <thread>
#include <vector>

#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"

namespace holdfast::latency_quantile_test {
namespace {

using namespace std::chrono_literals;
using Options = LatencyQuantile::Options;

constexpr TimePoint At(Duration d) { return TimePoint{d}; }

// The smallest sample that a fraction of `quantile` of all stayed within.
Duration Exact(std::vector<Duration> samples, double quantile) {
  std::sort(samples.begin(), samples.end());
  std::size_t within = 1;
  while (static_cast<double>(within) < quantile * static_cast<double>(samples.size()) - 1e-9) {
    ++within;
  }
  return samples[within - 1];
}

// Never less, and more by less than 1/32.
bool StandsFor(Duration value, Duration exact) {
  return value >= exact && value - exact <= exact / 32;
}

TEST_CASE("the value is what the fraction of the samples stayed within") {
  LatencyQuantile latencies({.quantile = 0.9, .min_samples = 10});
  for (int i = 1; i <= 10; ++i) latencies.RecordAt(At(1s), i * 1ms);
  const std::optional<Duration> value = latencies.ValueAt(At(1s));
  REQUIRE(value);
  CHECK(StandsFor(*value, 9ms));
}

TEST_CASE("small samples are counted to the nanosecond, and the smallest and largest as they are") {
  for (const Duration latency : {0ns, 1ns, 31ns, 32ns, 63ns, Duration::max()}) {
    LatencyQuantile latencies({.min_samples = 1});
    latencies.RecordAt(At(0s), latency);
    CHECK(latencies.ValueAt(At(0s)) == latency);
  }
  LatencyQuantile latencies({.min_samples = 1});
  latencies.RecordAt(At(0s), -5s);
  CHECK(latencies.ValueAt(At(0s)) == 0ns);
  latencies.RecordAt(At(0s), Duration::min());
  CHECK(latencies.ValueAt(At(0s)) == 0ns);
}

TEST_CASE("there is no value until there are min_samples") {
  LatencyQuantile latencies({.min_samples = 5});
  CHECK_FALSE(latencies.ValueAt(At(0s)));
  for (int i = 0; i < 4; ++i) {
    latencies.RecordAt(At(1s), 7ns);
    CHECK_FALSE(latencies.ValueAt(At(1s)));
  }
  latencies.RecordAt(At(1s), 7ns);
  CHECK(latencies.ValueAt(At(1s)) == 7ns);
}

TEST_CASE(
    "a sample is forgotten after half a window at the earliest and a whole one at the latest") {
  LatencyQuantile latencies({.quantile = 1, .window = 10s, .min_samples = 1});
  latencies.RecordAt(At(100s), 50ns);  // the halves turn at 105 s, 110 s, ...
  latencies.RecordAt(At(104s), 40ns);
  latencies.RecordAt(At(106s), 30ns);
  CHECK(latencies.ValueAt(At(106s)) == 50ns);
  CHECK(latencies.ValueAt(At(110s - 1ns)) == 50ns);
  CHECK(latencies.ValueAt(At(110s)) == 30ns);
  CHECK(latencies.ValueAt(At(115s - 1ns)) == 30ns);
  CHECK_FALSE(latencies.ValueAt(At(115s)));
  latencies.RecordAt(At(116s), 20ns);
  CHECK(latencies.ValueAt(At(116s)) == 20ns);
}

TEST_CASE("after a pause nothing is left, and what a turn leaves may be too little") {
  LatencyQuantile latencies({.quantile = 1, .window = 10s, .min_samples = 2});
  latencies.RecordAt(At(0s), 9ns);
  latencies.RecordAt(At(4s), 9ns);
  latencies.RecordAt(At(6s), 9ns);
  CHECK(latencies.ValueAt(At(6s)));
  CHECK_FALSE(latencies.ValueAt(At(10s)));
  latencies.RecordAt(At(11s), 3ns);
  CHECK(latencies.ValueAt(At(11s)) == 9ns);
  latencies.RecordAt(At(1h), 2ns);
  CHECK_FALSE(latencies.ValueAt(At(1h)));
  latencies.RecordAt(At(1h + 4s), 2ns);
  CHECK(latencies.ValueAt(At(1h + 4s)) == 2ns);
}

TEST_CASE("a window turns with its half, however often one looks") {
  LatencyQuantile latencies({.quantile = 1, .window = 10s, .min_samples = 1});
  for (Duration t = 0s; t < 100s; t += 10ms) {
    // The largest is the oldest that is left.
    latencies.RecordAt(At(t), 1h - t);
    const Duration oldest = std::max<Duration>(t / 5s * 5s - 5s, 0s);
    REQUIRE(StandsFor(*latencies.ValueAt(At(t)), 1h - oldest));
  }
}

TEST_CASE("times out of order belong to the present window") {
  LatencyQuantile latencies({.quantile = 1, .window = 10s, .min_samples = 1});
  latencies.RecordAt(At(100s), 10ns);
  latencies.RecordAt(At(50s), 20ns);
  latencies.RecordAt(TimePoint::min(), 30ns);
  CHECK(latencies.ValueAt(At(50s)) == 30ns);
  CHECK(latencies.ValueAt(TimePoint::min()) == 30ns);
  CHECK(latencies.ValueAt(At(109s)) == 30ns);
  CHECK_FALSE(latencies.ValueAt(At(110s)));
  CHECK_FALSE(latencies.ValueAt(At(100s)));
  latencies.RecordAt(TimePoint::max(), 5ns);
  CHECK(latencies.ValueAt(At(100s)) == 5ns);
  latencies.RecordAt(At(0s), 6ns);
  CHECK(latencies.ValueAt(At(0s)) == 6ns);
}

TEST_CASE("a window without an end forgets nothing, the shortest all") {
  LatencyQuantile all({.quantile = 1, .window = Duration::max(), .min_samples = 1});
  all.RecordAt(At(0s), 10ns);
  CHECK(all.ValueAt(At(24h * 365)) == 10ns);
  LatencyQuantile none({.quantile = 1, .window = 1ns, .min_samples = 1});
  none.RecordAt(At(0s), 10ns);
  CHECK(none.ValueAt(At(0s)) == 10ns);
  CHECK_FALSE(none.ValueAt(At(2ns)));
}

TEST_CASE("the methods without a time read the clock") {
  testing::FakeClock clock(At(1h));
  LatencyQuantile latencies({.window = 10s, .min_samples = 1, .clock = &clock});
  latencies.Record(42ns);
  CHECK(latencies.Value() == 42ns);
  clock.Advance(10s);
  CHECK_FALSE(latencies.Value());
  LatencyQuantile steady({.min_samples = 1, .name = "steady"});
  steady.Record(42ns);
  CHECK(steady.Value() == 42ns);
  CHECK(steady.name() == "steady");
}

TEST_CASE("a quantile refuses options that make no sense") {
  CHECK_THROWS_AS(LatencyQuantile({.quantile = 0}), std::invalid_argument);
  CHECK_THROWS_AS(LatencyQuantile({.quantile = 1.01}), std::invalid_argument);
  CHECK_THROWS_AS(LatencyQuantile({.quantile = -0.5}), std::invalid_argument);
  CHECK_THROWS_AS(LatencyQuantile({.quantile = std::nan("")}), std::invalid_argument);
  CHECK_THROWS_AS(LatencyQuantile({.window = 0s}), std::invalid_argument);
  CHECK_THROWS_AS(LatencyQuantile({.window = -1s}), std::invalid_argument);
  CHECK_THROWS_AS(LatencyQuantile({.min_samples = 0}), std::invalid_argument);
  CHECK_THROWS_WITH(LatencyQuantile({.quantile = 2, .name = "db"}),
                    "LatencyQuantile db: quantile must be in (0, 1], not 2");
  CHECK_NOTHROW(LatencyQuantile({.min_samples = std::numeric_limits<std::int64_t>::max()}));
}

// Latencies of one of the shapes that services have.
std::vector<Duration> Latencies(int shape, std::size_t n, std::uint64_t seed) {
  std::mt19937_64 gen(seed);
  std::vector<Duration> samples;
  const auto add = [&](double nanoseconds) {
    const double top = static_cast<double>(Duration::max().count());
    samples.push_back(nanoseconds < top ? Duration(static_cast<Duration::rep>(nanoseconds))
                                        : Duration::max());
  };
  for (std::size_t i = 0; i < n; ++i) {
    switch (shape) {
      case 0:  // a hump with a long tail
        add(std::lognormal_distribution<double>(15, 1.5)(gen));
        break;
      case 1:  // a cache in front of a disk
        add(std::bernoulli_distribution(0.9)(gen) ? 2e5 : 1e8);
        break;
      case 2:  // anything at all
        add(std::exp2(std::uniform_real_distribution<double>(0, 64)(gen)));
        break;
      default:  // small
        add(std::uniform_real_distribution<double>(0, 200)(gen));
    }
  }
  return samples;
}

TEST_CASE("the value is within 1/32 above that of a sorted list") {
  test::Property([] {
    const int shape = *rc::gen::inRange(0, 4);
    const auto n = static_cast<std::size_t>(*rc::gen::inRange(1, 3000));
    const double quantile = *rc::gen::inRange(1, 1001) / 1000.0;
    const std::vector<Duration> samples = Latencies(shape, n, *rc::gen::arbitrary<std::uint64_t>());
    LatencyQuantile latencies({.quantile = quantile, .window = 10s, .min_samples = 1});
    for (const Duration sample : samples) latencies.RecordAt(At(0s), sample);
    RC_ASSERT(StandsFor(*latencies.ValueAt(At(5s)), Exact(samples, quantile)));
  });
}

TEST_CASE("the value follows the samples with a lag of at most a sixteenth of them") {
  const auto shape = GENERATE(0, 1, 2, 3);
  const std::size_t n = 1000;
  const std::vector<Duration> samples = Latencies(shape, n, 1);
  LatencyQuantile latencies({.quantile = 0.95, .min_samples = 20});
  for (std::size_t recorded = 1; recorded <= n; ++recorded) {
    latencies.RecordAt(At(0s), samples[recorded - 1]);
    const std::optional<Duration> value = latencies.ValueAt(At(0s));
    REQUIRE(value.has_value() == (recorded >= 20));
    if (!value) continue;
    bool known = false;
    for (std::size_t lag = 0; lag <= std::max<std::size_t>(recorded / 16, 1) - 1; ++lag) {
      known =
          known ||
          StandsFor(*value, Exact({samples.begin(),
                                   samples.begin() + static_cast<std::ptrdiff_t>(recorded - lag)},
                                  0.95));
    }
    REQUIRE(known);
  }
}

TEST_CASE("no sample of many threads is lost, and reading beside them is safe") {
  constexpr int kThreads = 4;
  constexpr std::size_t kEach = 20'000;
  LatencyQuantile latencies({.quantile = 0.9, .window = 20s, .min_samples = 1000});
  std::vector<Duration> samples;
  std::vector<std::vector<Duration>> parts;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    parts.push_back(Latencies(0, kEach, t));
    samples.insert(samples.end(), parts.back().begin(), parts.back().end());
  }
  {
    std::vector<std::jthread> threads;
    for (const std::vector<Duration>& part : parts) {
      threads.emplace_back([&latencies, &part] {
        for (const Duration sample : part) {
          latencies.RecordAt(At(1s), sample);
          (void)latencies.ValueAt(At(2s));
        }
      });
    }
  }
  const std::optional<Duration> lagging = latencies.ValueAt(At(2s));
  const std::optional<Duration> last = latencies.ValueAt(At(11s));
  REQUIRE(last);
  CHECK(StandsFor(*last, Exact(samples, 0.9)));
  REQUIRE(lagging);
  CHECK(*lagging > *last / 2);
  CHECK(*lagging < *last * 2);
}

TEST_CASE("threads whose times differ turn the window together") {
  LatencyQuantile latencies({.quantile = 0.5, .window = 2us, .min_samples = 2});
  std::atomic<int> wrong = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&latencies, &wrong, t] {
        for (int i = 0; i < 20'000; ++i) {
          // Each is up to 300 ns before or behind the others.
          const TimePoint now = At(Duration(10 * i) + Duration((i * 7 + t * 100) % 300));
          latencies.RecordAt(now, Duration(20 + t));
          const std::optional<Duration> value = latencies.ValueAt(now);
          if (value && (*value < 20ns || *value > 23ns)) ++wrong;
        }
      });
    }
  }
  CHECK(wrong == 0);
  CHECK_FALSE(latencies.ValueAt(At(1s)));
}

}  // namespace
}  // namespace holdfast::latency_quantile_test
