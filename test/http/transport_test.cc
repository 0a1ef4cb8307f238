#include "holdfast/http/transport.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "holdfast/http.h"
#include "test/http/fault_server.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"

namespace holdfast::http::transport_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::FaultServer;
using test::kHello;
using test::MakeRequest;
using test::Peer;
using test::TestServer;

void Echo(const httplib::Request& request, httplib::Response& response) {
  response.set_header("Method", request.method);
  response.set_header("Token", request.get_header_value("Token"));
  response.set_content(request.body, "text/plain");
}

void AddEchoes(TestServer& server) {
  server.Get("/echo", Echo);
  server.Post("/echo", Echo);
  server.Put("/echo", Echo);
  server.Patch("/echo", Echo);
  server.Delete("/echo", Echo);
  server.Options("/echo", Echo);
}

TEST_CASE("every method reaches the server, with its headers and body") {
  TestServer server;
  AddEchoes(server);
  server.Start();
  const Transport transport("http://" + server.Host());
  for (const std::string method : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}) {
    CAPTURE(method);
    const bool has_body = method != "GET" && method != "HEAD" && method != "OPTIONS";
    httplib::Request request = MakeRequest(method, "/echo", has_body ? "body" : "");
    request.set_header("Token", "t1");
    const auto response = transport(request);
    REQUIRE(response.ok());
    CHECK(response->status == 200);
    CHECK(response->get_header_value("Method") == method);
    CHECK(response->get_header_value("Token") == "t1");
    CHECK(response->body == (has_body ? "body" : ""));
  }
  CHECK(server.connections() == 1);
}

TEST_CASE("an origin is written as people write it") {
  TestServer server;
  server.Get("/", [](const httplib::Request& request, httplib::Response& response) {
    response.set_content(request.get_header_value("Host"), "text/plain");
  });
  server.Start();
  for (const std::string& url : {"http://" + server.Host(), "HTTP://" + server.Host() + "/"}) {
    const auto response = Transport(url)(MakeRequest("GET", "/"));
    REQUIRE(response.ok());
    CHECK(response->body == server.Host());
  }
  httplib::Request request = MakeRequest("GET", "/");
  request.set_header("Host", "other.example");
  CHECK(Transport("http://" + server.Host())(request)->body == "other.example");
  // Nobody need have an IPv6 address for this.
  const absl::Status status = Transport("http://[fe80::1%lo]:1")(request).status();
  CHECK(status.code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("one connection serves calls one after the other") {
  TestServer server;
  AddEchoes(server);
  server.Start();
  const Transport transport("http://" + server.Host());
  Transport copy("http://elsewhere");
  copy = transport;  // shares the connections
  for (int i = 0; i < 50; ++i) {
    REQUIRE(transport(MakeRequest("GET", "/echo")).ok());
    REQUIRE(copy(MakeRequest("POST", "/echo", "x")).ok());
  }
  CHECK(server.requests() == 100);
  CHECK(server.connections() == 1);
  const TransportStats stats = transport.stats();
  CHECK(stats.opened == 1);
  CHECK(stats.reused == 99);
  CHECK(stats.idle == 1);
  CHECK(stats.in_use == 0);
}

TEST_CASE("threads share one transport") {
  TestServer server;
  AddEchoes(server);
  server.Start();
  const Transport transport("http://" + server.Host());
  std::atomic<int> right{0};
  std::vector<std::jthread> threads;
  threads.reserve(8);
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string body = std::to_string(t) + "." + std::to_string(i);
        const auto response = transport(MakeRequest("POST", "/echo", body));
        if (response.ok() && response->body == body) ++right;
      }
    });
  }
  threads.clear();
  CHECK(right == 400);
  CHECK(server.connections() <= 8);
  const TransportStats stats = transport.stats();
  CHECK(stats.opened + stats.reused == 400);
  CHECK(stats.opened == stats.idle);
  CHECK(stats.in_use == 0);
}

