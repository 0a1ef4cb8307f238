// Asynchronous requests over TLS and by way of a proxy.
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <httplib.h>

#include <string>
#include <vector>

#include "holdfast/http_asio.h"
#include "test/asio/support/net.h"
#include "test/http/certificate.h"
#include "test/http/fault_server.h"
#include "test/http/tls_server.h"
#include "test/http/tunnel.h"
#include "test/http_asio/support/calls.h"
#include "test/support/catch.h"

namespace holdfast::http::tls_proxy_test {
namespace {

using Code = absl::StatusCode;
using test::AsyncRequest;
using test::AsyncResult;
using test::Certificate;
using test::ContainsSubstring;
using test::FaultServer;
using test::Fetch;
using test::Greets;
using test::kHello;
using test::Peer;
using test::PemFile;
using test::Recorder;
using test::RunAll;
using test::TunnelTo;

class GreetingTlsServer : public test::TlsServer {
 public:
  explicit GreetingTlsServer(const Certificate& certificate) : test::TlsServer(certificate) {
    Get("/", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("hello", "text/plain");
    });
    Put("/", [](const httplib::Request& request, httplib::Response& response) {
      response.set_content(request.body, "text/plain");
    });
    Start();
  }
};

TEST_CASE("asynchronous calls over TLS share a connection") {
  const Certificate certificate("IP:127.0.0.1");
  const PemFile pem(certificate);
  GreetingTlsServer server(certificate);
  net::io_context io;
  const AsyncTransport transport(io, "https://" + server.Host(), {.ca_file = pem.path()});
  for (int i = 0; i < 10; ++i) {
    CHECK(Fetch(io, transport, AsyncRequest("GET", "/")).value().body == "hello");
  }
  const std::string body(1'000'000, 'x');
  CHECK(Fetch(io, transport, AsyncRequest("PUT", "/", body)).value().body == body);
  CHECK(server.connections() == 1);
  CHECK(transport.stats().opened == 1);
  CHECK(transport.stats().reused == 10);
}

TEST_CASE("many asynchronous calls shake hands at once") {
  const Certificate certificate("IP:127.0.0.1");
  const PemFile pem(certificate);
  GreetingTlsServer server(certificate);
  net::io_context io;
  const AsyncTransport transport(io, "https://" + server.Host(), {.ca_file = pem.path()});
  int ok = 0;
  for (int i = 0; i < 32; ++i) {
    transport(AsyncRequest("GET", "/"), [&](const AsyncResult& result) { ok += result.ok(); });
  }
  RunAll(io);
  CHECK(ok == 32);
}

TEST_CASE("an asynchronous call trusts no certificate but the right one") {
  const Certificate certificate("IP:127.0.0.1");
  const Certificate other("IP:127.0.0.1");
  const PemFile pem(other);
  GreetingTlsServer server(certificate);
  net::io_context io;
  const AsyncTransport transport(io, "https://" + server.Host(), {.ca_file = pem.path()});
  const absl::Status status = Fetch(io, transport, AsyncRequest("GET", "/")).status();
  CHECK(status.code() == Code::kFailedPrecondition);
  CHECK(TransportErrorOf(status) == TransportError::kCertificate);
  const AsyncTransport no_file(io, "https://" + server.Host(), {.ca_file = "/nowhere.pem"});
  CHECK(TransportErrorOf(Fetch(io, no_file, AsyncRequest("GET", "/")).status()) ==
        TransportError::kCertificate);
  const AsyncTransport trusts_all(io, "https://" + server.Host(), {.verify = false});
  CHECK(Fetch(io, trusts_all, AsyncRequest("GET", "/")).ok());
}

TEST_CASE("a proxy is asked for the whole URL by an asynchronous call") {
  Recorder asked;
  FaultServer proxy(Greets(asked));
  net::io_context io;
  const AsyncTransport transport(io, "http://orders.invalid:8080",
                                 {.proxy = "http://" + proxy.Host()});
  CHECK(Fetch(io, transport, AsyncRequest("GET", "/a?b")).value().body == "hello");
  CHECK(Fetch(io, transport, AsyncRequest("GET", "/c")).ok());
  CHECK_THAT(asked.messages().at(0),
             ContainsSubstring("GET http://orders.invalid:8080/a?b HTTP/1.1\r\n"));
  CHECK(transport.stats().opened == 1);
}

TEST_CASE("an asynchronous call goes through the tunnel of a proxy") {
  const Certificate certificate("DNS:orders.invalid");
  const PemFile pem(certificate);
  GreetingTlsServer server(certificate);
  Recorder asked;
  FaultServer proxy(TunnelTo(server.port(), asked));
  net::io_context io;
  const AsyncTransport transport(io, "https://orders.invalid",
                                 {.ca_file = pem.path(), .proxy = "http://" + proxy.Host()});
  for (int i = 0; i < 3; ++i) {
    CHECK(Fetch(io, transport, AsyncRequest("GET", "/")).value().body == "hello");
  }
  REQUIRE(asked.messages().size() == 1);
  CHECK(asked.messages()[0].starts_with("CONNECT orders.invalid:443 HTTP/1.1\r\n"));
}

TEST_CASE("a proxy that gives an asynchronous call no tunnel says why") {
  const auto [answer, code] = GENERATE(table<std::string, Code>({
      {"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n", Code::kFailedPrecondition},
      {"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n", Code::kUnavailable},
      {"nonsense\r\n\r\n", Code::kDataLoss},
      {"HTTP/1.1 200 OK\r\n\r\nearly", Code::kUnavailable},
  }));
  FaultServer proxy([&](const Peer& peer) {
    if (peer.ReadRequest()) peer.Write(answer);
  });
  net::io_context io;
  const AsyncTransport transport(io, "https://orders.invalid", {.proxy = "http://" + proxy.Host()});
  const absl::Status status = Fetch(io, transport, AsyncRequest("GET", "/")).status();
  CAPTURE(status.ToString());
  CHECK(status.code() == code);
  CHECK(transport.stats().in_use == 0);
}

}  // namespace
}  // namespace holdfast::http::tls_proxy_test
