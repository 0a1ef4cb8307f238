// What a Transport counts is exact, whatever its threads, its server and a scrape do at once.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "holdfast/http.h"
#include "holdfast/metrics/metrics.h"
#include "holdfast/stack/stack.h"
#include "holdfast/timeout/timeout.h"
#include "test/http/descriptors.h"
#include "test/http/fault_server.h"
#include "test/http/told_by_transport.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::http::transport_metrics_stress_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::Eventually;
using test::FaultServer;
using test::kHello;
using test::Peer;
using test::TransportMetrics;

// What each exchange comes to is known, whichever connection it gets.
constexpr std::array<const char*, 7> kTargets = {"/",    "/close", "/quit", "/500",
                                                 "/cut", "/stop",  "/throw"};

void Serve(const Peer& peer) {
  for (std::string got = peer.ReadMessage(); !got.empty(); got = peer.ReadMessage()) {
    const auto asks = [&got](std::string_view target) {
      return got.find(target) != std::string::npos;
    };
    if (asks(" /close ")) {
      peer.Write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    } else if (asks(" /quit ")) {
      peer.Write(kHello);  // and closes what the client takes for idle
      return;
    } else if (asks(" /500 ")) {
      peer.Write("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n");
    } else if (asks(" /cut ")) {
      peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhell");
      return;
    } else if (asks(" /stop ")) {
      peer.ReadAll();
      return;
    } else if (!peer.Write(kHello)) {
      return;
    }
  }
}

template <class Fetch>
void Ask(const Fetch& fetch, const std::string& target) {
  std::stop_source stop;
  Request request = {.target = target};
  if (target == "/stop") {
    request.method = "POST";
    request.body = "x";
    request.on_upload = [&](std::uint64_t, std::optional<std::uint64_t>) {
      stop.request_stop();
      return true;
    };
  }
  if (target == "/throw") {
    request.on_head = [](const Response&) -> bool { throw std::runtime_error("of the caller"); };
  }
  try {
    fetch.With({.stop = stop.get_token()}, request).IgnoreError();
  } catch (const std::runtime_error&) {
  }
}

TEST_CASE("exchanges and connections are counted exactly while threads, server and scrapes race") {
  constexpr int kThreads = 8;
  constexpr int kRounds = 60;
  constexpr int kConnections = 3;
  FaultServer server(Serve);
  const Transport transport("http://" + server.Host(),
                            {.max_connections = kConnections, .idle_timeout = 100ms});
  const auto fetch = Stack(Timeout(1h)).Around(transport);
  Metrics metrics;
  REQUIRE(metrics.Add("orders_http", transport).ok());

  std::atomic<int> wrong = 0;
  {
    std::jthread scrapes([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        const TransportMetrics told(metrics);
        const bool right = told.active() >= 0 && told.idle() >= 0 && told.queued() >= 0 &&
                           told.active() + told.idle() <= kConnections;
        wrong += right ? 0 : 1;
      }
    });
    test::InThreads(kThreads, [&](int thread) {
      for (int i = 0; i < kRounds; ++i) {
        Ask(fetch, kTargets[static_cast<std::size_t>(i + thread) % kTargets.size()]);
      }
    });
  }
  CHECK(wrong == 0);

  std::array<std::uint64_t, kTargets.size()> made = {};
  for (int thread = 0; thread < kThreads; ++thread) {
    for (int i = 0; i < kRounds; ++i) ++made.at(static_cast<std::size_t>(i + thread) % made.size());
  }
  const TransportMetrics told(metrics);
  CHECK(told.exchanges() == kThreads * kRounds);
  CHECK(told.exchanges("GET", "200", "") == made[0] + made[1] + made[2]);
  CHECK(told.exchanges("GET", "500", "500") == made[3]);
  CHECK(told.exchanges("GET", "200", "lost") == made[4]);
  CHECK(told.exchanges("POST", "", "cancelled") == made[5]);
  CHECK(told.exchanges("GET", "200", "exception") == made[6]);
  CHECK(told.queued() == 0);
  CHECK(told.active() == 0);
  CHECK(told.opened() + told.reused() >= told.exchanges());
  CHECK(told.opened() <= static_cast<std::uint64_t>(server.accepted()));
  // The rest is idle, and is closed in time.
  CHECK(Eventually([&] { return TransportMetrics(metrics).idle() == 0; }));
  CHECK(TransportMetrics(metrics).active() == 0);
  CHECK(Eventually([&] { return server.open() == 0; }));
  CHECK(TransportMetrics(metrics).opened() == told.opened());
}

}  // namespace
}  // namespace holdfast::http::transport_metrics_stress_test
