// What an AsyncTransport tells of its exchanges and connections.
#include <absl/status/status.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/http_asio.h"
#include "holdfast/metrics/metrics.h"
#include "holdfast/timeout/timeout.h"
#include "test/asio/support/net.h"
#include "test/http/descriptors.h"
#include "test/http/fault_server.h"
#include "test/http/told_by_transport.h"
#include "test/http_asio/support/calls.h"
#include "test/support/catch.h"

namespace holdfast::http::transport_metrics_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::AsyncEnd;
using test::AsyncRequest;
using test::AsyncResult;
using test::Eventually;
using test::FaultServer;
using test::Fetch;
using test::kHello;
using test::Peer;
using test::RunAll;
using test::RunUntil;
using test::TransportMetrics;

// Answers each request by its target.
void Serve(const Peer& peer) {
  for (std::string got = peer.ReadMessage(); !got.empty(); got = peer.ReadMessage()) {
    const auto asks = [&got](std::string_view target) {
      return got.find(target) != std::string::npos;
    };
    if (asks(" /missing ")) {
      peer.Write("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    } else if (asks(" /quit ")) {
      peer.Write(kHello);  // and closes what the client takes for idle
      return;
    } else if (asks(" /cut ")) {
      peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhell");
      return;
    } else if (asks(" /never ")) {
      peer.ReadAll();
      return;
    } else if (!peer.Write(kHello)) {
      return;
    }
  }
}

struct Scene {
  explicit Scene(TransportOptions options = {})
      : transport(io, "http://" + server.Host(), std::move(options)) {
    REQUIRE(metrics.Add("orders_http", transport).ok());
  }
  TransportMetrics Look() const { return TransportMetrics(metrics); }

  FaultServer server{Serve};
  net::io_context io;
  AsyncTransport transport;
  Metrics metrics;
};

TEST_CASE("an asynchronous exchange is measured once, by what it came to") {
  Scene scene;
  CHECK(Fetch(scene.io, scene.transport, AsyncRequest("GET", "/")).ok());
  CHECK(Fetch(scene.io, scene.transport, AsyncRequest("GET", "/missing")).ok());
  CHECK_FALSE(Fetch(scene.io, scene.transport, AsyncRequest("GET", "/cut")).ok());
  CHECK_FALSE(Fetch(scene.io, scene.transport, AsyncRequest("no method", "/")).ok());
  http::Request contradicts = AsyncRequest("GET", "/");
  contradicts.headers.Set("Content-Length", "7");
  CHECK_FALSE(Fetch(scene.io, scene.transport, contradicts).ok());
  http::Request throws = AsyncRequest("GET", "/");
  throws.on_head = [](const Response&) -> bool { throw std::runtime_error("of the caller"); };
  CHECK_THROWS(Fetch(scene.io, scene.transport, throws));
  const TransportMetrics told = scene.Look();
  CHECK(told.exchanges("GET", "200", "") == 1);
  CHECK(told.exchanges("GET", "404", "404") == 1);
  CHECK(told.exchanges("GET", "200", "lost") == 1);
  CHECK(told.exchanges("GET", "200", "exception") == 1);
  CHECK(told.exchanges() == 4);
  CHECK(told.opened() == 2);
  CHECK(told.reused() == 2);
  CHECK(told.idle() == 0);
  CHECK(told.active() == 0);
}

// A connection that was closed was there until the handler had returned, though its permit was not.
TEST_CASE(
    "an asynchronous exchange is measured, and its connection let go of, before its handler") {
  const char* const target = GENERATE("/", "/cut");
  Scene scene;
  std::uint64_t measured = 0;
  double active = -1;
  scene.transport(AsyncRequest("GET", target), [&](const AsyncResult&) {
    measured = scene.Look().exchanges();
    active = scene.Look().active();
  });
  RunAll(scene.io);
  CHECK(measured == 1);
  CHECK(active == 0);
}

TEST_CASE("an asynchronous exchange that is cut off is measured, with a connection or without") {
  Scene scene({.max_connections = 1});
  net::cancellation_signal hold;
  AsyncEnd holds;
  scene.transport(AsyncRequest("POST", "/never"),
                  net::bind_cancellation_slot(hold.slot(), holds.handler()));
  RunUntil(scene.io, [&] { return scene.Look().active() == 1; });
  AsyncEnd late;
  Stack(Timeout(30ms))
      .AroundAsync(scene.transport, scene.io)(AsyncRequest("PUT", "/"), late.handler());
  net::cancellation_signal signal;
  AsyncEnd cancelled;
  scene.transport(AsyncRequest("DELETE", "/"),
                  net::bind_cancellation_slot(signal.slot(), cancelled.handler()));
  RunUntil(scene.io, [&] { return late.calls == 1; });
  CHECK(scene.Look().queued() == 1);
  signal.emit(net::cancellation_type::terminal);
  RunUntil(scene.io, [&] { return cancelled.calls == 1; });
  CHECK(scene.Look().queued() == 0);
  hold.emit(net::cancellation_type::terminal);
  RunAll(scene.io);
  const TransportMetrics told = scene.Look();
  // The stack and the transport both end it at its deadline; the first to notice says how.
  CHECK(told.exchanges("PUT", "", "timeout") + told.exchanges("PUT", "", "cancelled") == 1);
  CHECK(told.exchanges("DELETE", "", "cancelled") == 1);
  CHECK(told.exchanges("POST", "", "cancelled") == 1);
  CHECK(told.exchanges() == 3);
  CHECK(told.opened() == 1);
  CHECK(told.active() == 0);
  CHECK(told.idle() == 0);
}

TEST_CASE("an exchange that its context ends is measured as cancelled, and its connection closed") {
  FaultServer server(Serve);
  auto io = std::make_unique<net::io_context>();
  const AsyncTransport transport(*io, "http://" + server.Host());
  Metrics metrics;
  REQUIRE(metrics.Add(transport).ok());
  transport(AsyncRequest("GET", "/never"), [](const AsyncResult&) {});
  RunUntil(*io, [&] { return TransportMetrics(metrics).active() == 1; });
  io.reset();
  const TransportMetrics told(metrics);
  CHECK(told.exchanges("GET", "", "cancelled") == 1);
  CHECK(told.opened() == 1);
  CHECK(told.active() == 0);
}

TEST_CASE("asynchronous exchanges are counted exactly while threads, server and scrapes race") {
  constexpr int kCalls = 400;
  constexpr int kConnections = 3;
  constexpr std::array<const char*, 4> kTargets = {"/", "/quit", "/missing", "/cut"};
  Scene scene({.max_connections = kConnections, .idle_timeout = 100ms});
  for (int i = 0; i < kCalls; ++i) {
    const char* const target = kTargets.at(static_cast<std::size_t>(i) % kTargets.size());
    scene.transport(AsyncRequest("GET", target), [](const AsyncResult&) {});
  }
  std::atomic<double> least = 0;  // written by one thread
  std::atomic<double> most = 0;
  {
    std::jthread scrapes([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        const TransportMetrics told = scene.Look();
        least = std::min({least.load(), told.active(), told.idle(), told.queued()});
        most = std::max(most.load(), told.active() + told.idle());
      }
    });
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back([&] { scene.io.run(); });
    threads.clear();
  }
  CHECK(least == 0);
  CHECK(most <= kConnections);
  const TransportMetrics told = scene.Look();
  CHECK(told.exchanges("GET", "200", "") == kCalls / 2);
  CHECK(told.exchanges("GET", "404", "404") == kCalls / 4);
  CHECK(told.exchanges("GET", "200", "lost") == kCalls / 4);
  CHECK(told.exchanges() == kCalls);
  CHECK(told.active() == 0);
  CHECK(told.queued() == 0);
  CHECK(told.opened() == static_cast<std::uint64_t>(scene.server.accepted()));
  CHECK(Eventually([&] { return scene.Look().idle() == 0; }));
  CHECK(scene.Look().active() == 0);
}

}  // namespace
}  // namespace holdfast::http::transport_metrics_test
