// What the server sees of a request that is retried.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "holdfast/http.h"
#include "holdfast/testing/fake_clock.h"
#include "test/http/certificate.h"
#include "test/http/fault_server.h"
#include "test/http/test_server.h"
#include "test/http/tls_server.h"
#include "test/support/catch.h"

namespace holdfast::http::retry_wire_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::BlackHole;
using test::ContainsSubstring;
using test::FaultServer;
using test::kBusy;
using test::kHello;
using test::Listener;
using test::MakeRequest;
using test::Peer;
using test::Recorder;
using test::TestServer;

RetryOptions AtOnce(int max_attempts = 3) {
  return {.max_attempts = max_attempts,
          .backoff = Backoff::Constant(0s),
          .budget = RetryBudget::Unlimited()};
}

std::string FreeHost() { return Listener(1).Host(); }

// Answers with 503 until the request number `good`, all on one connection.
FaultServer::Script BusyUntil(Recorder& recorder, std::size_t good) {
  return [&recorder, good](const Peer& peer) {
    for (;;) {
      std::string message = peer.ReadMessage();
      if (message.empty()) return;
      peer.Write(recorder.Add(std::move(message)) < good ? kBusy : kHello);
    }
  };
}

TEST_CASE("a POST that was refused a connection is sent when there is a server") {
  const std::string host = FreeHost();
  TestServer server;
  server.Post("/", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("done", "text/plain");
  });
  RetryOptions options = AtOnce();
  options.on_retry = [&](const Call&, const RetryEvent& event) {
    CHECK(TransportErrorOf(event.outcome) == TransportError::kConnect);
    if (event.attempt == 2) server.Start(std::stoi(host.substr(host.find(':') + 1)));
  };
  Report report;
  const auto fetch = Stack(Retry(options)).Around(Transport("http://" + host));
  const auto response = fetch.With({.report = &report}, MakeRequest("POST", "/", "x"));
  REQUIRE(response.ok());
  CHECK(response->body == "done");
  CHECK(report.attempts == 3);
  CHECK(server.requests() == 1);
}

TEST_CASE("a request whose answer was lost is sent again only if that does no harm") {
  const auto [method, key, sent] = GENERATE(table<std::string, bool, std::size_t>({
      {"POST", false, 1},
      {"POST", true, 2},
      {"PATCH", false, 1},
      {"GET", false, 2},
      {"PUT", false, 2},
      {"DELETE", false, 2},
  }));
  CAPTURE(method, key);
  const bool partly = GENERATE(false, true);  // an answer that breaks off
  Recorder recorder;
  FaultServer server([&](const Peer& peer) {
    std::string message = peer.ReadMessage();
    if (message.empty()) return;
    recorder.Add(std::move(message));
    if (partly) peer.Write(kHello.substr(0, kHello.size() - 2));
  });
  const auto fetch = Stack(Retry(AtOnce(2))).Around(Transport("http://" + server.Host()));
  httplib::Request request = MakeRequest(method, "/", method == "GET" ? "" : "x");
  if (key) request.set_header("Idempotency-Key", "\"k\"");
  const absl::Status status = fetch(request).status();
  CHECK(TransportErrorOf(status) == TransportError::kOutcomeUnknown);
  CHECK(recorder.messages().size() == sent);
}

TEST_CASE("RetryAnyMethod sends a POST again whose answer was lost") {
  Recorder recorder;
  FaultServer server([&](const Peer& peer) { recorder.Add(peer.ReadMessage()); });
  const auto fetch =
      Stack(Retry(AtOnce(), RetryAnyMethod{})).Around(Transport("http://" + server.Host()));
  CHECK_FALSE(fetch(MakeRequest("POST", "/", "x")).ok());
  CHECK(recorder.messages().size() == 3);
}

struct Cut {
  int attempts;
  std::optional<TransportError> kind;
  EndReason ended_by;
};

// A request whose attempts are cut off after 40 ms each.
Cut CutOff(const std::string& url, const std::string& method) {
  const auto fetch = Stack(Retry(AtOnce(2)), Timeout(40ms)).Around(Transport(url));
  Report report;
  const absl::Status status = fetch.With({.report = &report}, MakeRequest(method, "/")).status();
  CHECK(status.code() == absl::StatusCode::kDeadlineExceeded);
  return {report.attempts, TransportErrorOf(status), report.ended_by};
}

