#ifndef HOLDFAST_TEST_METRICS_HTTP_SCENE_H_
#define HOLDFAST_TEST_METRICS_HTTP_SCENE_H_

// A registry with a stack, in fake time, and a server that shows it.

#include <absl/status/status.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "holdfast/breaker/circuit_break.h"
#include "holdfast/metrics/metrics.h"
#include "holdfast/metrics/recent_events.h"
#include "holdfast/metrics_http/metrics_server.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"

namespace holdfast::test {

inline constexpr std::string_view kOddName = "q\"uo\\te</script><b>\n\xFF";

struct Scene {
  explicit Scene(MetricsServerOptions options = {}) {
    if (!metrics.Add(kOddName, stack).ok()) std::abort();
    options.events = events;
    server = MetricsServer::Start(metrics, std::move(options)).value();
  }

  void Calls(int good, int bad) const {
    for (int i = 0; i < good; ++i) fetch(true).IgnoreError();
    for (int i = 0; i < bad; ++i) fetch(false).IgnoreError();
  }

  int port() const { return server->port(); }

  testing::FakeClock clock;
  std::shared_ptr<RecentEvents> events = std::make_shared<RecentEvents>();
  // The registry's time stands still, so that two looks at it are the same.
  Metrics metrics{{.service_name = "shop", .observer = events, .now = [] {
                     return std::chrono::system_clock::time_point(std::chrono::hours(1));
                   }}};
  Stack<Timeout<>, Retry<>, CircuitBreak<>, Timeout<>> stack{
      Timeout(std::chrono::seconds(10)),
      Retry({.max_attempts = 2, .backoff = Backoff::Constant(std::chrono::milliseconds(1))}),
      CircuitBreak({.name = std::string(kOddName), .rules = {ConsecutiveFailures(5)}}),
      Timeout(std::chrono::seconds(1))};
  std::function<absl::Status(bool)> fetch = stack.Around(
      [](bool good) { return good ? absl::OkStatus() : absl::UnavailableError("down"); }, &clock);
  std::unique_ptr<MetricsServer> server;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_METRICS_HTTP_SCENE_H_