TEST_CASE("no more connections are kept than max_idle, and none for longer than idle_timeout") {
  TestServer server;
  AddEchoes(server);
  server.Start();
  SECTION("none") {
    const Transport transport("http://" + server.Host(), {.max_idle = 0});
    for (int i = 0; i < 3; ++i) REQUIRE(transport(MakeRequest("GET", "/echo")).ok());
    CHECK(transport.stats().idle == 0);
    CHECK(transport.stats().opened == 3);
  }
  SECTION("too old") {
    const Transport transport("http://" + server.Host(), {.idle_timeout = 1ms});
    REQUIRE(transport(MakeRequest("GET", "/echo")).ok());
    std::this_thread::sleep_for(5ms);  // the pool looks at the real clock
    REQUIRE(transport(MakeRequest("GET", "/echo")).ok());
    CHECK(transport.stats().opened == 2);  // the second may be closed by now, too
  }
}

TEST_CASE("an idle connection that the server closed is replaced without notice") {
  FaultServer server([](const Peer& peer) {
    if (peer.ReadRequest()) peer.Write(kHello);
  });
  const Transport transport("http://" + server.Host());
  for (int i = 1; i <= 5; ++i) {
    const auto response = transport(MakeRequest("POST", "/", "x"));
    REQUIRE(response.ok());
    CHECK(response->body == "hello");
    server.WaitForClosed(i);
  }
  CHECK(transport.stats().opened == 5);
}

// Answers the first request on each connection, and takes another without an answer.
FaultServer::Script OnceOnly(test::Recorder& got) {
  return [&got](const Peer& peer) {
    got.Add(peer.ReadMessage());
    if (peer.Write(kHello)) got.Add(peer.ReadMessage());
  };
}

TEST_CASE("a connection that is closed as the request arrives is replaced where that is safe") {
  test::Recorder got;
  FaultServer server(OnceOnly(got));
  const Transport transport("http://" + server.Host());
  REQUIRE(transport(MakeRequest("GET", "/")).ok());
  httplib::Request request = MakeRequest("PUT", "/", "x");
  SECTION("for an idempotent method") {}
  SECTION("for a request that the server knows again") {
    request.method = "POST";
    request.set_header("Idempotency-Key", "\"7\"");
  }
  CHECK(transport(request).value().body == "hello");
  CHECK(got.messages().size() == 3);
  CHECK(got.messages().at(1) == got.messages().at(2));
  CHECK(transport.stats().opened == 2);
  CHECK(transport.stats().reused == 1);
}

TEST_CASE(
    "a connection that is closed as the request arrives is an error where it may have acted") {
  test::Recorder got;
  FaultServer server(OnceOnly(got));
  const Transport transport("http://" + server.Host());
  REQUIRE(transport(MakeRequest("GET", "/")).ok());
  httplib::Request request = MakeRequest("POST", "/", "x");
  SECTION("for a POST") {}
  SECTION("for a body that can't start over") {
    request = MakeRequest("PUT", "/");
    request.is_chunked_content_provider_ = true;
    request.content_provider_ = [](std::size_t, std::size_t, httplib::DataSink& sink) {
      sink.done();
      return true;
    };
  }
  CHECK(transport(request).status().code() == absl::StatusCode::kUnavailable);
  CHECK(transport.stats().idle == 0);
  CHECK(got.messages().size() == 2);
  CHECK(transport(MakeRequest("GET", "/")).ok());
  CHECK(server.accepted() == 2);
}

TEST_CASE("a connection that breaks twice is an error: only one that was idle is replaced") {
  FaultServer server([](const Peer& peer) {
    if (!peer.ReadRequest() || peer.number() > 1) return;
    peer.Write(kHello);
    peer.ReadRequest();
  });
  const Transport transport("http://" + server.Host());
  REQUIRE(transport(MakeRequest("GET", "/")).ok());
  CHECK(transport(MakeRequest("GET", "/")).status().code() == absl::StatusCode::kUnavailable);
  CHECK(server.accepted() == 2);
}

TEST_CASE("an answer that was begun is not asked for again") {
  FaultServer server([](const Peer& peer) {
    if (!peer.ReadRequest() || !peer.Write(kHello) || !peer.ReadRequest()) return;
    peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
  });
  const Transport transport("http://" + server.Host());
  REQUIRE(transport(MakeRequest("GET", "/")).ok());
  CHECK(TransportErrorOf(transport(MakeRequest("GET", "/")).status()) ==
        TransportError::kOutcomeUnknown);
  CHECK(server.accepted() == 1);
}

