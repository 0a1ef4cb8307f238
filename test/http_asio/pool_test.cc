// The connections of an AsyncTransport: who gets them, and which are kept.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/http_asio.h"
#include "test/asio/support/net.h"
#include "test/http/descriptors.h"
#include "test/http/fault_server.h"
#include "test/http_asio/support/calls.h"
#include "test/support/catch.h"

namespace holdfast::http::pool_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using Code = absl::StatusCode;
using test::AsyncEnd;
using test::AsyncRequest;
using test::AsyncResult;
using test::Eventually;
using test::FaultServer;
using test::Fetch;
using test::kHello;
using test::Peer;
using test::Recorder;
using test::RunAll;
using test::RunUntil;

FaultServer::Script Answers(std::string answer) {
  return [answer = std::move(answer)](const Peer& peer) {
    while (!peer.ReadMessage().empty()) {
      if (!peer.Write(answer)) return;
    }
  };
}

TEST_CASE("asynchronous calls wait for a connection in the order of their arrival") {
  Recorder got;
  FaultServer server([&](const Peer& peer) {
    for (std::string message = peer.ReadMessage(); !message.empty(); message = peer.ReadMessage()) {
      got.Add(message.substr(0, message.find(" HTTP")));
      if (!peer.Write(kHello)) return;
    }
  });
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host(), {.max_connections = 1});
  std::vector<int> order;
  constexpr int kCalls = 20;
  for (int i = 0; i < kCalls; ++i) {
    transport(AsyncRequest("GET", "/" + std::to_string(i)), [&, i](const AsyncResult& result) {
      if (result.ok()) order.push_back(i);
    });
  }
  RunAll(io);
  std::vector<int> expected;
  std::vector<std::string> messages;
  for (int i = 0; i < kCalls; ++i) {
    expected.push_back(i);
    messages.push_back("GET /" + std::to_string(i));
  }
  CHECK(order == expected);
  CHECK(got.messages() == messages);
  CHECK(server.accepted() == 1);
}

TEST_CASE("a call waits for a connection no longer than its deadline, and may be cancelled there") {
  FaultServer server([](const Peer& peer) { peer.ReadAll(); });
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host(), {.max_connections = 1});
  AsyncEnd holds;
  net::cancellation_signal hold;
  transport(AsyncRequest("GET", "/"), net::bind_cancellation_slot(hold.slot(), holds.handler()));
  AsyncEnd late;
  Stack(Timeout(50ms)).AroundAsync(transport, io)(AsyncRequest("GET", "/"), late.handler());
  AsyncEnd cancelled;
  net::cancellation_signal signal;
  transport(AsyncRequest("GET", "/"),
            net::bind_cancellation_slot(signal.slot(), cancelled.handler()));
  RunUntil(io, [&] { return late.calls == 1; });
  CHECK(late.status().code() == Code::kDeadlineExceeded);
  CHECK(transport.stats().queued == 1);
  signal.emit(net::cancellation_type::terminal);
  RunUntil(io, [&] { return cancelled.calls == 1; });
  CHECK(cancelled.status().code() == Code::kCancelled);
  CHECK(cancelled.kind() == TransportError::kConnect);
  CHECK(transport.stats().queued == 0);
  hold.emit(net::cancellation_type::terminal);
  RunAll(io);
  CHECK(holds.status().code() == Code::kCancelled);
  CHECK(server.accepted() == 1);
}

TEST_CASE("an asynchronous connection is used no more often and no longer than it may be") {
  FaultServer server(Answers(std::string(kHello)));
  net::io_context io;
  const auto connections = [&](TransportOptions options) {
    const AsyncTransport transport(io, "http://" + server.Host(), std::move(options));
    for (int i = 0; i < 4; ++i) REQUIRE(Fetch(io, transport, AsyncRequest("GET", "/")).ok());
    return transport.stats().opened;
  };
  CHECK(connections({}) == 1);
  CHECK(connections({.max_uses = 2}) == 2);
  CHECK(connections({.max_age = 1ns}) == 4);
  CHECK(connections({.max_idle = 0}) == 4);
}

