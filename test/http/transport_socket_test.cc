// Which socket a transport uses: a unix socket, one that is bound to an address, one whose peer is
// asked whether it is there.
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <httplib.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include "holdfast/http.h"
#include "src/http/net/socket.h"
#include "test/http/certificate.h"
#include "test/http/fault_server.h"
#include "test/http/net/tls_identity.h"
#include "test/http/test_server.h"
#include "test/http/tls_server.h"
#include "test/http/tunnel.h"
#include "test/support/catch.h"

namespace holdfast::http::transport_socket_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::Certificate;
using test::ContainsSubstring;
using test::FaultServer;
using test::Folder;
using test::Greets;
using test::kHello;
using test::MakeRequest;
using test::Peer;
using test::PemFile;
using test::Recorder;
using Code = absl::StatusCode;

std::string AbstractName(const std::string& name) {
  return "@holdfast-" + name + "-" + std::to_string(::getpid());
}

TEST_CASE("a unix socket is connected to, whatever the origin is") {
  const Folder folder;
  const std::string path =
      GENERATE(true, false) ? folder.Path("socket") : AbstractName("transport");
  Recorder asked;
  FaultServer server(Greets(asked), path);
  const Transport transport("http://orders.invalid:8080", {.unix_socket = path});
  CHECK(transport(MakeRequest("GET", "/a")).value().body == "hello");
  CHECK(transport(MakeRequest("POST", "/b", "body")).ok());
  REQUIRE(asked.messages().size() == 2);
  CHECK_THAT(asked.messages()[0], ContainsSubstring("GET /a HTTP/1.1\r\n") &&
                                      ContainsSubstring("Host: orders.invalid:8080\r\n"));
  CHECK(transport.stats().opened == 1);
  CHECK(transport.stats().reused == 1);
}

TEST_CASE("TLS over a unix socket is with the origin") {
  const Certificate certificate("DNS:orders.invalid");
  const PemFile pem(certificate);
  test::TlsServer tls(certificate);
  tls.Get("/", [](const httplib::Request& request, httplib::Response& response) {
    response.set_content(request.get_header_value("Host"), "text/plain");
  });
  tls.Start();
  const std::string name = AbstractName("tls");
  FaultServer server([&](const Peer& peer) { test::PumpTo(tls.port(), peer, ""); }, name);
  const TransportOptions options = {.ca_file = pem.path(), .unix_socket = name};
  const Transport transport("https://orders.invalid", options);
  CHECK(transport(MakeRequest("GET", "/")).value().body == "orders.invalid");
  const absl::Status other =
      Transport("https://other.invalid", options)(MakeRequest("GET", "/")).status();
  CHECK(TransportErrorOf(other) == TransportError::kCertificate);
}

TEST_CASE("messages name the unix socket") {
  const std::string nobody = AbstractName("nobody");
  const absl::Status status =
      Transport("http://orders.invalid", {.unix_socket = nobody})(MakeRequest("GET", "/")).status();
  CHECK(status.code() == Code::kUnavailable);
  CHECK(TransportErrorOf(status) == TransportError::kConnect);
  CHECK(status.message() ==
        "http://orders.invalid (by the unix socket " + nobody + "): the connection was refused");
}

TEST_CASE("a server sees the local address of the options") {
  Recorder seen;
  FaultServer server([&](const Peer& peer) {
    seen.Add(internal::PeerAddress(peer.fd())->WithPort(0).ToString());
    if (peer.ReadRequest()) peer.Write(kHello);
  });
  const std::string origin = "http://" + server.Host();
  CHECK(Transport(origin, {.local_address = "127.0.0.2"})(MakeRequest("GET", "/")).ok());
  CHECK(seen.messages() == std::vector<std::string>{"127.0.0.2:0"});
  const absl::Status other_family =
      Transport(origin, {.local_address = "::1"})(MakeRequest("GET", "/")).status();
  CHECK(other_family.code() == Code::kUnavailable);
  CHECK_THAT(std::string(other_family.message()),
             ContainsSubstring("no address of the host is of the family of the local one"));
}

// The end of a connection to `server` that is this process's client.
int ClientOf(const Peer& peer) {
  const auto client = internal::PeerAddress(peer.fd());
  for (int fd = 0; fd < 1024; ++fd) {
    if (fd != peer.fd() && client && internal::LocalAddress(fd) == client) return fd;
  }
  return -1;
}

int OptionOf(int socket, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(socket, level, name, &value, &size) == 0 ? value : -1;
}

TEST_CASE("the kernel asks whether an idle server is there, if the options say so") {
  Recorder seen;
  FaultServer server([&](const Peer& peer) {
    if (!peer.ReadRequest()) return;
    const int client = ClientOf(peer);
    const bool asks = OptionOf(client, SOL_SOCKET, SO_KEEPALIVE) == 1;
    const int idle = OptionOf(client, IPPROTO_TCP, TCP_KEEPIDLE);
    seen.Add(asks ? "after " + std::to_string(idle) + " s" : "never");
    peer.Write(kHello);
  });
  const std::string origin = "http://" + server.Host();
  CHECK(Transport(origin)(MakeRequest("GET", "/")).ok());
  const TransportOptions options = {.tcp_keep_alive = TcpKeepAlive{.idle = 77s}};
  CHECK(Transport(origin, options)(MakeRequest("GET", "/")).ok());
  CHECK(seen.messages() == std::vector<std::string>{"never", "after 77 s"});
}

}  // namespace
}  // namespace holdfast::http::transport_socket_test
