// Requests and answers over AsyncTransport where nothing fails.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <future>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/http_asio.h"
#include "test/asio/support/net.h"
#include "test/http/fault_server.h"
#include "test/http/test_server.h"
#include "test/http_asio/support/calls.h"
#include "test/support/catch.h"

namespace holdfast::http::transport_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::AsyncEnd;
using test::AsyncRequest;
using test::AsyncResult;
using test::FaultServer;
using test::Fetch;
using test::kHello;
using test::Peer;
using test::RunAll;

FaultServer::Script Greets() {
  return [](const Peer& peer) {
    while (!peer.ReadMessage().empty()) {
      if (!peer.Write(kHello)) return;
    }
  };
}

TEST_CASE("an asynchronous call gets its answer, and the connection is kept for the next") {
  FaultServer server(Greets());
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host());
  for (int i = 0; i < 100; ++i) {
    const AsyncResult response = Fetch(io, transport, AsyncRequest("GET", "/"));
    REQUIRE(response.ok());
    CHECK(response->status == 200);
    CHECK(response->body == "hello");
  }
  const TransportStats stats = transport.stats();
  CHECK(server.accepted() == 1);
  CHECK(stats.opened == 1);
  CHECK(stats.reused == 99);
  CHECK(stats.idle == 1);
  CHECK(stats.in_use == 0);
  CHECK(stats.queued == 0);
}

TEST_CASE("an asynchronous request arrives as it is") {
  test::Recorder got;
  FaultServer server([&](const Peer& peer) {
    got.Add(peer.ReadMessage());
    peer.Write(kHello);
  });
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host(), {.attempt_header = "X-Attempt"});
  Request request = AsyncRequest("PUT", "/a?b=c", std::string(300'000, 'x'));
  request.headers = {{"X-One", "1"}, {"X-Attempt", "9"}};
  REQUIRE(Fetch(io, transport, request).ok());
  const std::string message = got.messages().at(0);
  CHECK(message.starts_with("PUT /a?b=c HTTP/1.1\r\nHost: " + server.Host() + "\r\n"));
  CHECK(message.find("\r\nX-One: 1\r\n") != std::string::npos);
  CHECK(message.find("\r\nX-Attempt: 1\r\n") != std::string::npos);
  CHECK(message.ends_with("\r\n\r\n" + request.body));
}

TEST_CASE("every completion token starts an asynchronous call") {
  FaultServer server(Greets());
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host());
  std::future<AsyncResult> future = transport(AsyncRequest("GET", "/"), net::use_future);
  int alone = 0;
  transport(AsyncRequest("GET", "/"), [&](const AsyncResult& result) {
    CHECK(result.ok());
    ++alone;
  });
  auto deferred = transport(AsyncRequest("GET", "/"), testing::kDeferred);
  AsyncEnd end;
  std::move(deferred)(end.handler());
  const auto caller = [&]() -> net::awaitable<void> {
    const Request request = AsyncRequest("GET", "/");
    const AsyncResult result = co_await transport(request, net::use_awaitable);
    CHECK(result.ok());
    ++alone;
  };
  net::co_spawn(io, caller, net::detached);
  RunAll(io);
  CHECK(future.get().value().body == "hello");
  CHECK(alone == 2);
  CHECK(end.calls == 1);
  CHECK(end.result.ok());
}

TEST_CASE("a handler is called in its own executor, and bodies are streamed in the transport's") {
  FaultServer server(Greets());
  net::io_context io;
  net::thread_pool other(1);
  const AsyncTransport transport(io, "http://" + server.Host());
  Request request = AsyncRequest("PUT", "/");
  const std::vector<std::string> parts = {"one", "two", "three"};
  std::size_t given = 0;
  std::thread::id sender;
  request.sender = [&](std::uint64_t, std::string& bytes) {
    sender = std::this_thread::get_id();
    if (given < parts.size()) bytes = parts[given++];
    return true;
  };
  std::string received;
  request.receiver = [&](std::string_view part) {
    received += part;
    return true;
  };
  std::thread::id handler;
  std::promise<void> called;
  transport(request, net::bind_executor(other, [&](std::exception_ptr, AsyncResult result) {
              handler = std::this_thread::get_id();
              if (result.ok()) called.set_value();
            }));
  RunAll(io);
  called.get_future().get();
  other.join();
  CHECK(sender == std::this_thread::get_id());
  CHECK(handler != std::this_thread::get_id());
  CHECK(received == "hello");
}

