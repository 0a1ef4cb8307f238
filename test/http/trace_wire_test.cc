// The headers traceparent and tracestate, as a server reads them.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "holdfast/http.h"
#include "test/http/fault_server.h"
#include "test/support/catch.h"
#include "test/support/span_book.h"

namespace holdfast::http::trace_wire_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::FaultServer;
using test::Peer;
using test::SpanBook;
using test::WhatIsWrongWith;

constexpr char kHello[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
constexpr char kBusy[] = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n";

// A server that keeps what it read, and answers the nth request, from 0, as it is told.
class TracedServer {
 public:
  explicit TracedServer(std::function<std::string(int n, const std::string& request)> answer)
      : answer_(std::move(answer)), server_([this](const Peer& peer) { Serve(peer); }) {}

  std::string url() const { return "http://" + server_.Host(); }

  // What stands in the headers of each request.
  std::vector<std::string> Values(const std::string& header) const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> values;
    for (const std::string& request : requests_) values.push_back(ValueIn(request, header));
    return values;
  }
  std::vector<std::optional<TraceContext>> Contexts() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::optional<TraceContext>> contexts;
    for (const std::string& request : requests_) {
      contexts.push_back(
          TraceContext::Parse(ValueIn(request, "traceparent"), ValueIn(request, "tracestate")));
    }
    return contexts;
  }

 private:
  // With "|" between several; "none" if there is none.
  static std::string ValueIn(const std::string& request, const std::string& header) {
    std::string values;
    const std::string name = "\r\n" + header + ": ";
    for (std::size_t at = request.find(name); at != std::string::npos;
         at = request.find(name, at + 1)) {
      const std::size_t begin = at + name.size();
      values +=
          (values.empty() ? "" : "|") + request.substr(begin, request.find('\r', begin) - begin);
    }
    return values.empty() ? "none" : values;
  }

  void Serve(const Peer& peer) {
    for (;;) {
      const std::string request = peer.ReadMessage();
      if (request.empty()) return;
      int n = 0;
      {
        const std::lock_guard lock(mutex_);
        n = static_cast<int>(requests_.size());
        requests_.push_back(request);
      }
      const std::string answer = answer_(n, request);
      if (answer.empty() || !peer.Write(answer)) return;
    }
  }

  const std::function<std::string(int, const std::string&)> answer_;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;  // guarded by mutex_
  FaultServer server_;
};

RetryOptions Quickly() {
  return {.max_attempts = 4, .backoff = Backoff::Constant(1ms), .budget = RetryBudget::Unlimited()};
}

TEST_CASE("a server sees one trace id per call, and one span id per attempt") {
  TracedServer server([](int n, const std::string&) { return n % 3 == 2 ? kHello : kBusy; });
  const Transport transport(server.url());
  const auto book = std::make_shared<SpanBook>();
  const auto fetch = Stack(Retry(Quickly())).Traced("orders", book).Around(transport);
  const Request request = {.method = "GET", .target = "/"};
  CHECK(fetch(request).ok());
  CHECK(fetch(request).ok());
  CHECK(WhatIsWrongWith(book->spans()) == test::kNothing);
  const auto contexts = server.Contexts();
  const auto attempts = book->attempts();
  REQUIRE(contexts.size() == 6);
  REQUIRE(attempts.size() == 6);
  std::set<TraceId> traces;
  std::set<SpanId> spans;
  for (std::size_t i = 0; i < 6; ++i) {
    REQUIRE(contexts[i]);
    CHECK(*contexts[i] == attempts[i].context);
    CHECK(attempts[i].resend_count == static_cast<int>(i % 3));
    traces.insert(contexts[i]->trace_id());
    spans.insert(contexts[i]->span_id());
    CHECK(contexts[i]->trace_id() == contexts[i - i % 3]->trace_id());
  }
  CHECK(traces.size() == 2);
  CHECK(spans.size() == 6);
  CHECK(server.Values("tracestate") == std::vector<std::string>(6, "none"));
}

TEST_CASE("with a tracer its context takes the place of that of the request, state included") {
  TracedServer server([](int, const std::string&) { return kHello; });
  const Transport transport(server.url());
  const auto book = std::make_shared<SpanBook>();
  const auto fetch = Stack().Traced("orders", book).Around(transport);
  const Request request = {
      .method = "GET",
      .target = "/",
      .headers = {{"Traceparent", "00-00000000000000000000000000000001-0000000000000001-01"},
                  {"TraceState", "mine=1"},
                  {"TraceState", "mine=2"}}};
  CHECK(fetch(request).ok());
  const auto parent =
      TraceContext::Parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "foo=1");
  CHECK(fetch.With({.trace = &*parent}, request).ok());
  const auto attempts = book->attempts();
  REQUIRE(attempts.size() == 2);
  CHECK(server.Values("traceparent") ==
        std::vector<std::string>{attempts[0].context.traceparent(),
                                 attempts[1].context.traceparent()});
  CHECK(server.Values("tracestate") == std::vector<std::string>{"none", "foo=1"});
  CHECK(server.Values("Traceparent") == std::vector<std::string>(2, "none"));
  CHECK(server.Values("TraceState") == std::vector<std::string>(2, "none"));
}

