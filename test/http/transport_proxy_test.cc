// Requests by way of a proxy.
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <httplib.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include "holdfast/http.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/timeout/timeout.h"
#include "test/http/certificate.h"
#include "test/http/fault_server.h"
#include "test/http/test_server.h"
#include "test/http/tls_server.h"
#include "test/http/tunnel.h"
#include "test/support/catch.h"

namespace holdfast::http::transport_proxy_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::Certificate;
using test::ContainsSubstring;
using test::FaultServer;
using test::Greets;
using test::kHello;
using test::Listener;
using test::MakeRequest;
using test::Peer;
using test::PemFile;
using test::Recorder;
using test::StartsWith;
using test::SuspiciousTlsServer;
using test::TunnelTo;
using Code = absl::StatusCode;

TEST_CASE("a proxy is asked for the whole URL, over a connection that is kept") {
  Recorder asked;
  FaultServer proxy(Greets(asked));
  // Nobody needs to know the host but the proxy.
  const Transport transport("http://orders.invalid:8080", {.proxy = "http://" + proxy.Host()});
  CHECK(transport(MakeRequest("GET", "/a?b=%20c")).value().body == "hello");
  CHECK(transport(MakeRequest("POST", "/a", "body")).ok());
  CHECK(transport(MakeRequest("OPTIONS", "*")).ok());
  const std::vector<std::string> messages = asked.messages();
  REQUIRE(messages.size() == 3);
  CHECK_THAT(messages[0],
             ContainsSubstring("GET http://orders.invalid:8080/a?b=%20c HTTP/1.1\r\n"));
  CHECK_THAT(messages[0], ContainsSubstring("Host: orders.invalid:8080\r\n"));
  CHECK_THAT(messages[1], ContainsSubstring("POST http://orders.invalid:8080/a HTTP/1.1\r\n"));
  CHECK_THAT(messages[2], ContainsSubstring("OPTIONS http://orders.invalid:8080 HTTP/1.1\r\n"));
  CHECK(transport.stats().opened == 1);
  CHECK(transport.stats().reused == 2);
}

TEST_CASE("an IPv6 address keeps its brackets in what a proxy is asked for") {
  Recorder asked;
  FaultServer proxy([&](const Peer& peer) {
    asked.Add(peer.ReadMessage());
    peer.Write(kHello);
  });
  const Transport transport("http://[2001:db8::1]", {.proxy = "http://" + proxy.Host()});
  REQUIRE(transport(MakeRequest("GET", "/a")).ok());
  CHECK_THAT(asked.messages().at(0), ContainsSubstring("GET http://[2001:db8::1]/a HTTP/1.1\r\n"));
}

TEST_CASE("TLS goes through a tunnel, once for each connection") {
  const Certificate certificate("IP:127.0.0.1");
  const PemFile pem(certificate);
  SuspiciousTlsServer server(certificate);
  Recorder asked;
  FaultServer proxy(TunnelTo(server.port(), asked));
  const Transport transport("https://" + server.Host(),
                            {.ca_file = pem.path(), .proxy = "http://" + proxy.Host()});
  for (int i = 0; i < 3; ++i) CHECK(transport(MakeRequest("GET", "/")).value().body == "hello");
  REQUIRE(asked.messages().size() == 1);
  CHECK_THAT(asked.messages()[0], ContainsSubstring("CONNECT " + server.Host() + " HTTP/1.1\r\n"));
  CHECK(transport.stats().reused == 2);
}

TEST_CASE("the certificate behind a tunnel is verified like any other") {
  const Certificate certificate("IP:127.0.0.1");
  SuspiciousTlsServer server(certificate);
  Recorder asked;
  FaultServer proxy(TunnelTo(server.port(), asked));
  const std::string origin = "https://" + server.Host();
  const std::string by = "http://" + proxy.Host();
  const absl::Status strict = Transport(origin, {.proxy = by})(MakeRequest("GET", "/")).status();
  CHECK(strict.code() == Code::kFailedPrecondition);
  CHECK(TransportErrorOf(strict) == TransportError::kCertificate);
  CHECK(Transport(origin, {.verify = false, .proxy = by})(MakeRequest("GET", "/")).ok());
}

