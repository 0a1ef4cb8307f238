// A request of cpp-httplib as our own, and how its content provider is asked.
#include <absl/status/status.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "holdfast/http/httplib.h"
#include "holdfast/http/standard_client.h"
#include "holdfast/http/transport.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"
#include "test/http/fault_server.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"

namespace holdfast::http::httplib_message_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using holdfast::testing::FakeClock;
using test::ContainsSubstring;
using test::FaultServer;
using test::kHello;
using test::MakeRequest;
using test::Peer;
using Code = absl::StatusCode;
using Traits = MessageTraits<httplib::Request>;

httplib::Request WithProvider(httplib::ContentProvider provider, bool chunked, std::size_t length) {
  httplib::Request request = MakeRequest("PUT", "/");
  request.content_provider_ = std::move(provider);
  request.is_chunked_content_provider_ = chunked;
  request.content_length_ = length;
  return request;
}

TEST_CASE("a request of cpp-httplib is the same request") {
  httplib::Request from = MakeRequest("PUT", "/a?b", "hello");
  from.set_header("X-A", "1");
  const Request to = Traits::ToRequest(from).value();
  CHECK(to.method == "PUT");
  CHECK(to.target == "/a?b");
  CHECK(to.headers == Headers{{"X-A", "1"}});
  CHECK(to.body == "hello");
  CHECK_FALSE(to.sender);
  CHECK_FALSE(to.receiver);
  CHECK_FALSE(to.on_head);
  CHECK_FALSE(to.on_download);
}

