// AsyncTransport at the bottom of a stack.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/http_asio.h"
#include "test/asio/support/net.h"
#include "test/http/fault_server.h"
#include "test/http_asio/support/calls.h"
#include "test/support/catch.h"

namespace holdfast::http::stack_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using Code = absl::StatusCode;
using test::AsyncEnd;
using test::AsyncRequest;
using test::AsyncResult;
using test::FaultServer;
using test::kHello;
using test::Peer;
using test::Recorder;
using test::RunAll;
using test::RunUntil;

RetryOptions AtOnce(int attempts) {
  return {.max_attempts = attempts, .backoff = Backoff::Constant(0ns)};
}

TEST_CASE("a stack retries an asynchronous call, and each attempt says its number") {
  Recorder got;
  FaultServer server([&](const Peer& peer) {
    const std::string message = peer.ReadMessage();
    if (got.Add(message) < 3) return peer.ResetAtEnd();
    peer.Write(kHello);
  });
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host(), {.attempt_header = "X-Attempt"});
  const auto fetch =
      Stack(Timeout(60s), Retry(AtOnce(4)), CircuitBreak({.name = "orders"}), Timeout(30s))
          .AroundAsync(transport, io);
  Report report;
  AsyncEnd end;
  fetch.With({.report = &report}, AsyncRequest("GET", "/"), end.handler());
  RunAll(io);
  CHECK(end.result.ok());
  CHECK(report.attempts == 3);
  const std::vector<std::string> messages = got.messages();
  REQUIRE(messages.size() == 3);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    CHECK_THAT(messages[i],
               test::ContainsSubstring("\r\nX-Attempt: " + std::to_string(i + 1) + "\r\n"));
  }
}

TEST_CASE("a breaker opens on asynchronous calls that fail") {
  FaultServer server([](const Peer& peer) { peer.ResetAtEnd(); });
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host());
  const auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{.name = "orders"});
  const auto fetch = Stack(CircuitBreak(breaker)).AroundAsync(transport, io);
  for (int i = 0; i < 10; ++i) {
    AsyncEnd end;
    fetch(AsyncRequest("GET", "/"), end.handler());
    RunAll(io);
    CHECK(end.status().code() == Code::kUnavailable);
  }
  CHECK(breaker->state() == BreakerState::kOpen);
  CHECK(server.accepted() < 10);
}

TEST_CASE("a stop request ends an asynchronous call within a stack") {
  std::atomic<bool> asked = false;
  FaultServer server([&](const Peer& peer) {
    if (peer.ReadRequest()) asked = true;
    peer.ReadAll();
  });
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host());
  const auto fetch = Stack(Retry({}), Timeout(1h)).AroundAsync(transport, io);
  std::stop_source stop;
  AsyncEnd end;
  fetch.With({.stop = stop.get_token()}, AsyncRequest("GET", "/"), end.handler());
  RunUntil(io, [&] { return !!asked; });
  CHECK(end.calls == 0);
  stop.request_stop();
  RunAll(io);
  CHECK(end.status().code() == Code::kCancelled);
  CHECK(transport.stats().in_use == 0);
  server.WaitForClosed(1);
}

TEST_CASE("an asynchronous hedge takes the first answer, and cuts the other one off") {
  FaultServer server([](const Peer& peer) {
    if (!peer.ReadRequest()) return;
    if (peer.number() == 1) return peer.ReadAll();
    peer.Write(kHello);
  });
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host());
  const auto fetch = Stack(Hedge({.delay = 5ms}, HedgeAll())).AroundAsync(transport, io);
  AsyncEnd end;
  fetch(AsyncRequest("GET", "/"), end.handler());
  RunAll(io);
  CHECK(end.result.ok());
  CHECK(transport.stats().in_use == 0);
}

TEST_CASE("an AsyncTransport fits into an AnyAsyncExecutor, and its calls into coroutines") {
  FaultServer server([](const Peer& peer) {
    while (peer.ReadRequest()) peer.Write(kHello);
  });
  net::thread_pool pool(2);
  const AsyncTransport transport(pool, "http://" + server.Host());
  const AnyAsyncExecutor<AsyncResult(const Request&)> fetch =
      Stack(Retry({}), Timeout(30s)).AroundAsync(transport, pool.get_executor());
  std::atomic<int> ok = 0;
  const auto caller = [&]() -> net::awaitable<void> {
    const Request request = AsyncRequest("GET", "/");
    for (int i = 0; i < 20; ++i) {
      const AsyncResult result = co_await fetch(request, net::use_awaitable);
      ok += result.ok();
    }
  };
  for (int i = 0; i < 10; ++i) net::co_spawn(pool, caller, net::detached);
  pool.join();
  CHECK(ok == 200);
}

}  // namespace
}  // namespace holdfast::http::stack_test