TEST_CASE("what a proxy never passed on has not reached the server") {
  const std::string origin = "https://orders.invalid";
  const auto fails = [&](const std::string& proxy, TransportError kind) {
    const absl::Status status =
        Transport(origin, {.proxy = "http://" + proxy})(MakeRequest("POST", "/", "x")).status();
    CHECK(status.code() == Code::kUnavailable);
    CHECK(TransportErrorOf(status) == kind);
    CHECK_THAT(std::string(status.message()), ContainsSubstring(proxy));
  };
  SECTION("because nobody is there") {
    std::string nobody;
    {
      const Listener listener(1);
      nobody = listener.Host();
    }
    fails(nobody, TransportError::kConnect);
  }
  SECTION("because it hung up") {
    FaultServer proxy([](const Peer& peer) { peer.ReadRequest(); });
    fails(proxy.Host(), TransportError::kConnect);
  }
  SECTION("because it refused") {
    FaultServer proxy([](const Peer& peer) {
      if (peer.ReadRequest()) peer.Write("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
    });
    fails(proxy.Host(), TransportError::kConnect);
  }
}

TEST_CASE("a deadline ends the wait for a tunnel") {
  FaultServer proxy([](const Peer& peer) {
    if (peer.ReadRequest()) peer.Stall();
  });
  const Transport transport("https://orders.invalid", {.proxy = "http://" + proxy.Host()});
  const absl::Status status =
      Stack(Timeout(50ms)).Around(transport)(MakeRequest("POST", "/", "x")).status();
  CHECK(status.code() == Code::kDeadlineExceeded);
  CHECK(TransportErrorOf(status) == TransportError::kConnect);
}

TEST_CASE("a proxy that is none is refused") {
  for (const char* const proxy :
       {"localhost:8888", "https://localhost:8888", "http://user:secret%@localhost",
        "http://h/path", "socks5://h:1080", "http://"}) {
    CAPTURE(proxy);
    CHECK_THROWS_AS(Transport("http://h", {.proxy = proxy}), std::invalid_argument);
    CHECK_THAT(std::string(Validate(TransportOptions{.proxy = proxy}).message()),
               !ContainsSubstring("secret"));
  }
}

TEST_CASE("a tunnel to an IPv6 address is asked for with its brackets and its port") {
  Recorder asked;
  FaultServer proxy([&](const Peer& peer) { asked.Add(peer.ReadMessage()); });
  const Transport transport("https://[2001:db8::1]", {.proxy = "http://" + proxy.Host()});
  CHECK(transport(MakeRequest("GET", "/")).status().code() == Code::kUnavailable);
  CHECK_THAT(asked.messages().at(0), StartsWith("CONNECT [2001:db8::1]:443 HTTP/1.1\r\n") &&
                                         ContainsSubstring("Host: [2001:db8::1]:443\r\n"));
}

TEST_CASE("a proxy that wants a password is not asked again") {
  FaultServer proxy([](const Peer& peer) {
    if (peer.ReadRequest()) {
      peer.Write(
          "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n"
          "Content-Length: 0\r\n\r\n");
    }
  });
  const auto fetch = Stack(Retry({})).Around(
      Transport("https://orders.invalid", {.proxy = "http://" + proxy.Host()}));
  const absl::Status status = fetch(MakeRequest("GET", "/")).status();
  CHECK(status.code() == Code::kFailedPrecondition);
  CHECK_THAT(
      std::string(status.message()),
      ContainsSubstring("HTTP 407 Proxy Authentication Required; the URL of the proxy has no "
                        "user and password"));
  CHECK(proxy.accepted() == 1);
}

TEST_CASE("what a proxy says of a tunnel that it refuses is not waited for") {
  FaultServer proxy([](const Peer& peer) {
    if (peer.ReadRequest()) {
      peer.Write("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 100\r\n\r\nslow");
    }
    peer.ReadAll();
  });
  const Transport transport("https://orders.invalid",
                            {.connect_timeout = 2s, .proxy = "http://" + proxy.Host()});
  const absl::Status status = transport(MakeRequest("GET", "/")).status();
  CHECK(status.code() == Code::kUnavailable);
  CHECK(TransportErrorOf(status) == TransportError::kConnect);
  CHECK_THAT(std::string(status.message()), ContainsSubstring("HTTP 503 Service Unavailable"));
}

void CheckRefused(const Transport& transport, const httplib::Request& request,
                  const std::string& header) {
  const absl::Status status = transport(request).status();
  CHECK(status.code() == Code::kInvalidArgument);
  CHECK(TransportErrorOf(status) == TransportError::kRequest);
  CHECK_THAT(std::string(status.message()), ContainsSubstring(header));
}

TEST_CASE("a Host that a proxy would put the origin's in place of is refused") {
  Recorder asked;
  FaultServer proxy(Greets(asked));
  const Transport transport("http://orders.invalid:8080", {.proxy = "http://" + proxy.Host()});
  httplib::Request request = MakeRequest("GET", "/");
  request.set_header("Host", "other.invalid");
  CheckRefused(transport, request, "Host");
  CHECK(proxy.accepted() == 0);
  httplib::Request same = MakeRequest("GET", "/");
  same.set_header("Host", "Orders.invalid:8080");
  CHECK(transport(same).ok());
  CHECK_THAT(asked.messages().at(0), ContainsSubstring("Host: Orders.invalid:8080\r\n"));
}

TEST_CASE("a password for a proxy is not sent to the server behind its tunnel") {
  const Certificate certificate("IP:127.0.0.1");
  SuspiciousTlsServer server(certificate);
  Recorder asked;
  FaultServer proxy(TunnelTo(server.port(), asked));
  httplib::Request request = MakeRequest("GET", "/");
  request.set_header("Proxy-Authorization", "Basic dTpw");
  CheckRefused(
      Transport("https://" + server.Host(), {.verify = false, .proxy = "http://" + proxy.Host()}),
      request, "Proxy-Authorization");
  CHECK(proxy.accepted() == 0);
}

TEST_CASE("a password for a proxy that gets the requests themselves is sent to it") {
  Recorder asked;
  FaultServer proxy([&](const Peer& peer) {
    asked.Add(peer.ReadMessage());
    peer.Write(kHello);
  });
  httplib::Request request = MakeRequest("GET", "/");
  request.set_header("Proxy-Authorization", "Basic dTpw");
  CHECK(Transport("http://orders.invalid", {.proxy = "http://" + proxy.Host()})(request).ok());
  CHECK_THAT(asked.messages().at(0), ContainsSubstring("Proxy-Authorization: Basic dTpw\r\n"));
}

}  // namespace
}  // namespace holdfast::http::transport_proxy_test
