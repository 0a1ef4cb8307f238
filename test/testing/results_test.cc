#include "holdfast/testing/results.h"

#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "test/support/catch.h"

namespace holdfast::testing::results_test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("percentiles are within a hundredth") {
  Latencies latencies;
  CHECK(latencies.Percentile(0.5) == 0s);
  CHECK(latencies.Mean() == 0s);
  for (int i = 1; i <= 10'000; ++i) latencies.Record(i * 1us);
  for (const double share : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    CHECK(static_cast<double>(latencies.Percentile(share).count()) ==
          test::Approx(share * 1e7).epsilon(0.01));
  }
  CHECK(latencies.Mean() == 5000500ns);
  latencies.Record(Duration::max());
  CHECK(latencies.Percentile(1) > Duration::max() / 100 * 99);
  Latencies small;
  small.Record(-1s);
  small.Record(63ns);
  CHECK(small.Percentile(0.1) == 0ns);
  CHECK(small.Percentile(1) == 63ns);
  small.Add(latencies);
  CHECK(small.count() == 10'003);
}

// So many successes in each second.
Results Seconds(const std::vector<std::int64_t>& successes) {
  Results results;
  results.bucket = 1s;
  results.end = successes.size() * 1s;
  for (const std::int64_t count : successes) {
    results.timeline.push_back({.calls = 10, .attempts = 15, .successes = count});
    results.successes += count;
    results.calls += 10;
    results.attempts += 15;
  }
  return results;
}

TEST_CASE("goodput is of any part of the time") {
  const Results results = Seconds({10, 10, 0, 0, 5, 5});
  CHECK(results.Goodput() == 5);
  CHECK(results.Goodput(0s, 2s) == 10);
  CHECK(results.Goodput(2s, 5s) == test::Approx(5.0 / 3));
  CHECK(results.Goodput(4s) == 5);
  CHECK(results.Goodput(7s) == 0);
  CHECK(results.Amplification() == 1.5);
  CHECK(Results{}.Goodput() == 0);
  CHECK(Results{}.Amplification() == 0);
}

TEST_CASE("to have recovered is to stay so") {
  const RecoveryOptions each{.averaged = 1s};
  const Disturbance window{2s, 4s};
  CHECK(Seconds({10, 10, 0, 0, 2, 5, 9, 10}).TimeToRecover(window, each) == 2s);
  CHECK(Seconds({10, 10, 0, 0, 9, 5, 9, 10}).TimeToRecover(window, each) == 2s);
  CHECK(Seconds({10, 10, 0, 0, 9, 9, 9, 10}).TimeToRecover(window, each) == 0s);
  CHECK(Seconds({10, 10, 0, 0, 9, 9, 9, 8}).TimeToRecover(window, each) == std::nullopt);
  CHECK(Seconds({0, 10, 0, 0, 9, 9, 9, 8})
            .TimeToRecover(window, {.share = 0.8, .averaged = 1s, .warm_up = 1s}) == 0s);
  CHECK(Seconds({10, 10, 0, 0}).TimeToRecover(window, each) == std::nullopt);
  // Two seconds together make up for each other.
  CHECK(Seconds({10, 10, 0, 0, 0, 8, 10, 8, 10}).TimeToRecover(window, {.averaged = 2s}) == 1s);
}

TEST_CASE("of too few calls nobody can say whether they have recovered") {
  // The defect: with no success before, none was enough; and one success in a window of few calls
  // was taken for recovery.
  const Disturbance window{2s, 4s};
  const RecoveryOptions each{.averaged = 1s};
  CHECK(Seconds({0, 0, 0, 0, 0, 0, 0, 0}).TimeToRecover(window, each) == std::nullopt);
  CHECK(Seconds({9, 9, 0, 0, 9, 9, 9, 9}).TimeToRecover(window, each) == std::nullopt);
  CHECK(Seconds({9, 9, 0, 0, 9, 9, 9, 9}).TimeToRecover(window, {.averaged = 2s}) == 0s);
  CHECK(Seconds({9, 9, 0, 0, 9, 9, 9, 9})
            .TimeToRecover(window, {.averaged = 1s, .min_successes = 9}) == 0s);
  CHECK(Seconds({10, 10, 0, 0, 10}).TimeToRecover({0s, 4s}, each) == std::nullopt);
}

TEST_CASE("the results of two populations add up") {
  Results a = Seconds({1, 2});
  Results b = Seconds({10, 20, 30});
  a.rejections["Bulkhead"] = 1;
  b.rejections["Bulkhead"] = 2;
  a.Add(b);
  CHECK(a.calls == 50);
  CHECK(a.timeline.size() == 3);
  CHECK(a.timeline[1].successes == 22);
  CHECK(a.rejections.at("Bulkhead") == 3);
  std::ostringstream out;
  out << a;
  CHECK(out.str().find("3 refused by Bulkhead") != std::string::npos);
}

}  // namespace
}  // namespace holdfast::testing::results_test
