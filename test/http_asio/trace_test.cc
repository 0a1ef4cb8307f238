// The headers of a trace, sent by AsyncTransport.
#include <absl/status/status.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "holdfast/http_asio.h"
#include "test/http/fault_server.h"
#include "test/http_asio/support/calls.h"
#include "test/support/catch.h"
#include "test/support/span_book.h"

namespace holdfast::http::async_trace_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::AsyncEnd;
using test::AsyncRequest;
using test::AsyncResult;
using test::ContainsSubstring;
using test::FaultServer;
using test::Peer;
using test::RunAll;
using test::SpanBook;
using test::WhatIsWrongWith;

TEST_CASE("each attempt of an asynchronous call is sent with a span id of its own") {
  test::Recorder got;
  FaultServer server([&](const Peer& peer) {
    for (std::string message = peer.ReadMessage(); !message.empty(); message = peer.ReadMessage()) {
      got.Add(message);
      peer.Write("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    }
  });
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host());
  const auto book = std::make_shared<SpanBook>();
  const auto stack = Stack(Retry({.max_attempts = 3,
                                  .backoff = Backoff::Constant(1ms),
                                  .budget = RetryBudget::Unlimited()}))
                         .Traced("orders", book);
  using Any = AnyAsyncExecutor<AsyncResult(const Request&)>;
  const bool erased = GENERATE(false, true);
  const Any fetch =
      erased ? Any(stack.AroundAsync(Any(transport), io)) : Any(stack.AroundAsync(transport, io));
  const auto parent =
      TraceContext::Parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "foo=1");
  Request request = AsyncRequest("GET", "/");
  request.headers.Add("traceparent", "00-00000000000000000000000000000001-0000000000000001-01");
  AsyncEnd end;
  fetch.With({.trace = &*parent}, request, end.handler());
  RunAll(io);
  CHECK(end.result.ok());
  const auto attempts = book->attempts();
  const std::vector<std::string> messages = got.messages();
  REQUIRE(attempts.size() == 3);
  REQUIRE(messages.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(attempts[i].resend_count == static_cast<int>(i));
    CHECK(attempts[i].context.trace_id() == parent->trace_id());
    CHECK_THAT(messages[i],
               ContainsSubstring("\r\ntraceparent: " + attempts[i].context.traceparent() + "\r\n"));
    CHECK_THAT(messages[i], ContainsSubstring("\r\ntracestate: foo=1\r\n"));
    CHECK(messages[i].find("traceparent") == messages[i].rfind("traceparent"));
  }
}

}  // namespace
}  // namespace holdfast::http::async_trace_test
