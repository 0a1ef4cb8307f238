// A call ends when it has to, whatever its peer does, and wherever it is.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/http_asio.h"
#include "test/asio/support/net.h"
#include "test/http/descriptors.h"
#include "test/http/fault_server.h"
#include "test/http_asio/support/calls.h"
#include "test/support/catch.h"

namespace holdfast::http::cut_off_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using Code = absl::StatusCode;
using test::AsyncEnd;
using test::AsyncRequest;
using test::AsyncResult;
using test::BlackHole;
using test::ContainsSubstring;
using test::Eventually;
using test::FaultServer;
using test::Fetch;
using test::kHello;
using test::OpenDescriptors;
using test::Peer;
using test::RunAll;
using test::RunUntil;

constexpr auto kGap = 20ms;  // between the bytes that drip

// A peer that holds a call up, and how far the call comes.
struct Fault {
  std::string name;
  FaultServer::Script script;
  std::string scheme = "http://";
  Request request = AsyncRequest("GET", "/");
  TransportError kind = TransportError::kOutcomeUnknown;
  bool by_proxy = false;
};

std::vector<Fault> Faults() {
  const auto drip = [](const Peer& peer) {
    if (peer.ReadRequest()) peer.Drip("HTTP/1.1 200 OK\r\nSlow: " + std::string(20'000, 'x'), kGap);
  };
  const auto stall = [](const Peer& peer) { peer.Stall(); };
  const auto read = [](const Peer& peer) { peer.ReadAll(); };
  Fault tunnel = {.name = "tunnel", .script = read, .scheme = "https://", .by_proxy = true};
  tunnel.kind = TransportError::kConnect;
  return {
      {.name = "silent", .script = read},
      {.name = "drips", .script = drip},
      {.name = "takes nothing",
       .script = stall,
       .request = AsyncRequest("PUT", "/", std::string(16'000'000, 'x'))},
      {.name = "TLS", .script = read, .scheme = "https://", .kind = TransportError::kTls},
      tunnel,
  };
}

AsyncTransport TransportTo(net::io_context& io, const Fault& fault, const FaultServer& server,
                           TransportOptions options = {}) {
  options.verify = false;
  if (fault.by_proxy) options.proxy = "http://" + server.Host();
  return {io, fault.scheme + (fault.by_proxy ? "orders.invalid" : server.Host()),
          std::move(options)};
}

void CheckNothingLeft(const AsyncTransport& transport, FaultServer& server) {
  CHECK(transport.stats().idle == 0);
  CHECK(transport.stats().in_use == 0);
  CHECK(transport.stats().queued == 0);
  CHECK(Eventually([&] { return server.open() == 0; }));
}

TEST_CASE("a deadline of the transport or of the stack cuts a call off") {
  for (const Fault& fault : Faults()) {
    CAPTURE(fault.name);
    if (fault.name == "takes nothing") continue;  // it never looks whether its client is gone
    for (const bool of_stack : {false, true}) {
      FaultServer server(fault.script);
      net::io_context io;
      const auto transport =
          TransportTo(io, fault, server, {.total_timeout = of_stack ? TimeSpan(1h) : 60ms});
      AsyncEnd end;
      if (of_stack) {
        Stack(Timeout(60ms)).AroundAsync(transport, io)(fault.request, end.handler());
      } else {
        transport(fault.request, end.handler());
      }
      RunAll(io);
      CHECK(end.calls == 1);
      CHECK(end.status().code() == Code::kDeadlineExceeded);
      if (!of_stack) CHECK(end.kind() == fault.kind);
      CheckNothingLeft(transport, server);
    }
  }
}

TEST_CASE("a deadline cuts off what does not connect, and what can't be written") {
  net::io_context io;
  {
    const BlackHole hole;
    const AsyncTransport transport(io, "http://" + hole.Host(), {.total_timeout = 50ms});
    const absl::Status status = Fetch(io, transport, AsyncRequest("GET", "/")).status();
    CHECK(status.code() == Code::kDeadlineExceeded);
    CHECK(TransportErrorOf(status) == TransportError::kConnect);
    const AsyncTransport patient(io, "http://" + hole.Host(), {.connect_timeout = 50ms});
    CHECK(Fetch(io, patient, AsyncRequest("GET", "/")).status().code() == Code::kUnavailable);
  }
  FaultServer server([](const Peer& peer) { peer.Stall(); });
  const Request request = AsyncRequest("PUT", "/", std::string(16'000'000, 'x'));
  const AsyncTransport transport(io, "http://" + server.Host(), {.total_timeout = 50ms});
  CHECK(Fetch(io, transport, request).status().code() == Code::kDeadlineExceeded);
  const AsyncTransport slow(io, "http://" + server.Host(), {.write_timeout = 50ms});
  CHECK_THAT(std::string(Fetch(io, slow, request).status().message()),
             ContainsSubstring("within the write timeout"));
}

TEST_CASE("a server that is silent for longer than read_timeout is unavailable") {
  FaultServer server([](const Peer& peer) { peer.ReadAll(); });
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host(), {.read_timeout = 50ms});
  const absl::Status status = Fetch(io, transport, AsyncRequest("GET", "/")).status();
  CHECK(status.code() == Code::kUnavailable);
  CHECK_THAT(std::string(status.message()), ContainsSubstring("within the read timeout"));
}

TEST_CASE("a refused connection is unavailable, with nothing sent") {
  std::string host;
  {
    const test::Listener listener(1);
    host = listener.Host();
  }
  net::io_context io;
  const AsyncTransport transport(io, "http://" + host);
  const absl::Status status = Fetch(io, transport, AsyncRequest("GET", "/")).status();
  CHECK(status.code() == Code::kUnavailable);
  CHECK(TransportErrorOf(status) == TransportError::kConnect);
  const AsyncTransport nowhere(io, "http://orders.invalid");
  CHECK(TransportErrorOf(Fetch(io, nowhere, AsyncRequest("GET", "/")).status()) ==
        TransportError::kConnect);
}

// Starts a call with a slot, waits until `reached` or, without it, for nothing, and cancels it.
AsyncEnd Cancelled(net::io_context& io, const AsyncTransport& transport, const Request& request,
                   const std::function<bool()>& reached,
                   net::cancellation_type type = net::cancellation_type::terminal) {
  AsyncEnd end;
  net::cancellation_signal signal;
  transport(request, net::bind_cancellation_slot(signal.slot(), end.handler()));
  if (reached) RunUntil(io, reached);
  CHECK(end.calls == 0);
  signal.emit(type);
  RunAll(io);
  CHECK(end.calls == 1);
  return end;
}

TEST_CASE("a call is cancelled wherever it is") {
  for (const Fault& fault : Faults()) {
    CAPTURE(fault.name);
    std::atomic<int> began = 0;
    FaultServer server([&](const Peer& peer) {
      ++began;
      fault.script(peer);
    });
    net::io_context io;
    const auto transport = TransportTo(io, fault, server);
    const AsyncEnd end =
        Cancelled(io, transport, fault.request, [&] { return began == 1 && io.poll() == 0; });
    CHECK(end.status().code() == Code::kCancelled);
    CHECK(transport.stats().in_use == 0);
    CHECK(transport.stats().idle == 0);
    // At once, before it has begun.
    CHECK(Cancelled(io, transport, fault.request, nullptr).kind() == TransportError::kConnect);
  }
  const BlackHole hole;
  net::io_context io;
  const AsyncTransport transport(io, "http://" + hole.Host());
  const AsyncEnd end = Cancelled(io, transport, AsyncRequest("GET", "/"),
                                 [&] { return transport.stats().in_use == 1; });
  CHECK(end.status().code() == Code::kCancelled);
  CHECK(end.kind() == TransportError::kConnect);
}

TEST_CASE("total cancellation spares a call that has begun to write, and no other") {
  std::atomic<bool> asked = false;
  std::atomic<bool> cancelled = false;
  FaultServer server([&](const Peer& peer) {
    if (!peer.ReadRequest()) return;
    asked = true;
    cancelled.wait(false);
    peer.Write(kHello);
  });
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host());
  AsyncEnd sent;
  net::cancellation_signal signal;
  transport(AsyncRequest("GET", "/"), net::bind_cancellation_slot(signal.slot(), sent.handler()));
  RunUntil(io, [&] { return !!asked; });
  signal.emit(net::cancellation_type::total);
  while (io.poll() > 0) {
  }
  CHECK(sent.calls == 0);
  cancelled = true;
  cancelled.notify_all();
  RunAll(io);
  CHECK(sent.result.ok());
  const AsyncEnd unsent =
      Cancelled(io, transport, AsyncRequest("GET", "/"), nullptr, net::cancellation_type::total);
  CHECK(unsent.status().code() == Code::kCancelled);
  const AsyncEnd partial =
      Cancelled(io, transport, AsyncRequest("GET", "/"), nullptr, net::cancellation_type::partial);
  CHECK(partial.status().code() == Code::kCancelled);
}

