// Requests of our own, and of a type that only a test knows, over a Transport and a StandardClient.
#include "holdfast/http/message.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "holdfast/call/repeatability.h"
#include "holdfast/call/report.h"
#include "holdfast/http/standard_client.h"
#include "holdfast/http/transport.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"
#include "test/http/fault_server.h"
#include "test/support/catch.h"

namespace holdfast::http {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using holdfast::testing::FakeClock;
using test::ContainsSubstring;
using test::FaultServer;
using test::kBusy;
using test::kHello;
using test::Peer;
using test::Recorder;
using Code = absl::StatusCode;

// Keeps what it is sent, and answers with each of these in its turn, then with the last.
class Answers {
 public:
  explicit Answers(std::vector<std::string_view> answers)
      : answers_(std::move(answers)), server_([this](const Peer& peer) {
          for (;;) {
            const std::string message = peer.ReadMessage();
            if (message.empty()) return;
            const std::size_t count = got_.Add(message);
            if (!peer.Write(answers_[std::min(count, answers_.size()) - 1])) return;
          }
        }) {}

  std::string url() const { return "http://" + server_.Host(); }
  std::vector<std::string> got() const { return got_.messages(); }

 private:
  std::vector<std::string_view> answers_;
  Recorder got_;
  FaultServer server_;
};

TEST_CASE("a request is sent as it is, its headers in their order") {
  Answers server({"HTTP/1.1 404 Not Here\r\nB: 1\r\na: 2\r\nB: 3\r\nContent-Length: 2\r\n\r\nno"});
  const Transport transport(server.url());
  const Request request = {
      .method = "PATCH",
      .target = "/a%20b?c",
      .headers = {{"X-Z", "1"}, {"Accept", "text/*"}, {"x-a", "2"}, {"X-Z", "3"}},
      .body = "hello"};
  const absl::StatusOr<Response> response = transport(request);
  REQUIRE(response.ok());
  CHECK(response->status == 404);
  CHECK(response->reason == "Not Here");
  CHECK(response->minor_version == 1);
  CHECK(response->headers == Headers{{"B", "1"}, {"a", "2"}, {"B", "3"}, {"Content-Length", "2"}});
  CHECK(response->body == "no");
  const std::string message = server.got().at(0);
  CHECK(message.starts_with("PATCH /a%20b?c HTTP/1.1\r\n"));
  CHECK_THAT(message, ContainsSubstring("\r\nX-Z: 1\r\nAccept: text/*\r\nx-a: 2\r\nX-Z: 3\r\n"));
  CHECK(message.ends_with("Content-Length: 5\r\n\r\nhello"));
}

TEST_CASE("a request in braces is one of our own") {
  Answers server({kHello});
  const Transport transport(server.url());
  CHECK(transport({.target = "/orders"}).value().body == "hello");
  CHECK(server.got().at(0).starts_with("GET /orders HTTP/1.1\r\n"));
}

// Gives "hello" in two parts, the second after a while.
BodyAnswer Hello(std::uint64_t offset, std::string& bytes, int& asked) {
  ++asked;
  if (asked == 2) return BodyAnswer::Later();
  if (offset < 5) bytes = offset == 0 ? "hel" : "lo";
  return true;
}

TEST_CASE("a sender's body is sent with its length, or in chunks with trailers") {
  Answers server({kHello});
  const Transport transport(server.url());
  int asked = 0;
  Request request = {.method = "PUT", .sender = [&](std::uint64_t offset, std::string& bytes) {
                       return Hello(offset, bytes, asked);
                     }};
  SECTION("a length") {
    request.sender_length = 5;
    REQUIRE(transport(request).ok());
    CHECK(server.got().at(0).ends_with("Content-Length: 5\r\n\r\nhello"));
    CHECK(asked == 3);
  }
  SECTION("chunks") {
    request.trailers = [] { return Headers{{"Digest", "d"}}; };
    FaultServer reader([](const Peer& peer) {
      peer.ReadRequest();
      std::string body;
      char byte = 0;
      while (!body.ends_with("\r\n\r\n") && ::recv(peer.fd(), &byte, 1, 0) > 0) body += byte;
      peer.Write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                 body);
    });
    const Transport other("http://" + reader.Host());
    CHECK(other(request).value().body == "3\r\nhel\r\n2\r\nlo\r\n0\r\nDigest: d\r\n\r\n");
  }
}