TEST_CASE("silence is no reason to ask again") {
  FaultServer server([](const Peer& peer) {
    if (peer.ReadRequest() && peer.Write(kHello) && peer.ReadRequest()) peer.Stall();
  });
  const Transport transport("http://" + server.Host(), {.read_timeout = 50ms});
  REQUIRE(transport(MakeRequest("GET", "/")).ok());
  CHECK(TransportErrorOf(transport(MakeRequest("GET", "/")).status()) ==
        TransportError::kOutcomeUnknown);
  CHECK(server.accepted() == 1);
}

TEST_CASE("what a server sends beyond its answer is never taken for the next answer") {
  FaultServer server([](const Peer& peer) {
    if (!peer.ReadRequest()) return;
    // More than cpp-httplib reads ahead, and then drops.
    peer.Write(std::string(kHello) + std::string(20'000, ' ') +
               "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    peer.ReadAll();
  });
  const Transport transport("http://" + server.Host());
  for (int i = 0; i < 3; ++i) {
    const auto response = transport(MakeRequest("GET", "/"));
    REQUIRE(response.ok());
    CHECK(response->body == "hello");
  }
  CHECK(server.accepted() == 3);
}

TEST_CASE("a connection that its answer ends is not kept") {
  const std::string end = GENERATE(as<std::string>(),
                                   "HTTP/1.1 200 OK\r\nConnection: close\r\n"
                                   "Content-Length: 2\r\n\r\nhi",
                                   "HTTP/1.1 200 OK\r\n\r\nhi");
  FaultServer server([&](const Peer& peer) {
    if (peer.ReadRequest()) peer.Write(end);
  });
  const Transport transport("http://" + server.Host());
  const auto response = transport(MakeRequest("GET", "/"));
  REQUIRE(response.ok());
  CHECK(response->body == "hi");
  CHECK(transport.stats().idle == 0);
}

TEST_CASE("what a callback of the request throws passes through") {
  TestServer server;
  AddEchoes(server);
  server.Start();
  const Transport transport("http://" + server.Host());
  httplib::Request request = MakeRequest("POST", "/echo", "x");
  request.content_receiver = [](const char*, std::size_t, std::uint64_t, std::uint64_t) -> bool {
    throw std::runtime_error("no");
  };
  CHECK_THROWS_AS(transport(request), std::runtime_error);
  CHECK(transport.stats().in_use == 0);
  CHECK(transport.stats().idle == 0);
  CHECK(transport(MakeRequest("POST", "/echo", "x")).ok());
}

TEST_CASE("a path is sent as it is") {
  TestServer server;
  std::string target;
  server.Get("/s",
             [&](const httplib::Request& request, httplib::Response&) { target = request.target; });
  server.Start();
  const Transport transport("http://" + server.Host());
  REQUIRE(transport(MakeRequest("GET", "/s?q=a+b&t=it's,x;y%20z")).ok());
  CHECK(target == "/s?q=a+b&t=it's,x;y%20z");
}

TEST_CASE("each attempt sends the same request") {
  TestServer server;
  std::vector<std::string> bodies;  // by one handler at a time
  std::size_t headers = 0;
  bool same_headers = true;
  server.Post("/", [&](const httplib::Request& request, httplib::Response& response) {
    bodies.push_back(request.body);
    if (headers == 0) headers = request.headers.size();
    same_headers = same_headers && headers == request.headers.size();
    response.status = bodies.size() < 3 ? 503 : 200;
  });
  server.Start();
  const auto fetch = Stack(Retry({.max_attempts = 4, .backoff = Backoff::Constant(1ms)}))
                         .Around(Transport("http://" + server.Host()));
  httplib::Request request = MakeRequest("POST", "/");
  SECTION("a body") { request.body = "payload"; }
  SECTION("a content provider") {
    request.content_length_ = 7;
    request.set_header("Content-Length", "7");
    request.content_provider_ = [](std::size_t offset, std::size_t length,
                                   httplib::DataSink& sink) {
      return sink.write(std::string("payload").data() + offset, length);
    };
  }
  const auto response = fetch(request);
  REQUIRE(response.ok());
  CHECK(response->status == 200);
  CHECK(bodies == std::vector<std::string>(3, "payload"));
  CHECK(same_headers);
}

TEST_CASE("a full stack over a server that fails twice") {
  TestServer server;
  std::atomic<int> count{0};
  server.Get("/", [&](const httplib::Request&, httplib::Response& response) {
    response.status = ++count <= 2 ? 503 : 200;
  });
  server.Start();
  const auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{.name = "b"});
  const auto fetch =
      Stack(Timeout(10s), Retry({.max_attempts = 4, .backoff = Backoff::Constant(1ms)}),
            CircuitBreak(breaker), Timeout(5s))
          .Around(Transport("http://" + server.Host()));
  Report report;
  const auto response = fetch.With({.report = &report}, MakeRequest("GET", "/"));
  REQUIRE(response.ok());
  CHECK(response->status == 200);
  CHECK(report.attempts == 3);
  CHECK(report.history[0].outcome.code() == absl::StatusCode::kUnavailable);
  CHECK(report.history[0].outcome.message() == "HTTP 503 Service Unavailable");
  CHECK(breaker->counts().failures == 2);
  CHECK(breaker->counts().successes == 1);
}

TEST_CASE("the last answer comes back when the retries are over, body and all") {
  TestServer server;
  server.Get("/", [](const httplib::Request&, httplib::Response& response) {
    response.status = 503;
    response.set_content("sorry", "text/plain");
  });
  server.Start();
  const auto fetch = Stack(Retry({.max_attempts = 2, .backoff = Backoff::Constant(1ms)}))
                         .Around(Transport("http://" + server.Host()));
  const auto response = fetch(MakeRequest("GET", "/"));
  REQUIRE(response.ok());
  CHECK(response->status == 503);
  CHECK(response->body == "sorry");
}

TEST_CASE("a lambda around somebody's client is wrapped as it is") {
  TestServer server;
  std::atomic<int> count{0};
  server.Get("/", [&](const httplib::Request&, httplib::Response& response) {
    response.status = ++count <= 2 ? 500 : 200;
  });
  server.Start();
  httplib::Client client("127.0.0.1", server.port());
  const auto get = [&](const std::string& path) { return client.Get(path); };
  SECTION("retried") {
    const auto fetch =
        Stack(Retry({.max_attempts = 3, .backoff = Backoff::Constant(1ms)})).Around(get);
    const httplib::Result result = fetch("/");
    REQUIRE(result);
    CHECK(result->status == 200);
  }
  SECTION("refused by a breaker") {
    const auto fetch =
        Stack(CircuitBreak({.name = "b", .ready_to_trip = [](const auto&) { return true; }}))
            .Around(get);
    CHECK(fetch("/")->status == 500);
    const httplib::Result refused = fetch("/");
    CHECK(!refused);
    const absl::Status status = ResultTraits<httplib::Result>::StatusOf(refused);
    REQUIRE(RejectionOf(status).has_value());
    CHECK(RejectionOf(status)->kind == RejectionKind::kCircuitOpen);
    CHECK(server.requests() == 1);
  }
}

TEST_CASE("bad options throw the text of Validate") {
  CHECK_THROWS_WITH(Transport("http://h", {.max_idle = -1}), "Transport: max_idle must be >= 0");
  CHECK_THROWS_AS(Transport("http://h", {.idle_timeout = 0s}), std::invalid_argument);
  CHECK_THROWS_AS(Transport("http://h", {.connect_timeout = -1s}), std::invalid_argument);
  CHECK_THROWS_AS(Transport("http://h", {.read_timeout = 0s}), std::invalid_argument);
  CHECK_THROWS_AS(Transport("http://h", {.write_timeout = 0s}), std::invalid_argument);
  CHECK_THROWS_AS(Transport("http://h", {.max_connections = 0}), std::invalid_argument);
  CHECK_THROWS_AS(Transport("http://h", {.total_timeout = 0s}), std::invalid_argument);
  CHECK_THROWS_AS(Transport("http://h", {.client_cert_file = "c.pem"}), std::invalid_argument);
  CHECK_THROWS_AS(Transport("http://h", {.attempt_header = "X Attempt"}), std::invalid_argument);
  CHECK_THROWS_AS(Transport("http://h", {.attempt_header = "X:\r\n"}), std::invalid_argument);
  CHECK(Validate(TransportOptions{.read_timeout = Duration::max()}).ok());
}

}  // namespace
}  // namespace holdfast::http::transport_test
