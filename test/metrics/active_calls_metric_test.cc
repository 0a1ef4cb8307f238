// MetricsOptions::active_calls.
#include <absl/status/status.h>

#include <string>

#include "holdfast/metrics/metrics.h"
#include "holdfast/stack/stack.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"

namespace holdfast::active_calls_metric_test {
namespace {

using namespace std::chrono_literals;
using test::ContainsSubstring;

TEST_CASE("a registry tells how many calls of each stack are active if it is to") {
  const Stack orders(Timeout(1h));
  const Stack users(Timeout(1h));
  Metrics metrics({.active_calls = true});
  REQUIRE(metrics.Add("orders", orders).ok());
  REQUIRE(metrics.Add("users", users).ok());
  const auto active = [&](const char* stack) {
    return metrics.Snapshot().Gauge("holdfast.active_calls", {{"holdfast.stack", stack}});
  };
  CHECK(active("orders") == 0);
  const auto fetch = orders.Around([&] {
    CHECK(active("orders") == 1);
    CHECK(active("users") == 0);
    CHECK_THAT(metrics.Text(),
               ContainsSubstring("# TYPE holdfast_active_calls gauge\n"
                                 "holdfast_active_calls{holdfast_stack=\"orders\"} 1\n"));
    return absl::OkStatus();
  });
  CHECK(fetch().ok());
  CHECK(active("orders") == 0);
}

TEST_CASE("by default it does not") {
  const Stack orders(Timeout(1h));
  Metrics metrics;
  REQUIRE(metrics.Add("orders", orders).ok());
  CHECK(metrics.Snapshot().Family("holdfast.active_calls") == nullptr);
}

}  // namespace
}  // namespace holdfast::active_calls_metric_test
