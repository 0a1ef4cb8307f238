// By which way asynchronous requests go: a proxy that wants a password, a unix socket, an address
// to connect from.
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <httplib.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include "holdfast/http_asio.h"
#include "src/http/net/address.h"
#include "src/http/net/socket.h"
#include "test/asio/support/net.h"
#include "test/http/certificate.h"
#include "test/http/fault_server.h"
#include "test/http/net/listeners.h"
#include "test/http/tls_server.h"
#include "test/http/tunnel.h"
#include "test/http_asio/support/calls.h"
#include "test/support/catch.h"

namespace holdfast::http::routes_test {
namespace {

using Code = absl::StatusCode;
using test::AsyncRequest;
using test::Certificate;
using test::ContainsSubstring;
using test::FaultServer;
using test::Fetch;
using test::Greets;
using test::kHello;
using test::Peer;
using test::PemFile;
using test::Recorder;
using test::StartsWith;
using test::SuspiciousTlsServer;
using test::TunnelTo;

const std::string kAuthorization = "Proxy-Authorization: Basic c2NvdHQ6dGlnZXI=\r\n";

std::string UnixName(const std::string& name) {
  return "@holdfast-async-" + name + "-" + std::to_string(::getpid());
}

TEST_CASE("a proxy is sent user and password with an asynchronous request") {
  Recorder asked;
  FaultServer proxy(Greets(asked));
  net::io_context io;
  const AsyncTransport transport(io, "http://orders.invalid",
                                 {.proxy = "http://scott:tiger@" + proxy.Host()});
  CHECK(Fetch(io, transport, AsyncRequest("GET", "/")).ok());
  CHECK_THAT(asked.messages().at(0), StartsWith("GET http://orders.invalid/ HTTP/1.1\r\n") &&
                                         ContainsSubstring(kAuthorization));
}

TEST_CASE("user and password open a tunnel for an asynchronous call, and do not go through it") {
  const Certificate certificate("DNS:orders.invalid");
  const PemFile pem(certificate);
  SuspiciousTlsServer server(certificate);
  Recorder asked;
  FaultServer proxy(TunnelTo(server.port(), asked));
  net::io_context io;
  const AsyncTransport transport(
      io, "https://orders.invalid",
      {.ca_file = pem.path(), .proxy = "http://scott:tiger@" + proxy.Host()});
  CHECK(Fetch(io, transport, AsyncRequest("GET", "/")).value().body == "hello");
  CHECK_THAT(asked.messages().at(0), StartsWith("CONNECT ") && ContainsSubstring(kAuthorization));
}

TEST_CASE("an asynchronous call tells that a proxy refused its user and password") {
  FaultServer proxy([](const Peer& peer) {
    if (peer.ReadRequest()) peer.Write("HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n");
  });
  net::io_context io;
  const AsyncTransport transport(io, "https://orders.invalid",
                                 {.proxy = "http://scott:tiger@" + proxy.Host()});
  const absl::Status status = Fetch(io, transport, AsyncRequest("GET", "/")).status();
  CHECK(status.code() == Code::kFailedPrecondition);
  CHECK_THAT(std::string(status.message()),
             ContainsSubstring("it refused the user and password in its URL") &&
                 !ContainsSubstring("tiger"));
}

TEST_CASE("an asynchronous call goes over a unix socket, whatever the origin is") {
  const std::string name = UnixName("plain");
  Recorder asked;
  FaultServer server(Greets(asked), name);
  net::io_context io;
  const AsyncTransport transport(io, "http://orders.invalid", {.unix_socket = name});
  for (int i = 0; i < 2; ++i) {
    CHECK(Fetch(io, transport, AsyncRequest("GET", "/a")).value().body == "hello");
  }
  CHECK_THAT(asked.messages().at(0),
             StartsWith("GET /a HTTP/1.1\r\n") && ContainsSubstring("Host: orders.invalid\r\n"));
  CHECK(transport.stats().opened == 1);
}

TEST_CASE("TLS of an asynchronous call over a unix socket is with the origin") {
  const Certificate certificate("DNS:orders.invalid");
  const PemFile pem(certificate);
  SuspiciousTlsServer tls(certificate);
  const std::string name = UnixName("tls");
  FaultServer server([&](const Peer& peer) { test::PumpTo(tls.port(), peer, ""); }, name);
  net::io_context io;
  const AsyncTransport transport(io, "https://orders.invalid",
                                 {.ca_file = pem.path(), .unix_socket = name});
  CHECK(Fetch(io, transport, AsyncRequest("GET", "/")).value().body == "hello");
}

TEST_CASE("an asynchronous call that finds nobody at a unix socket names it") {
  const std::string name = UnixName("nobody");
  net::io_context io;
  const AsyncTransport transport(io, "http://orders.invalid", {.unix_socket = name});
  const absl::Status status = Fetch(io, transport, AsyncRequest("GET", "/")).status();
  CHECK(status.code() == Code::kUnavailable);
  CHECK(TransportErrorOf(status) == TransportError::kConnect);
  CHECK(status.message() ==
        "http://orders.invalid (by the unix socket " + name + "): the connection was refused");
}

TEST_CASE("an asynchronous call waits for room in the backlog of a unix socket") {
  const std::string name = UnixName("full");
  const test::Silent silent(*internal::Address::Unix(name));
  net::io_context io;
  const AsyncTransport transport(
      io, "http://orders.invalid",
      {.connect_timeout = std::chrono::milliseconds(20), .unix_socket = name});
  const absl::Status status = Fetch(io, transport, AsyncRequest("GET", "/")).status();
  CHECK(status.code() == Code::kUnavailable);
  CHECK_THAT(std::string(status.message()), ContainsSubstring("not connected in time"));
}

TEST_CASE("a server sees the local address of an asynchronous call") {
  Recorder seen;
  FaultServer server([&](const Peer& peer) {
    seen.Add(internal::PeerAddress(peer.fd())->WithPort(0).ToString());
    if (peer.ReadRequest()) peer.Write(kHello);
  });
  net::io_context io;
  const AsyncTransport transport(io, "http://" + server.Host(), {.local_address = "127.0.0.2"});
  CHECK(Fetch(io, transport, AsyncRequest("GET", "/")).ok());
  CHECK(seen.messages() == std::vector<std::string>{"127.0.0.2:0"});
}

}  // namespace
}  // namespace holdfast::http::routes_test
