// What AsyncTransport makes of what comes over a wire.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/http_asio.h"
#include "test/asio/support/net.h"
#include "test/http/exchange/without_io.h"
#include "test/http/fault_server.h"
#include "test/http/wire/cases.h"
#include "test/http_asio/support/calls.h"
#include "test/support/catch.h"

namespace holdfast::http::wire_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using Code = absl::StatusCode;
using test::AsyncEnd;
using test::AsyncRequest;
using test::AsyncResult;
using test::FaultServer;
using test::Fetch;
using test::kHello;
using test::Peer;
using test::RunAll;
using test::RunUntil;
using test::SucceedsWithoutIo;

// The whole answer and its beginnings, cut at ten places.
std::vector<std::size_t> Lengths(const std::string& answer) {
  std::vector<std::size_t> lengths = {answer.size()};
  for (std::size_t cut = 0; cut < 10; ++cut) lengths.push_back(answer.size() * cut / 10);
  return lengths;
}

TEST_CASE("an answer to an asynchronous call is what it is without a socket") {
  net::io_context io;
  for (const nlohmann::json& one : wire::Cases("answers.json")) {
    const std::string answer = wire::Bytes(one["answer"]);
    if (one["method"] == "POST") continue;  // may be sent twice in the others alone
    const Request request = AsyncRequest(one["method"], "/");
    CAPTURE(one["id"]);
    for (const bool bytewise : {false, true}) {
      if (bytewise && answer.size() > 500) continue;
      std::atomic<std::size_t> length = 0;
      FaultServer server([&](const Peer& peer) {
        if (!peer.ReadRequest()) return;
        const std::string_view sent = std::string_view(answer).substr(0, length);
        if (bytewise) {
          peer.Drip(sent, 0ms);
        } else {
          peer.Write(sent);
        }
      });
      for (const std::size_t each : Lengths(answer)) {
        length = each;
        CAPTURE(bytewise, each);
        const AsyncTransport transport(io, "http://" + server.Host(), {.total_timeout = 60s});
        const AsyncResult response = Fetch(io, transport, request);
        CAPTURE(response.status().ToString());
        CHECK(response.ok() ==
              SucceedsWithoutIo(request, std::string_view(answer).substr(0, each)));
        CHECK_FALSE(absl::IsDeadlineExceeded(response.status()));
      }
    }
  }
}

TEST_CASE("an answer that comes in mid-upload ends an asynchronous call") {
  FaultServer server([&](const Peer& peer) {
    if (!peer.ReadRequest()) return;
    peer.Write("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!");
    peer.Stall();  // takes nothing more
  });
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host());
  const AsyncResult response =
      Fetch(io, transport, AsyncRequest("PUT", "/", std::string(16'000'000, 'x')));
  REQUIRE(response.ok());
  CHECK(response->status == 413);
  CHECK(response->body == "no!");
  CHECK(transport.stats().idle == 0);
  CHECK(server.accepted() == 1);
}

TEST_CASE("a long body arrives in both directions, and others of the thread get their turn") {
  const std::string body(20'000'000, 'b');
  FaultServer server([&](const Peer& peer) {
    const std::string message = peer.ReadMessage();
    peer.Write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n");
    peer.Write(body);
  });
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host());
  const AsyncResult response =
      Fetch(io, transport, AsyncRequest("PUT", "/", std::string(3'000'000, 'x')));
  REQUIRE(response.ok());
  CHECK(response->body == body);
}

TEST_CASE("a receiver that takes nothing now holds up its own asynchronous call only") {
  constexpr std::size_t kBody = std::size_t{64} << 20;
  std::atomic<std::size_t> sent = 0;
  FaultServer slow([&](const Peer& peer) {
    if (!peer.ReadRequest()) return;
    peer.Write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kBody) + "\r\n\r\n");
    const std::string part(std::size_t{1} << 16, 'x');
    while (sent < kBody && peer.Write(part)) sent += part.size();
    peer.ReadAll();
  });
  FaultServer quick([](const Peer& peer) {
    while (peer.ReadRequest() && peer.Write(kHello)) {
    }
  });
  net::io_context io;
  const AsyncTransport slowly(io, "http://" + slow.Host());
  const AsyncTransport quickly(io, "http://" + quick.Host());
  bool takes = false;
  std::size_t got = 0;
  Request request = AsyncRequest("GET", "/");
  request.receiver = [&](std::string_view part) {
    if (!takes) return BodyAnswer::Later();
    got += part.size();
    return BodyAnswer(true);
  };
  AsyncEnd held;
  slowly(request, held.handler());
  for (int i = 0; i < 20; ++i) {
    AsyncEnd end;
    quickly(AsyncRequest("GET", "/"), end.handler());
    RunUntil(io, [&] { return end.calls == 1; });
    CHECK(end.result.ok());
  }
  CHECK(held.calls == 0);
  CHECK(sent < kBody);
  takes = true;
  RunAll(io);
  CHECK(held.result.ok());
  CHECK(got == kBody);
}

TEST_CASE("the body of an asynchronous call waits for the server to ask for it") {
  const bool asks = GENERATE(true, false);
  CAPTURE(asks);
  FaultServer server([&](const Peer& peer) {
    if (!peer.ReadRequest()) return;
    if (asks) peer.Write("HTTP/1.1 100 Continue\r\n\r\n");
    std::array<char, 5> body = {};
    if (::recv(peer.fd(), body.data(), body.size(), MSG_WAITALL) == 5) peer.Write(kHello);
  });
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host(),
                                 {.continue_timeout = asks ? TimeSpan(1h) : TimeSpan(10ms)});
  Request request = AsyncRequest("POST", "/", "12345");
  request.headers = {{"Expect", "100-continue"}};
  CHECK(Fetch(io, transport, request).value().body == "hello");
}

TEST_CASE("what is no response is malformed to an asynchronous call") {
  FaultServer server([&](const Peer& peer) {
    if (peer.ReadRequest()) peer.Write("HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n");
  });
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host());
  const absl::Status status = Fetch(io, transport, AsyncRequest("GET", "/")).status();
  CHECK(status.code() == Code::kDataLoss);
  CHECK(TransportErrorOf(status) == TransportError::kMalformed);
}

}  // namespace
}  // namespace holdfast::http::wire_test