TEST_CASE("a long body is not copied, and can start over") {
  const httplib::Request from = MakeRequest("PUT", "/", std::string(200'000, 'x'));
  const Request to = Traits::ToRequest(from).value();
  CHECK(to.body.empty());
  CHECK(to.sender_length == 200'000);
  for (int i = 0; i < 2; ++i) {
    std::string body;
    std::string part;
    do {
      part.clear();
      CHECK_FALSE(to.sender(body.size(), part).cancels());
      body += part;
    } while (!part.empty());
    CHECK((body == from.body));
  }
}

TEST_CASE("a response is one of cpp-httplib") {
  const httplib::Response to = Traits::FromResponse(
      {.status = 404, .reason = "No", .minor_version = 0, .headers = {{"A", "1"}}, .body = "b"});
  CHECK(to.version == "HTTP/1.0");
  CHECK(to.status == 404);
  CHECK(to.reason == "No");
  CHECK(to.get_header_value("A") == "1");
  CHECK(to.body == "b");
}

TEST_CASE("the same request can be sent twice, its receiver told of the place in each answer") {
  httplib::Request from = MakeRequest("GET", "/");
  std::string told;
  from.content_receiver = [&](const char* data, std::size_t size, std::uint64_t offset,
                              std::uint64_t total) {
    told +=
        std::string(data, size) + "@" + std::to_string(offset) + "/" + std::to_string(total) + ";";
    return true;
  };
  const Request to = Traits::ToRequest(from).value();
  for (int i = 0; i < 2; ++i) {
    CHECK(to.on_head({.status = 200, .headers = {{"Content-Length", "4"}}}));
    CHECK_FALSE(to.receiver("ab").cancels());
    CHECK_FALSE(to.receiver("cd").cancels());
  }
  CHECK(told == "ab@0/4;cd@2/4;ab@0/4;cd@2/4;");
}

// The defect: it was asked 1,000 times in a row, in which nothing else was looked at, and then the
// request was cancelled.
TEST_CASE(
    "a provider that writes nothing is asked once at a time, and for as long as there is time") {
  const bool chunked = GENERATE(false, true);
  int asked = 0;
  const httplib::Request request = WithProvider(
      [&](std::size_t, std::size_t, httplib::DataSink&) {
        ++asked;
        return true;
      },
      chunked, 5);
  SECTION("once at a time") {
    const Request own = Traits::ToRequest(request).value();
    std::string bytes;
    CHECK(own.sender(0, bytes).later());
    CHECK(asked == 1);
  }
  SECTION("until the deadline") {
    FaultServer server([](const Peer& peer) { peer.ReadAll(); });
    const auto fetch = Stack(Timeout(20ms)).Around(Transport("http://" + server.Host()));
    CHECK(fetch(request).status().code() == Code::kDeadlineExceeded);
  }
  SECTION("until an answer") {
    FaultServer server([](const Peer& peer) {
      peer.ReadRequest();
      peer.Write("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
      peer.ReadAll();
    });
    CHECK(Transport("http://" + server.Host())(request).value().status == 413);
  }
}

TEST_CASE("a provider that writes now and then sends all of it") {
  int asked = 0;
  const std::string body = "hello";
  const httplib::Request request = WithProvider(
      [&](std::size_t offset, std::size_t, httplib::DataSink& sink) {
        return ++asked % 3 != 0 || sink.write(&body[offset], 1);
      },
      false, body.size());
  test::Recorder got;
  FaultServer server([&](const Peer& peer) {
    got.Add(peer.ReadMessage());
    peer.Write(kHello);
  });
  REQUIRE(Transport("http://" + server.Host())(request).ok());
  CHECK(got.messages().at(0).ends_with("\r\n\r\nhello"));
  CHECK(asked == 15);
}

// The defect: a sink took all that a call of a provider wrote, without a bound.
TEST_CASE("a sink that is full says so, and takes no more beyond a bound") {
  constexpr std::size_t kPart = std::size_t{64} << 10;
  const std::string part(kPart, 'x');
  std::string bytes;
  SECTION("a provider that asks stops in time") {
    const httplib::Request request = WithProvider(
        [&](std::size_t, std::size_t, httplib::DataSink& sink) {
          while (sink.is_writable()) sink.write(part.data(), part.size());
          return true;
        },
        true, 0);
    const Request own = Traits::ToRequest(request).value();
    CHECK_FALSE(own.sender(0, bytes).cancels());
    CHECK(bytes.size() == std::size_t{1} << 20);
  }
  SECTION("one that does not ask is refused, and the request cancelled whatever it returns") {
    const bool returns = GENERATE(false, true);
    const httplib::Request request = WithProvider(
        [&](std::size_t, std::size_t, httplib::DataSink& sink) {
          while (sink.write(part.data(), part.size())) {
          }
          return returns;
        },
        true, 0);
    const Request own = Traits::ToRequest(request).value();
    CHECK(own.sender(0, bytes).cancels());
    CHECK(bytes.size() == std::size_t{64} << 20);
    CHECK_FALSE(own.sender(0, bytes).later());
  }
  SECTION("a single write may have any size, since its bytes are there already") {
    const std::string large((std::size_t{64} << 20) + 1, 'x');
    const httplib::Request request = WithProvider(
        [&](std::size_t, std::size_t, httplib::DataSink& sink) {
          return sink.write(large.data(), large.size());
        },
        false, large.size());
    CHECK_FALSE(Traits::ToRequest(request).value().sender(0, bytes).cancels());
    CHECK(bytes.size() == large.size());
  }
}

TEST_CASE("a standard client sends requests of cpp-httplib, and its check gets our own") {
  FakeClock clock;
  std::string seen;
  const StandardClient fetch(
      [&](const Request& request) -> absl::StatusOr<Response> {
        seen += request.method + " " + request.target + " " + request.body + ";";
        return Response{.status = 503, .body = "busy"};
      },
      {.retry_check =
           [&](const Call& call, const absl::StatusOr<Response>& response) {
             const auto* const request = call.request<Request>();
             return request != nullptr && response->status == 503 && call.attempt() < 2;
           },
       .clock = &clock});
  const absl::StatusOr<httplib::Response> response = fetch(MakeRequest("PUT", "/a", "b"));
  CHECK(response.value().body == "busy");
  CHECK(seen == "PUT /a b;PUT /a b;");
  CHECK(fetch.With({}, MakeRequest("GET", "/")).value().status == 503);
}

TEST_CASE("a request with a form or params is refused before anything is sent") {
  httplib::Request request = MakeRequest("GET", "/");
  request.params.emplace("q", "lost");
  const StandardClient fetch([](const Request&) -> absl::StatusOr<Response> { return Response(); });
  const absl::Status status = fetch(request).status();
  CHECK(status.code() == Code::kInvalidArgument);
  CHECK(TransportErrorOf(status) == TransportError::kRequest);
  CHECK_THAT(std::string(status.message()), ContainsSubstring("params or a form"));
}

}  // namespace
}  // namespace holdfast::http::httplib_message_test
