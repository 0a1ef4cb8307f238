// How long a call took that succeeded at its first attempt, and how long that attempt.
#include <absl/status/status.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/holdfast.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::first_try_times_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using testing::FakeClock;

// A line for each histogram and each counter of calls and attempts: the metric, the outcome, the
// count, the sum of a histogram.
class Lines final : public Collector {
 public:
  std::vector<std::string> told;

 private:
  void TakeCount(const Metric& metric, std::uint64_t total,
                 std::span<const Attribute> attributes) override {
    if (metric.name == "holdfast.calls" || metric.name == "holdfast.attempts") {
      if (total > 0) Add(metric, attributes, total, "");
    }
  }
  void TakeGauge(const Metric&, double, std::span<const Attribute>) override {}
  void TakeHistogram(const Metric& metric, const HistogramCounts& counts,
                     std::span<const Attribute> attributes) override {
    Add(metric, attributes,
        std::accumulate(counts.counts.begin(), counts.counts.end(), std::uint64_t{0}),
        " " + std::to_string(counts.sum));
  }
  void Add(const Metric& metric, std::span<const Attribute> attributes, std::uint64_t count,
           const std::string& sum) {
    told.push_back(std::string(metric.name) + " " + std::string(attributes.front().value) + " " +
                   std::to_string(count) + sum);
  }
};

template <class S>
std::vector<std::string> Look(const S& stack) {
  Lines lines;
  const CollectedObjects objects = stack.Objects();
  const CollectedObject& meter = objects.all().front();
  meter.collect(meter.object.lock().get(), lines);
  return lines.told;
}

template <class S>
void Time(const S& stack) {
  const CollectedObjects objects = stack.Objects();
  const CollectedObject& meter = objects.all().front();
  meter.time(meter.object.lock().get());
}

TEST_CASE("a first attempt is as long as its call, but for what the call waited") {
  FakeClock clock;
  const auto stack = Stack(RateLimit({.rate = 0.1, .burst = 1}, {.max_wait = 10s}));
  Time(stack);
  const auto fetch = stack.Around(
      [&] {
        clock.Advance(3s);
        return absl::OkStatus();
      },
      &clock);
  CHECK(fetch().ok());
  CHECK(Look(stack) == std::vector<std::string>{"holdfast.calls success 1",
                                                "holdfast.attempts success 1",
                                                "holdfast.call.duration success 1 3.000000",
                                                "holdfast.attempt.duration success 1 3.000000"});
  CHECK(fetch().ok());  // after 7 s
  CHECK(Look(stack) == std::vector<std::string>{"holdfast.calls success 2",
                                                "holdfast.attempts success 2",
                                                "holdfast.call.duration success 2 13.000000",
                                                "holdfast.attempt.duration success 2 6.000000",
                                                "holdfast.wait.duration RateLimit 1 7.000000"});
}

TEST_CASE(
    "calls are counted once each, before and after somebody wants to know how long they are") {
  constexpr int kThreads = 4;
  constexpr int kCalls = 500;
  const auto stack = Stack(Retry({}));
  const auto fetch = stack.Around([] { return absl::OkStatus(); });
  CHECK(fetch().ok());
  test::InThreads(kThreads, [&](int thread) {
    for (int i = 0; i < kCalls; ++i) {
      if (thread == 0 && i == kCalls / 2) Time(stack);
      fetch().IgnoreError();
    }
  });
  const std::string all = std::to_string(kThreads * kCalls + 1);
  const std::vector<std::string> told = Look(stack);
  REQUIRE(told.size() == 4);
  CHECK(told[0] == "holdfast.calls success " + all);
  CHECK(told[1] == "holdfast.attempts success " + all);
}

}  // namespace
}  // namespace holdfast::first_try_times_test