TEST_CASE("what comes of a response goes to the request's callbacks") {
  Answers server(
      {"HTTP/1.1 103 Early Hints\r\nLink: l\r\n\r\n"
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: 1\r\n\r\n"
       "3\r\none\r\n3\r\ntwo\r\n0\r\nDigest: d\r\n\r\n"});
  const Transport transport(server.url());
  std::string told;
  const Request request = {
      .receiver =
          [&](std::string_view part) {
            told += "part " + std::string(part) + ";";
            return true;
          },
      .on_head =
          [&](const Response& head) {
            told += "head " + std::string(head.headers.Find("A").value_or("")) + ";";
            return true;
          },
      .on_interim = [&](const Response& head) { told += std::to_string(head.status) + ";"; }};
  const absl::StatusOr<Response> response = transport(request);
  REQUIRE(response.ok());
  CHECK(told == "103;head 1;part one;part two;");
  CHECK(response->body.empty());
  CHECK(response->trailers == Headers{{"Digest", "d"}});
}

TEST_CASE("a body that can start over is sent again, after a failure and on a new connection") {
  int asked = 0;
  Answers server({kBusy, kHello});
  const auto fetch = Stack(Retry({.max_attempts = 2, .backoff = Backoff::Constant(0s)}))
                         .Around(Transport(server.url()));
  Request request = {.method = "PUT", .sender = [&](std::uint64_t offset, std::string& bytes) {
                       ++asked;
                       if (offset < 5) bytes = std::string("hello").substr(offset, 3);
                       return true;
                     }};
  Report report;
  SECTION("with a length") {
    request.sender_length = 5;
    CHECK(fetch.With({.report = &report}, request).value().body == "hello");
    CHECK(report.attempts == 2);
    CHECK(asked == 4);
    CHECK(server.got().at(0) == server.got().at(1));
  }
  SECTION("but not without") {
    CHECK(fetch.With({.report = &report}, request).value().status == 503);
    CHECK(report.ended_by == EndReason::kNotRepeatable);
  }
}