TEST_CASE("without a tracer the context of the caller is handed on, unless the request has one") {
  TracedServer server([](int, const std::string&) { return kHello; });
  const Transport transport(server.url());
  const auto fetch = Stack(Retry(Quickly())).Around(transport);
  const std::string own = "00-00000000000000000000000000000001-0000000000000001-01";
  const Request plain = {.method = "GET", .target = "/"};
  const Request with_own = {
      .method = "GET", .target = "/", .headers = {{"traceparent", own}, {"tracestate", "mine=1"}}};
  const auto parent =
      TraceContext::Parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "foo=1");
  CHECK(fetch(plain).ok());
  CHECK(fetch(with_own).ok());
  CHECK(fetch.With({.trace = &*parent}, plain).ok());
  CHECK(fetch.With({.trace = &*parent}, with_own).ok());
  CHECK(transport(with_own).ok());
  CHECK(server.Values("traceparent") ==
        std::vector<std::string>{"none", own, parent->traceparent(), own, own});
  CHECK(server.Values("tracestate") ==
        std::vector<std::string>{"none", "mine=1", "foo=1", "mine=1", "mine=1"});
}

TEST_CASE("the hops of redirects are of the trace, in one stack and each in its own") {
  TracedServer server([](int, const std::string& request) -> std::string {
    if (request.starts_with("GET /new ")) return kHello;
    return "HTTP/1.1 302 Found\r\nLocation: /new\r\nContent-Length: 0\r\n\r\n";
  });
  const Transport transport(server.url());
  const auto book = std::make_shared<SpanBook>();
  const Request request = {.method = "GET", .target = "/old"};
  // One attempt.
  CHECK(
      Stack(Retry(Quickly())).Traced("all", book).Around(FollowRedirects(transport))(request).ok());
  REQUIRE(book->attempts().size() == 1);
  CHECK(server.Values("traceparent") ==
        std::vector<std::string>(2, book->attempts()[0].context.traceparent()));
  // A call for each.
  const auto hop = Stack(Retry(Quickly())).Traced("hop", book).Around(transport);
  CHECK(Stack()
            .Traced("all", book)
            .Around(FollowRedirects(hop, {.origin = server.url()}))(request)
            .ok());
  CHECK(WhatIsWrongWith(book->spans()) == test::kNothing);
  const auto contexts = server.Contexts();
  REQUIRE(contexts.size() == 4);
  CHECK(contexts[2]->trace_id() == contexts[3]->trace_id());
  CHECK(contexts[2]->span_id() != contexts[3]->span_id());
  // What a request says itself goes along.
  Request own = request;
  own.headers.Add("traceparent", "00-00000000000000000000000000000001-0000000000000001-01");
  CHECK(FollowRedirects(transport)(own).ok());
  const auto values = server.Values("traceparent");
  REQUIRE(values.size() == 6);
  CHECK(values[4] == "00-00000000000000000000000000000001-0000000000000001-01");
  CHECK(values[5] == values[4]);
}

TEST_CASE("a request that goes a second way is of the same attempt") {
  TracedServer server([](int n, const std::string&) { return n == 1 ? "" : kHello; });
  const Transport transport(server.url());
  const auto book = std::make_shared<SpanBook>();
  const auto fetch = Stack().Traced("orders", book).Around(transport);
  const Request request = {.method = "GET", .target = "/"};
  CHECK(fetch(request).ok());
  CHECK(fetch(request).ok());  // over the kept connection, which is closed, and a new one
  REQUIRE(book->attempts().size() == 2);
  const auto values = server.Values("traceparent");
  REQUIRE(values.size() == 3);
  CHECK(values[1] == book->attempts()[1].context.traceparent());
  CHECK(values[2] == values[1]);
}

TEST_CASE("a server reads what a request is a part of") {
  const std::string parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  Headers headers = {{"TraceState", "foo=1"}, {"TraceParent", parent}, {"tracestate", "bar=2"}};
  const auto context = TraceContextOf(headers);
  REQUIRE(context);
  CHECK(context->traceparent() == parent);
  CHECK(context->tracestate() == "foo=1,bar=2");
  headers.Add("traceparent", parent);
  CHECK_FALSE(TraceContextOf(headers));
  CHECK_FALSE(TraceContextOf({{"tracestate", "foo=1"}}));
  CHECK_FALSE(TraceContextOf({{"traceparent", "1"}}));
}

}  // namespace
}  // namespace holdfast::http::trace_wire_test