TEST_CASE("idle asynchronous connections are closed at their time, and keep no context running") {
  FaultServer server(Answers(std::string(kHello)));
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host(), {.idle_timeout = 20ms});
  REQUIRE(Fetch(io, transport, AsyncRequest("GET", "/")).ok());  // run() returned
  CHECK(Eventually([&] { return server.open() == 0; }));
  CHECK(transport.stats().idle == 0);
  const AsyncTransport hinted(io, "http://" + server.Host());
  FaultServer hints(
      Answers("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=0\r\nContent-Length: 0\r\n\r\n"));
  const AsyncTransport to_hints(io, "http://" + hints.Host());
  REQUIRE(Fetch(io, to_hints, AsyncRequest("GET", "/")).ok());
  CHECK(to_hints.stats().idle == 0);
}

TEST_CASE("a connection that the server closed while it was idle costs no asynchronous call") {
  FaultServer server([](const Peer& peer) {
    if (!peer.ReadMessage().empty()) peer.Write(kHello);
  });
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host());
  for (int i = 1; i <= 5; ++i) {
    REQUIRE(Fetch(io, transport, AsyncRequest("POST", "/", "x")).ok());
    server.WaitForClosed(i);
  }
  CHECK(transport.stats().opened == 5);
}

// Answers the first request on a connection; the second one ends it.
FaultServer::Script DiesOnSecond(std::atomic<int>& requests) {
  return [&requests](const Peer& peer) {
    if (peer.ReadMessage().empty()) return;
    ++requests;
    peer.Write(kHello);
    if (!peer.ReadMessage().empty()) ++requests;
    peer.ResetAtEnd();
  };
}

TEST_CASE("a request that may be sent twice is sent again over a fresh connection") {
  std::atomic<int> requests = 0;
  FaultServer server(DiesOnSecond(requests));
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host());
  REQUIRE(Fetch(io, transport, AsyncRequest("GET", "/")).ok());
  CHECK(Fetch(io, transport, AsyncRequest("GET", "/")).ok());
  CHECK(requests == 3);
  CHECK(transport.stats().opened == 2);
  CHECK(transport.stats().reused == 1);
  // The one that was kept from the resend is stale as well.
  const absl::Status status = Fetch(io, transport, AsyncRequest("POST", "/", "x")).status();
  CHECK(status.code() == Code::kUnavailable);
  CHECK(TransportErrorOf(status) == TransportError::kOutcomeUnknown);
  CHECK(requests == 4);
}

TEST_CASE("a sender starts over where its request is sent again") {
  std::atomic<int> requests = 0;
  FaultServer server(DiesOnSecond(requests));
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host());
  REQUIRE(Fetch(io, transport, AsyncRequest("GET", "/")).ok());
  Request request = AsyncRequest("PUT", "/");
  std::vector<std::uint64_t> offsets;
  request.sender_length = 5;
  request.sender = [&](std::uint64_t offset, std::string& bytes) {
    offsets.push_back(offset);
    if (offset == 0) bytes = "12345";
    return true;
  };
  CHECK(Fetch(io, transport, request).ok());
  CHECK(offsets == std::vector<std::uint64_t>{0, 0});
  // Over what was kept from that; without a length it can't start over.
  request.sender_length.reset();
  CHECK(TransportErrorOf(Fetch(io, transport, request).status()) ==
        TransportError::kOutcomeUnknown);
  CHECK(offsets == std::vector<std::uint64_t>{0, 0, 0, 5});
}

TEST_CASE("where one connection died while idle, older ones are dropped") {
  constexpr int kCalls = 16;
  std::atomic<int> asked = 0;
  std::atomic<bool> dead = false;
  FaultServer server([&](const Peer& peer) {
    while (!peer.ReadMessage().empty()) {
      if (dead && peer.number() <= kCalls) return peer.ResetAtEnd();
      ++asked;
      while (asked < kCalls) std::this_thread::yield();  // so that each has a connection of its own
      peer.Write(kHello);
    }
  });
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host());
  int ok = 0;
  for (int i = 0; i < kCalls; ++i) {
    transport(AsyncRequest("GET", "/"), [&](const AsyncResult& result) { ok += result.ok(); });
  }
  RunAll(io);
  CHECK(ok == kCalls);
  REQUIRE(transport.stats().idle == kCalls);
  dead = true;
  for (int i = 0; i < 3; ++i) CHECK(Fetch(io, transport, AsyncRequest("GET", "/")).ok());
  CHECK(transport.stats().idle == 1);
  CHECK(server.accepted() == kCalls + 1);
}

}  // namespace
}  // namespace holdfast::http::pool_test