TEST_CASE("a receiver that takes nothing now holds up the server, and is given the same again") {
  constexpr std::size_t kBody = std::size_t{64} << 20;
  std::atomic<std::size_t> sent = 0;
  FaultServer server([&](const Peer& peer) {
    peer.ReadRequest();
    peer.Write(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", kBody, "\r\n\r\n"));
    const std::string part(std::size_t{1} << 16, 'x');
    while (sent < kBody && peer.Write(part)) sent += part.size();
    peer.ReadAll();
  });
  int asked = 0;
  std::size_t got = 0;
  const Request request = {.receiver = [&](std::string_view part) {
    // Meanwhile buffers of the system fill up, but no more than these.
    if (++asked <= 50) return BodyAnswer::Later();
    if (got == 0) CHECK(sent < kBody);
    got += part.size();
    return BodyAnswer(true);
  }};
  const Transport transport("http://" + server.Host());
  CHECK(transport(request).value().body.empty());
  CHECK(got == kBody);
  CHECK(transport.stats().idle == 1);
}

TEST_CASE("a receiver that never takes anything ends at a limit") {
  FaultServer server([](const Peer& peer) {
    peer.ReadRequest();
    peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    peer.ReadAll();
  });
  const Request request = {.receiver = [](std::string_view) { return BodyAnswer::Later(); }};
  SECTION("the read timeout") {
    const absl::Status status =
        Transport("http://" + server.Host(), {.read_timeout = 20ms})(request).status();
    CHECK(status.code() == Code::kCancelled);
    CHECK(TransportErrorOf(status) == TransportError::kPartialResponse);
    CHECK_THAT(std::string(status.message()),
               ContainsSubstring("the request's receiver took no byte within the read timeout"));
  }
  SECTION("the deadline") {
    const auto fetch = Stack(Timeout(20ms)).Around(Transport("http://" + server.Host()));
    CHECK(fetch(request).status().code() == Code::kDeadlineExceeded);
  }
}

TEST_CASE(
    "a sender that never gives anything ends at a limit, and an early answer ends it before") {
  const Request request = {
      .method = "PUT", .sender = [](std::uint64_t, std::string&) { return BodyAnswer::Later(); }};
  SECTION("the write timeout") {
    FaultServer server([](const Peer& peer) { peer.ReadAll(); });
    const Transport transport("http://" + server.Host(), {.write_timeout = 20ms});
    const absl::Status status = transport(request).status();
    CHECK(status.code() == Code::kCancelled);
    CHECK_THAT(std::string(status.message()),
               ContainsSubstring("the request's sender gave no byte within the write timeout"));
  }
  SECTION("the deadline") {
    FaultServer server([](const Peer& peer) { peer.ReadAll(); });
    const auto fetch = Stack(Timeout(20ms)).Around(Transport("http://" + server.Host()));
    CHECK(fetch(request).status().code() == Code::kDeadlineExceeded);
  }
  SECTION("an answer") {
    FaultServer server([](const Peer& peer) {
      peer.ReadRequest();
      peer.Write("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
      peer.ReadAll();
    });
    CHECK(Transport("http://" + server.Host())(request).value().status == 413);
  }
}

TEST_CASE("a request that can't be sent is refused with the origin and the reason") {
  const Transport transport("http://127.0.0.1:1");
  const auto check = [&](const Request& request, const std::string& what) {
    const absl::Status status = transport(request).status();
    CHECK(status.code() == Code::kInvalidArgument);
    CHECK(TransportErrorOf(status) == TransportError::kRequest);
    CHECK_THAT(std::string(status.message()),
               ContainsSubstring("http://127.0.0.1:1: ") && ContainsSubstring(what));
  };
  check({.method = "GET X"}, "method");
  check({.target = "orders"}, "target");
  check({.target = "/a b"}, "percent-encoded");
  check({.headers = {{"A", "1\r\nB: 2"}}}, "\"A\"");
  check({.body = "a", .sender = [](std::uint64_t, std::string&) { return true; }}, "a body and");
}

TEST_CASE("a standard client sends our own requests") {
  Answers server({kBusy, kHello});
  FakeClock clock;
  const StandardClient fetch(server.url(), {.clock = &clock});
  Report report;
  const Request request = {
      .method = "PUT", .headers = {{"X-B", "1"}, {"X-A", "2"}}, .body = "text"};
  CHECK(fetch.With({.report = &report}, request).value().body == "hello");
  CHECK(report.attempts == 2);
  CHECK_THAT(server.got().at(1), ContainsSubstring("X-B: 1\r\nX-A: 2\r\n"));
  CHECK(fetch({.target = "/more"}).value().body == "hello");
  CHECK(server.got().at(2).starts_with("GET /more "));
}

TEST_CASE("a standard client has a short call for each method") {
  std::vector<std::string> seen;
  const StandardClient fetch([&](const Request& request) -> absl::StatusOr<Response> {
    std::string all = request.method + " " + request.target;
    for (const auto& [name, value] : request.headers) all += " " + name + "=" + value;
    seen.push_back(all + " " + request.body);
    return Response{.status = 200};
  });
  const Headers headers = {{"B", "1"}, {"A", "2"}};
  CHECK(fetch.Get("/g").ok());
  CHECK(fetch.Head("/h", headers).ok());
  CHECK(fetch.Delete("/d").ok());
  CHECK(fetch.Options("*").ok());
  CHECK(fetch.Post("/p", "body", "text/plain", headers).ok());
  CHECK(fetch.Put("/u", "", "").ok());
  CHECK(fetch.Patch("/a", "{}", "application/json").ok());
  CHECK(seen == std::vector<std::string>{"GET /g ", "HEAD /h B=1 A=2 ", "DELETE /d ", "OPTIONS * ",
                                         "POST /p B=1 A=2 Content-Type=text/plain body", "PUT /u ",
                                         "PATCH /a Content-Type=application/json {}"});
}

// A program's own types.
struct Question {
  std::string about;
  bool valid = true;
};
struct Reply {
  int code = 0;
  std::string text;
};

}  // namespace

template <>
struct MessageTraits<Question> {
  using Response = Reply;
  static absl::StatusOr<Request> ToRequest(const Question& question) {
    if (!question.valid) return absl::InvalidArgumentError("no question");
    return Request{.method = "GET", .target = "/" + question.about};
  }
  static Reply FromResponse(http::Response&& response) {
    return {.code = response.status, .text = std::move(response.body)};
  }
};

template <>
struct ResponseTraits<Reply> {
  static int StatusOf(const Reply& reply) { return reply.code; }
  static std::string_view ReasonOf(const Reply&) { return ""; }
  static std::string_view RetryAfterOf(const Reply& reply) { return reply.text; }
};

}  // namespace holdfast::http