TEST_CASE("a context that goes away takes its calls with it, wherever they are") {
  for (const Fault& fault : Faults()) {
    CAPTURE(fault.name);
    const int before = OpenDescriptors();
    {
      std::atomic<int> began = 0;
      FaultServer server([&](const Peer& peer) {
        ++began;
        fault.script(peer);
      });
      const auto alive = std::make_shared<int>(1);
      std::optional<AsyncTransport> left;
      {
        net::io_context io;
        left = TransportTo(io, fault, server, {.max_connections = 3});
        for (int i = 0; i < 6; ++i) {  // three of which wait for a connection
          (*left)(fault.request, [alive](std::exception_ptr, AsyncResult) { FAIL("called"); });
        }
        RunUntil(io, [&] { return began == 3; });
        // One that has not even begun.
        (*left)(fault.request, [alive](std::exception_ptr, AsyncResult) { FAIL("called"); });
        CHECK(alive.use_count() == 8);
      }
      CHECK(alive.use_count() == 1);
      CHECK(left->stats().in_use == 0);
      CHECK(left->stats().queued == 0);
    }
    CHECK(Eventually([&] { return OpenDescriptors() == before; }));
  }
}

TEST_CASE("a context that goes away while names are resolved waits for nobody") {
  for (int i = 0; i < 50; ++i) {
    const auto alive = std::make_shared<int>(1);
    {
      net::io_context io;
      const AsyncTransport transport(io, "http://orders-" + std::to_string(i) + ".invalid");
      transport(AsyncRequest("GET", "/"), [alive](std::exception_ptr, AsyncResult) {});
      io.poll();
    }
    CHECK(alive.use_count() == 1);
  }
}

TEST_CASE("an exchange goes on without the last handle of its transport") {
  FaultServer server([](const Peer& peer) {
    while (peer.ReadRequest()) peer.Write(kHello);
  });
  net::io_context io;
  AsyncEnd end;
  AsyncTransport(io, "http://" + server.Host())(AsyncRequest("GET", "/"), end.handler());
  RunAll(io);
  CHECK(end.calls == 1);
  CHECK(end.result.ok());
  server.WaitForClosed(1);  // its pool is gone
}

}  // namespace
}  // namespace holdfast::http::cut_off_test
