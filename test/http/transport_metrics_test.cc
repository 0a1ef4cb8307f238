// What a Transport tells of its exchanges and connections.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <memory>
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
#include "test/support/fork.h"

namespace holdfast::http::transport_metrics_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::Eventually;
using test::FaultServer;
using test::kHello;
using test::Listener;
using test::Peer;
using test::TransportMetrics;

// Answers each request by its target.
void Serve(const Peer& peer) {
  for (std::string got = peer.ReadMessage(); !got.empty(); got = peer.ReadMessage()) {
    const auto begins = [&got](std::string_view line) {
      return got.find(line) != std::string::npos;
    };
    if (begins(" /missing ")) {
      peer.Write("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    } else if (begins(" /old ")) {
      peer.Write("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n");
    } else if (begins(" /lost ")) {
      return;
    } else if (begins(" /cut ")) {
      peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhell");
      return;
    } else if (begins(" /garbage ")) {
      peer.Write("what?\r\n\r\n");
      return;
    } else if (begins(" /never ")) {
      peer.ReadAll();
      return;
    } else if (!peer.Write(kHello)) {
      return;
    }
  }
}

struct Scene {
  explicit Scene(TransportOptions options = {}, const MetricsOptions& what = {})
      : transport("http://" + server.Host(), std::move(options)), metrics(what) {
    REQUIRE(metrics.Add("orders_http", transport).ok());
  }
  TransportMetrics Look() const { return TransportMetrics(metrics); }
  absl::Status Get(const std::string& target) const {
    return transport(Request{.target = target}).status();
  }

  FaultServer server{Serve};
  Transport transport;
  Metrics metrics;
};

TEST_CASE("a transport is added by any of its copies, under a name or as its origin") {
  FaultServer server(Serve);
  auto transport = std::make_unique<Transport>("http://" + server.Host());
  Metrics metrics;
  std::optional<Transport> copy = *transport;
  REQUIRE(metrics.Add("orders_http", *transport).ok());
  REQUIRE(metrics.Add("again", *copy).ok());
  REQUIRE(metrics.Add(*copy).ok());
  REQUIRE(metrics.Add(std::make_shared<Transport>(*copy)).ok());
  CHECK(metrics.Add("none", std::shared_ptr<Transport>()).code() ==
        absl::StatusCode::kInvalidArgument);
  REQUIRE((*copy)(Request{}).ok());
  const std::string port = server.Host().substr(server.Host().find(':') + 1);
  const auto opened = [&](std::string_view name) {
    return metrics.Snapshot().Count(
        "holdfast.connections.opened",
        {{"holdfast.name", name}, {"server.address", "127.0.0.1"}, {"server.port", port}});
  };
  CHECK(opened("orders_http") == 1);
  CHECK(metrics.Snapshot().Family("holdfast.connections.opened")->series.size() == 1);
  transport.reset();
  CHECK(opened("orders_http") == 1);
  copy.reset();
  CHECK(metrics.Snapshot().Family("holdfast.connections.opened") == nullptr);

  const Transport other("HTTP://LocalHost:1");
  REQUIRE(metrics.Add(other).ok());
  CHECK(other.name() == "http://localhost:1");
  CHECK(metrics.Snapshot().Count("holdfast.connections.opened",
                                 {{"holdfast.name", "http://localhost:1"},
                                  {"server.address", "localhost"},
                                  {"server.port", "1"}}) == 0);
  CHECK(metrics.Add(Transport("no origin")).code() == absl::StatusCode::kInvalidArgument);
}

TEST_CASE("a standard client is added with its transport") {
  FaultServer server(Serve);
  const StandardClient client("http://" + server.Host());
  Metrics metrics;
  REQUIRE(metrics.Add("orders", client).ok());
  REQUIRE(client.Get("/").ok());
  const TransportMetrics told(metrics);
  CHECK(told.opened() == 1);
  CHECK(told.exchanges("GET", "200", "") == 1);
  CHECK(told.snapshot().Count("holdfast.calls", {{"holdfast.stack", "orders"},
                                                 {"holdfast.outcome", "success"},
                                                 {"holdfast.retried", "false"}}) == 1);
}

TEST_CASE("each exchange is measured once, by what it came to") {
  const Scene scene;
  CHECK(scene.Get("/").ok());
  CHECK(scene.Get("/old").ok());
  CHECK(scene.Get("/missing").ok());
  CHECK_FALSE(scene.Get("/lost").ok());  // sent again on a fresh connection, which is lost as well
  CHECK_FALSE(scene.Get("/cut").ok());
  CHECK_FALSE(scene.Get("/garbage").ok());
  CHECK(scene.transport(Request{.method = "PURGE"}).ok());
  CHECK_THROWS(scene.transport(Request{
      .on_head = [](const Response&) -> bool { throw std::runtime_error("of the caller"); }}));
  const TransportMetrics told = scene.Look();
  CHECK(told.exchanges("GET", "200", "") == 2);
  CHECK(told.exchanges("GET", "404", "404") == 1);
  CHECK(told.exchanges("GET", "", "lost") == 1);
  CHECK(told.exchanges("GET", "200", "lost") == 1);
  CHECK(told.exchanges("GET", "", "malformed") == 1);
  CHECK(told.exchanges("_OTHER", "200", "") == 1);
  CHECK(told.exchanges("GET", "200", "exception") == 1);
  CHECK(told.exchanges() == 8);
}

TEST_CASE("an exchange that is cut off is measured, whether it has a connection or waits for one") {
  const Scene scene({.max_connections = 1});
  const auto soon = Stack(Timeout(30ms)).Around(scene.transport);
  CHECK(absl::IsDeadlineExceeded(soon(Request{.target = "/never"}).status()));
  CHECK(scene.Look().exchanges("GET", "", "timeout") == 1);

  std::stop_source stop;
  const auto fetch = Stack(Timeout(1h)).Around(scene.transport);
  std::jthread holds([&] {
    Request request = {.method = "POST", .target = "/never"};
    fetch.With({.stop = stop.get_token()}, request).IgnoreError();
  });
  REQUIRE(Eventually([&] { return scene.Look().active() == 1; }));
  CHECK(absl::IsDeadlineExceeded(soon(Request{.method = "PUT"}).status()));
  CHECK(scene.Look().exchanges("PUT", "", "timeout") == 1);

  std::stop_source stop_waiting;
  std::jthread waits([&] {
    fetch.With({.stop = stop_waiting.get_token()}, Request{.method = "DELETE"}).IgnoreError();
  });
  REQUIRE(Eventually([&] { return scene.Look().queued() == 1; }));
  stop_waiting.request_stop();
  waits.join();
  CHECK(scene.Look().queued() == 0);
  CHECK(scene.Look().exchanges("DELETE", "", "cancelled") == 1);
  stop.request_stop();
  holds.join();
  const TransportMetrics told = scene.Look();
  CHECK(told.exchanges("POST", "", "cancelled") == 1);
  CHECK(told.exchanges() == 4);
  CHECK(told.active() == 0);
  CHECK(told.idle() == 0);
}

TEST_CASE("a request that is refused and a call that is over at once are no exchanges") {
  const Scene scene;
  CHECK_FALSE(scene.transport(Request{.method = "no method"}).ok());
  Request request;
  request.headers.Set("Content-Length", "7");
  CHECK_FALSE(scene.transport(request).ok());
  std::stop_source stopped;
  stopped.request_stop();
  const auto fetch = Stack(Timeout(1h)).Around(scene.transport);
  CHECK_FALSE(fetch.With({.stop = stopped.get_token()}, Request{}).ok());
  CHECK(scene.Look().exchanges() == 0);
  CHECK(scene.Look().opened() == 0);
}

TEST_CASE("connections are counted as they are opened, used, kept and closed") {
  const Scene scene;
  Request request;
  request.on_head = [&](const Response&) {
    const TransportMetrics told = scene.Look();  // it blocks no scrape
    CHECK(told.active() == 1);
    CHECK(told.idle() == 0);
    CHECK(told.opened() == 1);
    CHECK(told.exchanges() == 0);
    return true;
  };
  REQUIRE(scene.transport(request).ok());
  CHECK(scene.Look().active() == 0);
  CHECK(scene.Look().idle() == 1);
  REQUIRE(scene.Get("/").ok());
  CHECK(scene.Look().reused() == 1);
  CHECK_FALSE(scene.Get("/cut").ok());
  CHECK(scene.Look().reused() == 2);
  CHECK(scene.Look().idle() == 0);
  CHECK(scene.Look().active() == 0);
  REQUIRE(scene.Get("/").ok());
  CHECK(scene.Look().opened() == 2);
  CHECK(scene.server.accepted() == 2);
}

TEST_CASE("a connection that the server closed while it was idle is open until that is found") {
  FaultServer server([](const Peer& peer) {
    if (peer.ReadRequest()) peer.Write(kHello);
  });
  const Transport transport("http://" + server.Host());
  Metrics metrics;
  REQUIRE(metrics.Add(transport).ok());
  for (int i = 1; i <= 3; ++i) {
    REQUIRE(transport(Request{.method = "POST"}).ok());
    server.WaitForClosed(i);
    const TransportMetrics told(metrics);
    CHECK(told.opened() == static_cast<std::uint64_t>(i));
    CHECK(told.reused() == 0);
    CHECK(told.idle() == 1);
    CHECK(told.active() == 0);
  }
}

TEST_CASE("idle connections are not counted any more once their time is over") {
  const Scene scene({.idle_timeout = 20ms});
  REQUIRE(scene.Get("/").ok());
  CHECK(Eventually([&] { return scene.Look().idle() == 0; }));
  CHECK(scene.Look().active() == 0);
  CHECK(scene.Look().opened() == 1);
}

TEST_CASE("a connection that is not opened is not counted, and its exchange is") {
  SECTION("refused") {
    const Transport transport("http://" + Listener(1).Host());
    Metrics metrics;
    REQUIRE(metrics.Add(transport).ok());
    CHECK_FALSE(transport(Request{}).ok());
    CHECK(TransportMetrics(metrics).opened() == 0);
    CHECK(TransportMetrics(metrics).active() == 0);
    CHECK(TransportMetrics(metrics).exchanges("GET", "", "connect") == 1);
  }
  SECTION("no TLS there") {
    FaultServer server([](const Peer& peer) { peer.Write("220 hello\r\n"); });
    const Transport transport("https://" + server.Host(), {.verify = false});
    Metrics metrics;
    REQUIRE(metrics.Add(transport).ok());
    CHECK_FALSE(transport(Request{}).ok());
    CHECK(TransportMetrics(metrics).opened() == 0);
    CHECK(TransportMetrics(metrics).active() == 0);
    CHECK(TransportMetrics(metrics).exchanges("GET", "", "tls") == 1);
    CHECK(server.accepted() == 1);
  }
}

TEST_CASE("without durations a transport counts its connections and measures nothing") {
  const Scene scene({}, {.durations = false});
  REQUIRE(scene.Get("/").ok());
  CHECK(scene.Look().opened() == 1);
  CHECK(scene.Look().exchanges() == 0);
  CHECK(scene.Look().snapshot().Family("http.client.request.duration") == nullptr);
}

TEST_CASE("a child of fork() counts from zero, and measures what its parent measured") {
  if (!test::kCanFork) return;
  const Scene scene;
  for (int i = 0; i < 3; ++i) REQUIRE(scene.Get("/").ok());
  test::Child child([&scene]() -> std::string {
    if (scene.Look().exchanges() != 0 || scene.Look().idle() != 0) return "the parent's";
    if (!scene.Get("/").ok()) return "no answer";
    const TransportMetrics told = scene.Look();
    return told.exchanges() == 1 && told.opened() == 1 && told.idle() == 1 ? "fine" : "wrong";
  });
  CHECK(child.Says() == "fine");
  CHECK(scene.Look().exchanges() == 3);
  CHECK(scene.Look().idle() == 1);
}

}  // namespace
}  // namespace holdfast::http::transport_metrics_test