namespace holdfast {

template <>
struct RequestTraits<http::Question> {
  static Repeatability RepeatabilityOf(const http::Question&) { return {.idempotent = true}; }
};

}  // namespace holdfast

namespace holdfast::http {
namespace {

static_assert(HasMessageTraits<Question>);
static_assert(!HasMessageTraits<Request>);
static_assert(!HasMessageTraits<std::string>);
static_assert(std::is_invocable_r_v<absl::StatusOr<Reply>, const Transport&, const Question&>);
static_assert(!std::is_invocable_v<const Transport&, const Reply&>);

TEST_CASE("a program's own type of request is sent and answered, and policies know it") {
  Answers server({kBusy, kHello});
  FakeClock clock;
  Report report;
  SECTION("by a transport in a stack") {
    const auto fetch = Stack(Retry({.max_attempts = 2, .backoff = Backoff::Constant(1s)}))
                           .Around(Transport(server.url()), &clock);
    const absl::StatusOr<Reply> reply = fetch.With({.report = &report}, Question{.about = "a"});
    CHECK(reply.value().text == "hello");
    CHECK(report.attempts == 2);
  }
  SECTION("by a standard client") {
    const StandardClient fetch(server.url(), {.clock = &clock});
    const absl::StatusOr<Reply> reply = fetch.With({.report = &report}, Question{.about = "a"});
    CHECK(reply.value().text == "hello");
    CHECK(report.attempts == 2);
    CHECK(fetch(Question{.about = "b"}).value().code == 200);
  }
  CHECK(server.got().at(0).starts_with("GET /a HTTP/1.1\r\n"));
}

TEST_CASE("a request that its traits refuse is not sent") {
  const Question wrong = {.about = "", .valid = false};
  const absl::Status refused = absl::InvalidArgumentError("no question");
  CHECK(Transport("http://127.0.0.1:1")(wrong).status() == refused);
  CHECK(StandardClient("http://127.0.0.1:1")(wrong).status() == refused);
}

TEST_CASE("a response of any type with ResponseTraits has the rules of HTTP") {
  using Traits = ResultTraits<absl::StatusOr<Reply>>;
  const absl::StatusOr<Reply> busy = Reply{.code = 429, .text = "7"};
  CHECK(Traits::StatusOf(busy).code() == Code::kResourceExhausted);
  CHECK(Traits::RetryAfter(busy) == Duration(7s));
  CHECK(Traits::StatusOf(Reply{.code = 404, .text = ""}).ok());
  CHECK(Traits::IsConflict(Reply{.code = 409, .text = ""}));
}

}  // namespace
}  // namespace holdfast::http
