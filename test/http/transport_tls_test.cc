#include <memory>
#include <string>

#include "holdfast/http.h"
#include "test/http/certificate.h"
#include "test/http/fault_server.h"
#include "test/http/test_server.h"
#include "test/http/tls_server.h"
#include "test/support/catch.h"

namespace holdfast::http::transport_tls_test {
namespace {

using test::Certificate;
using test::ContainsSubstring;
using test::MakeRequest;
using test::PemFile;
using Code = absl::StatusCode;

class TlsServer : public test::TlsServer {
 public:
  explicit TlsServer(const Certificate& certificate, int port = 0,
                     const std::string& client_ca = "")
      : test::TlsServer(certificate, client_ca) {
    Get("/", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("hello", "text/plain");
    });
    Start(port);
  }
};

absl::StatusOr<httplib::Response> Get(const Transport& transport) {
  return transport(MakeRequest("GET", "/"));
}

TEST_CASE("a trusted certificate") {
  const Certificate certificate("IP:127.0.0.1");
  const PemFile pem(certificate);
  TlsServer server(certificate);
  const Transport transport("https://" + server.Host(), {.ca_file = pem.path()});
  for (int i = 0; i < 10; ++i) {
    const auto response = Get(transport);
    REQUIRE(response.ok());
    CHECK(response->body == "hello");
  }
  CHECK(server.connections() == 1);
  CHECK(transport.stats().opened == 1);
  CHECK(transport.stats().reused == 9);
}

// OpenSSL has read the surplus with the answer, and the socket does not show it.
TEST_CASE("what a server sends beyond its answer in one TLS record is not taken for the next") {
  const Certificate certificate("IP:127.0.0.1");
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context(SSL_CTX_new(TLS_server_method()),
                                                             SSL_CTX_free);
  SSL_CTX_use_certificate(context.get(), certificate.x509());
  SSL_CTX_use_PrivateKey(context.get(), certificate.key());
  test::FaultServer server([&](const test::Peer& peer) {
    const std::unique_ptr<SSL, void (*)(SSL*)> tls(SSL_new(context.get()), SSL_free);
    SSL_set_fd(tls.get(), peer.fd());
    char request[4096];
    if (SSL_accept(tls.get()) != 1 || SSL_read(tls.get(), request, sizeof request) <= 0) return;
    const std::string two =
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    SSL_write(tls.get(), two.data(), static_cast<int>(two.size()));
    peer.ReadAll();
  });
  const Transport transport("https://" + server.Host(), {.verify = false});
  for (int i = 0; i < 3; ++i) {
    const auto response = Get(transport);
    REQUIRE(response.ok());
    CHECK(response->body == "hello");
  }
  CHECK(server.accepted() == 3);
}

TEST_CASE("a connection that TLS lost is opened again and verified again") {
  const Certificate certificate("IP:127.0.0.1");
  const PemFile pem(certificate);
  TlsServer server(certificate);
  server.Get("/close", [](const httplib::Request&, httplib::Response& response) {
    response.set_header("Connection", "close");
  });
  const Transport transport("https://" + server.Host(), {.ca_file = pem.path()});
  for (int i = 0; i < 3; ++i) {
    REQUIRE(transport(MakeRequest("GET", "/close")).ok());
    CHECK(transport.stats().idle == 0);
  }
  CHECK(Get(transport)->body == "hello");
  CHECK(server.connections() == 4);
  CHECK(transport.stats().opened == 4);
  CHECK(transport.stats().idle == 1);
  // The same port, but nobody we know.
  const int port = server.port();
  server.Stop();
  const Certificate other("IP:127.0.0.1");
  TlsServer impostor(other, port);
  CHECK(Get(transport).status().code() == Code::kFailedPrecondition);
}

TEST_CASE("a certificate that nobody vouches for") {
  const Certificate certificate("IP:127.0.0.1");
  TlsServer server(certificate);
  SECTION("is refused") {
    const absl::Status status = Get(Transport("https://" + server.Host())).status();
    CHECK(status.code() == Code::kFailedPrecondition);
    CHECK_FALSE(IsTransient(status));
    CHECK_THAT(std::string(status.message()),
               ContainsSubstring("https://" + server.Host() +
                                 ": TLS: the server's certificate is not trusted"));
  }
  SECTION("is good enough where it is not verified") {
    CHECK(Get(Transport("https://" + server.Host(), {.verify = false})).ok());
  }
}

TEST_CASE("a certificate for another host") {
  const Certificate certificate("DNS:other.example");
  const PemFile pem(certificate);
  TlsServer server(certificate);
  const absl::Status status =
      Get(Transport("https://" + server.Host(), {.ca_file = pem.path()})).status();
  CHECK(status.code() == Code::kFailedPrecondition);
  CHECK_THAT(std::string(status.message()), ContainsSubstring("is not for this host"));
}

TEST_CASE("a CA file that can't be read") {
  TlsServer server(Certificate("IP:127.0.0.1"));
  const Transport transport("https://" + server.Host(), {.ca_file = "/nonexistent.pem"});
  for (int i = 0; i < 2; ++i) {
    const absl::Status status = Get(transport).status();
    CHECK(status.code() == Code::kFailedPrecondition);
    CHECK_THAT(std::string(status.message()), ContainsSubstring("CA certificates"));
  }
}

TEST_CASE("a server that asks who is there") {
  const Certificate certificate("IP:127.0.0.1");
  const PemFile pem(certificate);
  const Certificate client("email:orders@example.com");
  const PemFile client_pem(client);
  TlsServer server(certificate, 0, client_pem.path());
  TransportOptions options{.ca_file = pem.path()};
  const auto get = [&] { return Get(Transport("https://" + server.Host(), options)); };
  SECTION("is told") {
    options.client_cert_file = options.client_key_file = client_pem.path();
    CHECK(get().value().body == "hello");
  }
  SECTION("is told by somebody it does not know") {
    options.client_cert_file = options.client_key_file = pem.path();
    CHECK(get().status().code() == Code::kUnavailable);
  }
  SECTION("is not told") { CHECK(get().status().code() == Code::kUnavailable); }
  SECTION("would be told what can't be read") {
    options.client_cert_file = options.client_key_file = "/nonexistent.pem";
    const absl::Status status = get().status();
    CHECK(status.code() == Code::kFailedPrecondition);
    CHECK(TransportErrorOf(status) == TransportError::kCertificate);
    CHECK_THAT(std::string(status.message()), ContainsSubstring("certificate or key"));
  }
}

TEST_CASE("TLS to a port without it") {
  test::TestServer server;
  server.Start();
  const absl::Status status = Get(Transport("https://" + server.Host())).status();
  CHECK(status.code() == Code::kUnavailable);
  CHECK_THAT(std::string(status.message()), ContainsSubstring("TLS: the handshake failed"));
}

TEST_CASE("no TLS to a port with it") {
  TlsServer server(Certificate("IP:127.0.0.1"));
  CHECK(Get(Transport("http://" + server.Host())).status().code() == Code::kUnavailable);
}

}  // namespace
}  // namespace holdfast::http::transport_tls_test