TEST_CASE("an exception of a callback reaches the handler, and the connection is closed") {
  FaultServer server(Greets());
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host());
  Request request = AsyncRequest("GET", "/");
  request.receiver = [](std::string_view) -> bool { throw std::runtime_error("no"); };
  CHECK_THROWS_AS(Fetch(io, transport, request), std::runtime_error);
  CHECK(transport.stats().idle == 0);
  CHECK(transport.stats().in_use == 0);
  server.WaitForClosed(1);
  // A handler that takes no exception has it leave run().
  transport(request, [](const AsyncResult&) { FAIL("called"); });
  CHECK_THROWS_AS(RunAll(io), std::runtime_error);
  // And one that throws is called once.
  int calls = 0;
  transport(AsyncRequest("GET", "/"), [&](const AsyncResult&) {
    ++calls;
    throw std::logic_error("mine");
  });
  CHECK_THROWS_AS(RunAll(io), std::logic_error);
  RunAll(io);
  CHECK(calls == 1);
  CHECK(Fetch(io, transport, AsyncRequest("GET", "/")).ok());
}

TEST_CASE("what the request's callbacks hold is gone when the handler is called") {
  FaultServer server(Greets());
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host());
  auto held = std::make_shared<int>();
  const std::weak_ptr<int> watched = held;
  Request request = AsyncRequest("GET", "/");
  request.receiver = [held = std::move(held)](std::string_view) { return true; };
  int calls = 0;
  transport(std::move(request), [&](const AsyncResult& result) {
    ++calls;
    CHECK(result.ok());
    CHECK(watched.expired());
  });
  RunAll(io);
  CHECK(calls == 1);
}

TEST_CASE("a callback that returns false cancels its asynchronous call") {
  FaultServer server(Greets());
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host());
  Request request = AsyncRequest("GET", "/");
  request.receiver = [](std::string_view) { return false; };
  const absl::Status status = Fetch(io, transport, request).status();
  CHECK(absl::IsCancelled(status));
  CHECK(transport.stats().idle == 0);
}

TEST_CASE("what can't be sent is refused, with nothing sent") {
  FaultServer server(Greets());
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host());
  const absl::Status status = Fetch(io, transport, AsyncRequest("GET", "no slash")).status();
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(TransportErrorOf(status) == TransportError::kRequest);
  const AsyncTransport by_proxy(io, "http://orders.invalid", {.proxy = "http://" + server.Host()});
  for (const std::string target : {"", ".evil.invalid/x", ":81/x", "http://x/", "/a b"}) {
    CAPTURE(target);
    CHECK(TransportErrorOf(Fetch(io, transport, AsyncRequest("GET", target)).status()) ==
          TransportError::kRequest);
    CHECK(TransportErrorOf(Fetch(io, by_proxy, AsyncRequest("GET", target)).status()) ==
          TransportError::kRequest);
  }
  CHECK(TransportErrorOf(Fetch(io, transport, AsyncRequest("CONNECT", "x:1")).status()) ==
        TransportError::kRequest);
  const AsyncTransport nowhere(io, "gopher://x");
  CHECK(Fetch(io, nowhere, AsyncRequest("GET", "/")).status().code() ==
        absl::StatusCode::kInvalidArgument);
  CHECK_THROWS_AS(AsyncTransport(io, "http://x", {.max_idle = -1}), std::invalid_argument);
  CHECK(server.accepted() == 0);
}

TEST_CASE("a thousand calls at once share one thread") {
  FaultServer server(Greets());
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host(), {.max_idle = 1000});
  constexpr int kCalls = 1000;
  int ok = 0;
  std::string failure;
  for (int i = 0; i < kCalls; ++i) {
    transport(AsyncRequest("GET", "/"), [&](const AsyncResult& result) {
      ok += result.ok();
      if (!result.ok()) failure = result.status().ToString();
    });
  }
  RunAll(io);
  INFO(failure);
  CHECK(failure.empty());
  CHECK(ok == kCalls);
  CHECK(transport.stats().in_use == 0);
  CHECK(transport.stats().opened + transport.stats().reused == kCalls);
}

TEST_CASE("a context with several threads runs many calls at once") {
  FaultServer server(Greets());
  net::thread_pool pool(4);
  const AsyncTransport transport(pool, "http://" + server.Host(), {.max_connections = 8});
  std::atomic<int> ok = 0;
  constexpr int kCalls = 500;
  for (int i = 0; i < kCalls; ++i) {
    transport(AsyncRequest("GET", "/"), [&](const AsyncResult& result) { ok += result.ok(); });
  }
  pool.join();
  CHECK(ok == kCalls);
  CHECK(server.accepted() <= 8);
  CHECK(transport.stats().queued == 0);
}

}  // namespace
}  // namespace holdfast::http::transport_test
