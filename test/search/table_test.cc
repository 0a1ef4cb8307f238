// The stacks that README.md and docs/ show, each with a service that is down for a moment: goodput
// is back a second after the first probe that the breaker's open time allows.
#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "holdfast/holdfast.h"
#include "holdfast/testing/server.h"
#include "test/search/part.h"
#include "test/search/trial.h"
#include "test/support/catch.h"

namespace holdfast::search::table_test {
namespace {

using namespace std::chrono_literals;
using testing::Distribution;

struct Row {
  std::string name;
  std::function<Parts()> parts;
  Duration open{0};    // until goodput may be back, less a second
  double most = 1200;  // calls per second that it is meant for
  Duration service = 20ms;
};

template <class... P>
Parts Of(P... policies) {
  return {Part(std::move(policies))...};
}

const std::vector<Row>& Rows() {
  static const std::vector<Row> rows = {
      {"first call",
       [] {
         return Of(Timeout(10s), Retry({.max_attempts = 4}), CircuitBreak({.name = "api"}),
                   RateLimit({.rate = 100, .burst = 20}), Timeout(2s));
       },
       60s, 80},
      {"query", [] { return Of(Retry({}), CircuitBreak({.name = "db"}), Timeout(2s)); }, 60s},
      {"reads",
       [] {
         return Of(Timeout(10s), Retry({}), CircuitBreak({.name = "orders", .timeout = 30s}),
                   RateLimit({.rate = 200, .burst = 50}), Bulkhead({.limit = 32}), Timeout(2s));
       },
       30s, 80},
      {"writes",
       [] {
         return Of(Timeout(5s), CircuitBreak({.name = "orders", .timeout = 30s}),
                   RateLimit({.rate = 200, .burst = 50}));
       },
       30s, 80},
      {"three of one kind",
       [] {
         return Of(Timeout(500ms), Retry({}),
                   CircuitBreak({.timeout = 1s, .rules = {ConsecutiveFailures(5)}}),
                   Timeout(200ms));
       },
       1s},
      {"careful",
       [] {
         return Of(Retry({}), AdaptiveThrottle({.k = 1.5}),
                   Bulkhead({.limit = 100}, {.max_queue = 200,
                                             .order = QueueOrder::kNewestFirst,
                                             .controlled_delay = ControlledDelay{}}),
                   AdaptiveLimit({.algorithm = Gradient2{.tolerance = 1.1}}), Timeout(1s));
       },
       240s, 80},
      {"HTTP",
       [] {
         return Of(Timeout(5s), Retry({.max_attempts = 3}), CircuitBreak({.timeout = 10s}),
                   Timeout(1s));
       },
       10s},
      {"StandardClient",
       [] {
         return Of(Bulkhead({.limit = 1000}, {.max_queue = 0}), Timeout(30s), Retry({}),
                   CircuitBreak({.interval = 30s,
                                 .bucket_period = 3s,
                                 .timeout = 5s,
                                 .rules = {ConsecutiveFailures(10), FailureRate(0.5, 20)}}),
                   RateLimit({.rate = kInfiniteRate, .burst = 1}), Timeout(5s));
       },
       5s},
      {"asynchronous",
       [] { return Of(Timeout(10s), Retry({}), Hedge({.delay = 50ms}, HedgeAll()), Timeout(2s)); }},
      {"simulated", [] { return Of(Retry({.budget = RetryBudget::MakeDefault()}), Timeout(1s)); }},
  };
  return rows;
}

constexpr Duration kFaultEnd = 8s;

// Successes less what there must be of the calls in a window, to be written where it is < 0.
double Surplus(const Timeline& timeline, Duration from, Duration to) {
  const auto calls = static_cast<double>(timeline.CallsIn(from, to));
  return static_cast<double>(timeline.SuccessesIn(from, to)) - (0.9 * calls - 2 * std::sqrt(calls));
}

Timeline RunRow(const Row& row, double rate, Duration outage, std::uint64_t seed, Duration end) {
  const double busy = rate * static_cast<double>(row.service.count()) * 1e-9;
  const testing::ServerOptions server{.service = Distribution::Exponential(row.service),
                                      .workers = static_cast<std::int64_t>(std::ceil(2 * busy)),
                                      .failures = {{.from = kFaultEnd - outage, .to = kFaultEnd}}};
  return Run({.clients = {.rate = rate},
              .servers = {server},
              .make_parts = [&](std::uint64_t) { return row.parts(); }},
             seed, end);
}

TEST_CASE("the stacks of the README are back when their service is", "[search]") {
  for (const Row& row : Rows()) {
    for (const double rate : {2.0, 20.0, 80.0, 1200.0}) {
      if (rate > row.most) continue;
      for (const Duration outage : {Duration(300ms), Duration(2s)}) {
        const Duration from = kFaultEnd + row.open + 1s;
        const Duration to = from + (rate > 10 ? 5s : 60s);
        int back = 0;
        for (std::uint64_t seed = 1; seed <= 10; ++seed) {
          back += Surplus(RunRow(row, rate, outage, seed, to), from, to) >= 0 ? 1 : 0;
        }
        INFO(row.name << " at " << rate << " calls/s, down for " << outage.count() / 1'000'000
                      << " ms: back in so many runs of ten");
        CHECK(back == 10);
      }
    }
  }
}

}  // namespace
}  // namespace holdfast::search::table_test
