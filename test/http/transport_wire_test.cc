// What Transport makes of what comes over a wire.
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <httplib.h>
#include <poll.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/http.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "test/http/descriptors.h"
#include "test/http/exchange/without_io.h"
#include "test/http/fault_server.h"
#include "test/http/test_server.h"
#include "test/http/wire/cases.h"
#include "test/support/catch.h"

namespace holdfast::http::transport_wire_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::Eventually;
using test::FaultServer;
using test::kHello;
using test::MakeRequest;
using test::Peer;
using test::SucceedsWithoutIo;
using Code = absl::StatusCode;

// Answers every request on a connection with these bytes.
FaultServer::Script Answers(std::string answer) {
  return [answer = std::move(answer)](const Peer& peer) {
    while (!peer.ReadMessage().empty()) {
      if (!peer.Write(answer)) return;
    }
  };
}

std::string Gzip(std::string_view text) {
  z_stream stream = {};
  ::deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string bytes(::deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_out = static_cast<uInt>(bytes.size());
  ::deflate(&stream, Z_FINISH);
  bytes.resize(stream.total_out);
  ::deflateEnd(&stream);
  return bytes;
}

std::string WithLength(const std::string& fields, const std::string& body) {
  return "HTTP/1.1 200 OK\r\n" + fields + "Content-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

TEST_CASE("an answer over a socket is what it is without one, whole, in bytes and cut") {
  for (const nlohmann::json& one : wire::Cases("answers.json")) {
    const std::string answer = wire::Bytes(one["answer"]);
    if (one["method"] == "POST") continue;  // may be sent twice in the others alone
    const std::string method = one["method"];
    CAPTURE(one["id"]);
    std::vector<std::size_t> lengths = {answer.size()};
    for (std::size_t cut = 0; cut < 10; ++cut) lengths.push_back(answer.size() * cut / 10);
    for (const bool bytewise : {false, true}) {
      if (bytewise && answer.size() > 500) continue;
      std::atomic<std::size_t> index = 0;
      FaultServer server([&](const Peer& peer) {
        if (!peer.ReadRequest()) return;
        const std::string_view sent = std::string_view(answer).substr(0, lengths[index]);
        if (!bytewise) {
          peer.Write(sent);
        } else {
          peer.Drip(sent, 0ms);
        }
      });
      for (; index < lengths.size(); ++index) {
        CAPTURE(bytewise, lengths[index]);
        const Transport transport("http://" + server.Host(), {.total_timeout = 60s});
        const auto response = transport(MakeRequest(method, "/"));
        CAPTURE(response.status().ToString());
        CHECK(response.ok() ==
              SucceedsWithoutIo({.method = method},
                                std::string_view(answer).substr(0, lengths[index])));
        CHECK_FALSE(absl::IsDeadlineExceeded(response.status()));
      }
    }
  }
}

TEST_CASE("an answer that comes while the body is sent is returned, and nothing is sent twice") {
  std::atomic<int> requests = 0;
  FaultServer server([&](const Peer& peer) {
    if (!peer.ReadRequest()) return;
    ++requests;
    peer.Write("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!");
    peer.Stall();  // takes nothing more
  });
  const auto fetch = Stack(Retry({})).Around(Transport("http://" + server.Host()));
  const auto response = fetch(MakeRequest("PUT", "/", std::string(16'000'000, 'x')));
  REQUIRE(response.ok());
  CHECK(response->status == 413);
  CHECK(response->body == "no!");
  CHECK(requests == 1);
}

TEST_CASE("an answer before a reset is returned") {
  FaultServer server([](const Peer& peer) {
    if (!peer.ReadRequest()) return;
    peer.Write("HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n");
  });  // closed with bytes unread, which resets
  const Transport transport("http://" + server.Host());
  const auto response = transport(MakeRequest("POST", "/", std::string(100'000, 'x')));
  if (response.ok()) {
    CHECK(response->status == 401);
  } else {
    // The kernel may drop what came before the reset.
    CHECK(TransportErrorOf(response.status()) == TransportError::kOutcomeUnknown);
  }
}

TEST_CASE("interim responses, a body-less one and a trailer leave the connection as good as new") {
  const auto [answer, status] = GENERATE(table<std::string, int>({
      {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Wait\r\n\r\n" +
           std::string(kHello),
       200},
      {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304},
      {"HTTP/1.1 204 No Content\r\n\r\n", 204},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\n"
       "X-Sum: 1\r\n\r\n",
       200},
      {"HTTP/1.1 200 OK\r\nX-Long: " + std::string(9000, 'x') +
           "\r\nContent-Length: 5\r\n\r\nhello",
       200},
  }));
  FaultServer server(Answers(answer));
  const Transport transport("http://" + server.Host());
  for (int i = 0; i < 3; ++i) CHECK(transport(MakeRequest("GET", "/")).value().status == status);
  CHECK(server.accepted() == 1);
}

TEST_CASE("what is no response is malformed, whatever it is") {
  const std::string answer =
      GENERATE(as<std::string>(), "HTTP/1.1 200 " + std::string(70'000, 'x') + "\r\n\r\n",
               "HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n",
               "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
               "HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\n\r\n", "\x16\x03\x01\x02");
  FaultServer server(Answers(answer));
  const Transport transport("http://" + server.Host());
  const absl::Status status = transport(MakeRequest("GET", "/")).status();
  CHECK(status.code() == Code::kDataLoss);
  CHECK(TransportErrorOf(status) == TransportError::kMalformed);
  CHECK(transport.stats().idle == 0);
}

TEST_CASE("a body is decoded, unless that is not wanted") {
  const std::string text(100'000, 'a');
  FaultServer server(Answers(WithLength("Content-Encoding: gzip\r\n", Gzip(text))));
  const auto get = [&](TransportOptions options) {
    return Transport("http://" + server.Host(), std::move(options))(MakeRequest("GET", "/"));
  };
  const auto decoded = get({});
  CHECK(decoded.value().body == text);
  CHECK_FALSE(decoded->has_header("Content-Encoding"));
  CHECK_FALSE(decoded->has_header("Content-Length"));
  const auto raw = get({.decode = false});
  CHECK(raw.value().body == Gzip(text));
  CHECK(raw->get_header_value("Content-Encoding") == "gzip");
  CHECK(get({.max_body = text.size()}).ok());
  CHECK(get({.max_body = text.size() - 1}).status().code() == Code::kDataLoss);
}

TEST_CASE("a body that is cut within its coding is no success") {
  const std::string whole = Gzip("hello");
  FaultServer server(
      Answers(WithLength("Content-Encoding: gzip\r\n", whole.substr(0, whole.size() - 3))));
  const absl::Status status =
      Transport("http://" + server.Host())(MakeRequest("GET", "/")).status();
  CHECK(status.code() == Code::kUnavailable);
  CHECK(TransportErrorOf(status) == TransportError::kOutcomeUnknown);
}

TEST_CASE("heads and bodies have bounds, but for a body that a receiver takes") {
  FaultServer server(Answers(WithLength("A: 1\r\nB: 2\r\n", std::string(5000, 'x'))));
  const auto get = [&](TransportOptions options) {
    return Transport("http://" + server.Host(), std::move(options))(MakeRequest("GET", "/"))
        .status()
        .code();
  };
  CHECK(get({.max_fields = 3, .max_body = 5000}) == Code::kOk);
  CHECK(get({.max_body = 4999}) == Code::kDataLoss);
  CHECK(get({.max_fields = 2}) == Code::kDataLoss);
  httplib::Request request = MakeRequest("GET", "/");
  std::size_t received = 0;
  request.content_receiver = [&](const char*, std::size_t size, std::uint64_t offset,
                                 std::uint64_t total) {
    CHECK(offset == received);
    CHECK(total == 5000);
    received += size;
    return true;
  };
  CHECK(Transport("http://" + server.Host(), {.max_body = 10})(request).ok());
  CHECK(received == 5000);
}

// Whether anything comes within that time.
bool Comes(const Peer& peer, std::chrono::milliseconds within) {
  pollfd waiting = {.fd = peer.fd(), .events = POLLIN, .revents = 0};
  return ::poll(&waiting, 1, static_cast<int>(within.count())) > 0;
}

TEST_CASE("a body waits for the server to ask for it") {
  std::atomic<bool> early = false;
  const bool asks = GENERATE(true, false);
  CAPTURE(asks);
  FaultServer server([&](const Peer& peer) {
    if (!peer.ReadRequest()) return;
    if (asks) {
      early = Comes(peer, 20ms);
      peer.Write("HTTP/1.1 100 Continue\r\n\r\n");
    }
    std::array<char, 5> body = {};
    if (::recv(peer.fd(), body.data(), body.size(), MSG_WAITALL) == 5) peer.Write(kHello);
  });
  const Transport transport("http://" + server.Host(),
                            {.continue_timeout = asks ? TimeSpan(1h) : TimeSpan(10ms)});
  httplib::Request request = MakeRequest("POST", "/", "12345");
  request.set_header("Expect", "100-continue");
  CHECK(transport(request).value().body == "hello");
  CHECK_FALSE(early);
}

TEST_CASE("headers that contradict the body are refused before anything is sent") {
  FaultServer server(Answers(std::string(kHello)));
  const Transport transport("http://" + server.Host());
  const auto [name, value] = GENERATE(table<std::string, std::string>(
      {{"Content-Length", "3"}, {"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "gzip"}}));
  httplib::Request request = MakeRequest("POST", "/", "hello");
  request.set_header(name, value);
  const absl::Status status = transport(request).status();
  CHECK(status.code() == Code::kInvalidArgument);
  CHECK(TransportErrorOf(status) == TransportError::kRequest);
  CHECK(server.accepted() == 0);
}

TEST_CASE("a long body arrives as it is") {
  std::string body;
  for (int i = 0; body.size() < 300'000; ++i) body += std::to_string(i);
  test::Recorder got;
  FaultServer server([&](const Peer& peer) {
    got.Add(peer.ReadMessage());
    peer.Write(kHello);
  });
  const Transport transport("http://" + server.Host());
  REQUIRE(transport(MakeRequest("PUT", "/", body)).ok());
  CHECK(got.messages().at(0).ends_with("\r\n\r\n" + body));
}

TEST_CASE("a connection is used no more often and no longer than it may be") {
  FaultServer server(Answers(std::string(kHello)));
  const auto connections = [&](TransportOptions options) {
    const Transport transport("http://" + server.Host(), std::move(options));
    for (int i = 0; i < 4; ++i) REQUIRE(transport(MakeRequest("GET", "/")).ok());
    return transport.stats().opened;
  };
  CHECK(connections({}) == 1);
  CHECK(connections({.max_uses = 2}) == 2);
  CHECK(connections({.max_uses = 1}) == 4);
  CHECK(connections({.max_age = 1ns}) == 4);
}

TEST_CASE("a connection is kept no longer than its server says") {
  const auto [field, kept] = GENERATE(table<std::string, int>({
      {"Keep-Alive: timeout=100\r\n", 1},
      {"Keep-Alive: timeout=0\r\n", 0},
      {"Keep-Alive: timeout=100, max=0\r\n", 0},
      {"Connection: CLOSE\r\n", 0},
      {"Connection: x, Close\r\n", 0},
  }));
  CAPTURE(field);
  FaultServer server(Answers(WithLength(field, "hello")));
  const Transport transport("http://" + server.Host());
  REQUIRE(transport(MakeRequest("GET", "/")).ok());
  CHECK(transport.stats().idle == kept);
}

TEST_CASE("idle connections are closed at their time, though nobody calls") {
  std::atomic<int> open = 0;
  FaultServer server([&](const Peer& peer) {
    ++open;
    while (!peer.ReadMessage().empty()) peer.Write(kHello);
    --open;
  });
  std::vector<Transport> transports;
  for (int i = 0; i < 20; ++i) {
    transports.emplace_back("http://" + server.Host(), TransportOptions{.idle_timeout = 20ms});
  }
  for (const Transport& transport : transports) REQUIRE(transport(MakeRequest("GET", "/")).ok());
  CHECK(Eventually([&] { return open == 0; }));
  CHECK(Eventually([&] {
    return std::ranges::all_of(transports, [](const auto& t) { return t.stats().idle == 0; });
  }));
}

TEST_CASE("sixteen connections that died while idle cost no call") {
  std::atomic<bool> dead = false;
  FaultServer server([&](const Peer& peer) {
    while (!peer.ReadMessage().empty()) {
      if (dead && peer.number() <= 16) return peer.ResetAtEnd();
      peer.Write(kHello);
    }
  });
  const Transport transport("http://" + server.Host());
  {
    // Each waits in its progress callback for the others, so that each has a connection of its own.
    std::atomic<int> there = 0;
    std::vector<std::jthread> threads;
    for (int i = 0; i < 16; ++i) {
      threads.emplace_back([&] {
        httplib::Request request = MakeRequest("GET", "/");
        request.response_handler = [&](const httplib::Response&) {
          ++there;
          while (there < 16) std::this_thread::yield();
          return true;
        };
        (void)transport(request);
      });
    }
  }
  REQUIRE(transport.stats().idle == 16);
  dead = true;
  for (int i = 0; i < 3; ++i) CHECK(transport(MakeRequest("GET", "/")).ok());
  CHECK(transport.stats().idle == 1);
  CHECK(server.accepted() == 17);
}

}  // namespace
}  // namespace holdfast::http::transport_wire_test