TEST_CASE("an attempt that is cut off before it sent anything is retried for every method") {
  const BlackHole hole;
  const Cut connecting = CutOff("http://" + hole.Host(), "POST");
  CHECK(connecting.attempts == 2);
  CHECK(connecting.kind == TransportError::kConnect);
  FaultServer silent([](const Peer& peer) { peer.ReadAll(); });
  const Cut shaking_hands = CutOff("https://" + silent.Host(), "POST");
  CHECK(shaking_hands.attempts == 2);
  CHECK(shaking_hands.kind == TransportError::kTls);
}

TEST_CASE("one that is cut off later only for an idempotent one") {
  FaultServer silent([](const Peer& peer) { peer.ReadAll(); });
  const Cut post = CutOff("http://" + silent.Host(), "POST");
  CHECK(post.attempts == 1);
  CHECK(post.kind == TransportError::kOutcomeUnknown);
  CHECK(post.ended_by == EndReason::kNotRetryable);
  CHECK(CutOff("http://" + silent.Host(), "GET").attempts == 2);
}

TEST_CASE("a call that is too late, or stopped, before it began has sent nothing") {
  const Transport transport("http://" + FreeHost());
  const auto late = [&](const httplib::Request& request, Call& call) {
    call.set_deadline(call.now());
    return transport(request, call);
  };
  const absl::Status status =
      Stack(Retry(AtOnce(1))).Around(late)(MakeRequest("POST", "/")).status();
  CHECK(status.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(TransportErrorOf(status) == TransportError::kConnect);
}

TEST_CASE("what trying again can't help fails at once") {
  Report report;
  const auto fails_at_once = [&](const Transport& transport, httplib::Request request,
                                 TransportError kind) {
    const auto fetch = Stack(Retry(AtOnce())).Around(transport);
    const absl::Status status = fetch.With({.report = &report}, request).status();
    CHECK(TransportErrorOf(status) == kind);
    CHECK(report.attempts == 1);
    CHECK(report.ended_by == EndReason::kNotRetryable);
  };
  const test::Certificate certificate("IP:127.0.0.1");
  test::TlsServer server(certificate);
  server.Start();
  fails_at_once(Transport("https://" + server.Host()), MakeRequest("GET", "/"),
                TransportError::kCertificate);
  CHECK(server.requests() == 0);
  fails_at_once(Transport("ftp://host"), MakeRequest("GET", "/"), TransportError::kRequest);
  fails_at_once(Transport("http://host"), MakeRequest("GET", "no/path"), TransportError::kRequest);
}

TEST_CASE("a handshake that fails is retried for every method") {
  TestServer server;
  server.Start();
  Report report;
  const auto fetch = Stack(Retry(AtOnce())).Around(Transport("https://" + server.Host()));
  const absl::Status status = fetch.With({.report = &report}, MakeRequest("POST", "/")).status();
  CHECK(TransportErrorOf(status) == TransportError::kTls);
  CHECK(report.attempts == 3);
}

TEST_CASE("a request is sent again byte for byte, over the connection of the failed attempt") {
  httplib::Request request = MakeRequest("POST", "/a?b=c%20d");
  request.headers = {{"Token", "t1"}, {"token", "t2"}, {"X-Empty", ""}};
  std::string body;
  SECTION("a string") {
    body = request.body = std::string("pay\0load\r\n\r\n", 12) + std::string(100'000, 'x');
  }
  SECTION("a form") {
    const std::vector<FormItem> items = {{"file", "\xff\r\n", "a.bin", "x/y"}};
    REQUIRE(SetMultipart(request, items).ok());
    body = request.body;
  }
  SECTION("a content provider with a length") {
    body = std::string(50'000, 'p') + "end";
    request.content_length_ = body.size();
    request.set_header("Content-Length", std::to_string(body.size()));
    request.content_provider_ = [&](std::size_t offset, std::size_t length,
                                    httplib::DataSink& sink) {
      return sink.write(body.data() + offset, std::min<std::size_t>(length, 1000));
    };
  }
  SECTION("no body") { request.method = "GET"; }
  Recorder recorder;
  FaultServer server(BusyUntil(recorder, 3));
  const Transport transport("http://" + server.Host());
  const auto response = Stack(Retry(AtOnce())).Around(transport)(request);
  REQUIRE(response.ok());
  CHECK(response->body == "hello");
  const std::vector<std::string> messages = recorder.messages();
  REQUIRE(messages.size() == 3);
  CHECK(messages[0].ends_with("\r\n\r\n" + body));
  CHECK(messages[1] == messages[0]);
  CHECK(messages[2] == messages[0]);
  CHECK(transport.stats().opened == 1);
  CHECK(transport.stats().reused == 2);
  CHECK(server.accepted() == 1);
}

TEST_CASE("a failure with a chunked body leaves its connection as good as one with a length") {
  TestServer server;
  server.Get("/", [](const httplib::Request&, httplib::Response& response) {
    response.status = 503;
    response.set_chunked_content_provider("text/plain", [](std::size_t, httplib::DataSink& sink) {
      sink.write("busy", 4);
      sink.done();
      return true;
    });
  });
  server.Start();
  const Transport transport("http://" + server.Host());
  const auto response = Stack(Retry(AtOnce())).Around(transport)(MakeRequest("GET", "/"));
  REQUIRE(response.ok());
  CHECK(response->body == "busy");
  CHECK(server.requests() == 3);
  CHECK(transport.stats().opened == 1);
  CHECK(server.connections() == 1);
}

// A body that is read from a stream, of no known length.
httplib::Request FromStream(std::istringstream& stream) {
  httplib::Request request = MakeRequest("PUT", "/");
  request.set_header("Transfer-Encoding", "chunked");
  request.is_chunked_content_provider_ = true;
  request.content_provider_ = [&stream](std::size_t, std::size_t, httplib::DataSink& sink) {
    char buffer[4];
    stream.read(buffer, sizeof buffer);
    if (stream.gcount() == 0) {
      sink.done();
      return true;
    }
    return sink.write(buffer, static_cast<std::size_t>(stream.gcount()));
  };
  return request;
}

TEST_CASE("a stream is sent once, and the report says why") {
  std::istringstream stream("from a stream");
  const httplib::Request request = FromStream(stream);
  Report report;
  SECTION("which the server got") {
    Recorder recorder;
    FaultServer server(BusyUntil(recorder, 9));
    const auto fetch = Stack(Retry(AtOnce())).Around(Transport("http://" + server.Host()));
    const auto response = fetch.With({.report = &report}, request);
    REQUIRE(response.ok());
    CHECK(response->status == 503);
    CHECK(response->body == "busy");
    CHECK(report.attempts == 1);
    CHECK(report.ended_by == EndReason::kNotRepeatable);
    REQUIRE(recorder.messages().size() == 1);
    CHECK_THAT(recorder.messages()[0], ContainsSubstring("\r\n\r\n4\r\nfrom\r\n"));
  }
  SECTION("unless nobody took anything from it") {
    const auto fetch = Stack(Retry(AtOnce())).Around(Transport("http://" + FreeHost()));
    CHECK_FALSE(fetch.With({.report = &report}, request).ok());
    CHECK(report.attempts == 3);
    CHECK(report.ended_by == EndReason::kAttempts);
    CHECK(stream.tellg() == 0);
  }
}

TEST_CASE("a receiver is given the body of the answer, and of no failure before it") {
  Recorder recorder;
  FaultServer server(BusyUntil(recorder, 2));
  const auto fetch = Stack(Retry(AtOnce())).Around(Transport("http://" + server.Host()));
  httplib::Request request = MakeRequest("GET", "/");
  std::string received;
  std::vector<int> seen;
  request.response_handler = [&](const httplib::Response& response) {
    seen.push_back(response.status);
    return true;
  };
  request.content_receiver = [&](const char* data, std::size_t size, std::uint64_t offset,
                                 std::uint64_t) {
    received.append(offset == 0 ? "|" : "").append(data, size);
    return true;
  };
  SECTION("which comes in the end") {
    CHECK(fetch(request).value().body.empty());
    CHECK(received == "|hello");
    CHECK(seen == std::vector{503, 200});
  }
  SECTION("and the last failure is a response like any other") {
    const auto once =
        Stack(Retry({.max_attempts = 1})).Around(Transport("http://" + server.Host()));
    CHECK(once(request).value().body == "busy");
    CHECK(received.empty());
  }
}

TEST_CASE("an answer that a receiver has got a part of is not asked for again") {
  FaultServer server([](const Peer& peer) {
    if (peer.ReadRequest()) peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
  });
  httplib::Request request = MakeRequest("GET", "/");
  std::string received;
  request.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
    received.append(data, size);
    return true;
  };
  Report report;
  const auto fetch = Stack(Retry(AtOnce())).Around(Transport("http://" + server.Host()));
  const absl::Status status = fetch.With({.report = &report}, request).status();
  CHECK(TransportErrorOf(status) == TransportError::kPartialResponse);
  CHECK(report.ended_by == EndReason::kNotRepeatable);
  CHECK(report.attempts == 1);
  CHECK(received == "he");
}

TEST_CASE("an answer that ends with its connection and was cut off is cut short as well") {
  FaultServer server([](const Peer& peer) {
    if (peer.ReadRequest() && peer.Write("HTTP/1.1 200 OK\r\n\r\npart")) peer.Stall();
  });
  httplib::Request request = MakeRequest("GET", "/");
  std::string received;
  request.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
    received.append(data, size);
    return true;
  };
  Report report;
  const auto fetch =
      Stack(Retry(AtOnce()), Timeout(100ms)).Around(Transport("http://" + server.Host()));
  const absl::Status status = fetch.With({.report = &report}, request).status();
  CHECK(TransportErrorOf(status) == TransportError::kPartialResponse);
  CHECK(report.ended_by == EndReason::kNotRepeatable);
  CHECK(received == "part");
}

TEST_CASE("a header tells the server which attempt it sees") {
  TestServer server;
  std::vector<std::string> numbers;  // by one handler at a time
  server.Post("/", [&](const httplib::Request& request, httplib::Response& response) {
    std::string number;
    for (std::size_t i = 0; i < request.get_header_value_count("X-Attempt"); ++i) {
      number += request.get_header_value("X-Attempt", i);
    }
    numbers.push_back(number);
    response.status = numbers.size() < 3 ? 503 : 200;
  });
  server.Start();
  httplib::Request request = MakeRequest("POST", "/", "x");
  SECTION("by the number of the attempt, in place of what the request says") {
    const Transport transport("http://" + server.Host(), {.attempt_header = "X-Attempt"});
    if (GENERATE(false, true)) request.headers = {{"x-attempt", "7"}, {"X-Attempt", "8"}};
    REQUIRE(Stack(Retry(AtOnce())).Around(transport)(request).ok());
    REQUIRE(transport(request).ok());  // without a stack
    CHECK(numbers == std::vector<std::string>{"1", "2", "3", "1"});
  }
  SECTION("only where it is asked for") {
    const Transport transport("http://" + server.Host());
    REQUIRE(Stack(Retry(AtOnce())).Around(transport)(request).ok());
    CHECK(numbers == std::vector<std::string>(3, ""));
  }
}

TEST_CASE("a Retry-After from the wire is waited for") {
  TestServer server;
  int count = 0;  // by one handler at a time
  server.Get("/", [&](const httplib::Request&, httplib::Response& response) {
    if (++count > 1) return;
    response.status = 429;
    response.set_header("Retry-After", "120");
  });
  server.Start();
  testing::FakeClock clock;
  Report report;
  const auto fetch = Stack(Retry(AtOnce())).Around(Transport("http://" + server.Host()), &clock);
  CHECK(fetch.With({.report = &report}, MakeRequest("GET", "/"))->status == 200);
  CHECK(report.attempts == 2);
  CHECK(report.waited == 120s);
}

}  // namespace
}  // namespace holdfast::http::retry_wire_test
