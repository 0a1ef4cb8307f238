#include "src/http/net/tls_handshake.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/http/transport_error.h"
#include "test/http/descriptors.h"
#include "test/http/fault_server.h"
#include "test/http/net/tls_identity.h"
#include "test/http/net/tls_peer.h"
#include "test/support/catch.h"

namespace holdfast::http::internal::tls_handshake_test {
namespace {

using test::ContainsSubstring;
using test::Folder;
using test::Identity;
using test::Shake;
using test::TlsPeer;
using test::TlsServerContext;
using test::TlsSockets;
using Code = absl::StatusCode;

// An authority that the client trusts, and what it takes to try a server.
struct Scene {
  std::shared_ptr<TlsContext> Context(TlsOptions options = {}) const {
    if (options.ca_file.empty()) options.ca_file = ca_file;
    auto context = TlsContext::Load(options);
    REQUIRE(context.ok());
    return *std::move(context);
  }
  Identity Issue(const std::string& alt) const { return Identity({.alt = alt}, &authority); }

  Folder folder;
  Identity authority{{.common_name = "authority", .authority = true}};
  std::string ca_file = folder.Put("ca.pem", authority.CertificatePem());
};

// How a handshake ended, and how the first read after it did.
struct Outcome {
  IoResult result;
  absl::Status status;
  std::string server_name;  // what the server was told
  bool alpn = false;
  std::unique_ptr<TlsStream> stream;
  std::unique_ptr<TlsPeer> peer;
};

Outcome Try(const std::shared_ptr<TlsContext>& context, std::string_view host,
            const TlsServerContext& server, std::size_t at_once = 1 << 20) {
  TlsSockets pair;
  Outcome outcome;
  outcome.peer = std::make_unique<TlsPeer>(server, std::move(pair.server), at_once);
  TlsHandshake handshake(context, host, 443, std::move(pair.client));
  outcome.result = Shake(handshake, *outcome.peer);
  CHECK(ERR_peek_error() == 0);
  outcome.status = handshake.status();
  SSL* const ssl = outcome.peer->ssl();
  if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) {
    outcome.server_name = name;
  }
  const unsigned char* protocol = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl, &protocol, &size);
  outcome.alpn = size != 0;
  if (outcome.result.state == IoState::kDone) outcome.stream = handshake.Take();
  return outcome;
}

void CheckFails(const Outcome& outcome, Code code, TransportError kind, const std::string& text) {
  CHECK(outcome.result.state == IoState::kLost);
  CHECK(outcome.status.code() == code);
  CHECK(TransportErrorOf(outcome.status) == kind);
  CHECK_THAT(std::string(outcome.status.message()), ContainsSubstring(text));
}

void CheckUntrusted(const Outcome& outcome, const std::string& text) {
  CheckFails(outcome, Code::kFailedPrecondition, TransportError::kCertificate,
             "TLS: the server's certificate is not " + text);
}

void CheckFailed(const Outcome& outcome, const std::string& text) {
  CheckFails(outcome, Code::kUnavailable, TransportError::kTls,
             "TLS: the handshake failed: " + text);
}

std::string ReadAll(Outcome& outcome) {
  std::string room(100, '\0');
  const IoResult result = outcome.stream->Read(room);
  return room.substr(0, result.bytes);
}

TEST_CASE("a TLS handshake gives a stream that carries bytes both ways, however they arrive") {
  const Scene scene;
  const std::size_t at_once = GENERATE(std::size_t{1}, std::size_t{1} << 20);
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  const TlsServerContext server(scene.Issue("DNS:a.example"), version);
  Outcome outcome = Try(scene.Context(), "a.example", server, at_once);
  REQUIRE(outcome.result.state == IoState::kDone);
  CHECK(outcome.status.ok());
  CHECK(outcome.alpn);
  CHECK(SSL_version(outcome.peer->ssl()) == version);
  const std::string_view parts[] = {"GET", " / "};
  CHECK(outcome.stream->Write(parts).bytes == 6);
  std::string got;
  while (got.size() < 6) got += outcome.peer->Read();
  CHECK(got == "GET / ");
  outcome.peer->Write("200");
  std::string answer;
  while (answer.size() < 3) {
    outcome.peer->Send();
    answer += ReadAll(outcome);
  }
  CHECK(answer == "200");
}

TEST_CASE("a TLS server is told a name and is not told an address") {
  const Scene scene;
  const TlsServerContext server(
      scene.Issue("DNS:a.example,DNS:*.b.example,IP:127.0.0.1,IP:::1,IP:fe80::1"));
  const auto told = [&](std::string_view host) {
    const Outcome outcome = Try(scene.Context(), host, server);
    CHECK(outcome.status == absl::OkStatus());
    return outcome.server_name;
  };
  CHECK(told("a.example") == "a.example");
  CHECK(told("A.Example.") == "a.example");
  CHECK(told("www.b.example") == "www.b.example");
  CHECK(told("127.0.0.1").empty());
  CHECK(told("::1").empty());
  CHECK(told("0:0:0:0:0:0:0:1").empty());
  CHECK(told("fe80::1%lo").empty());
}

TEST_CASE("a certificate must be for the host that was asked for") {
  const Scene scene;
  const auto refused = [&](const std::string& alt, std::string_view host) {
    CheckUntrusted(Try(scene.Context(), host, TlsServerContext(scene.Issue(alt))), "for this host");
  };
  refused("DNS:other.example", "a.example");
  refused("DNS:a.example", "b.a.example");
  refused("DNS:a*.example", "ab.example");          // a part of a label
  refused("DNS:*.example.com", "a.b.example.com");  // one label, not two
  refused("IP:127.0.0.2", "127.0.0.1");
  refused("DNS:127.0.0.1", "127.0.0.1");  // an address is no name
  refused("IP:::2", "::1");
  const Identity by_common_name({.common_name = "a.example"}, &scene.authority);
  CheckUntrusted(Try(scene.Context(), "a.example", TlsServerContext(by_common_name)),
                 "for this host");
  CHECK(Try(scene.Context({.verify = false}), "b.example", TlsServerContext(by_common_name))
            .status.ok());
}

TEST_CASE("a certificate that can't be trusted is refused, and OpenSSL's reason is said") {
  const Scene scene;
  const Identity stranger({.common_name = "stranger", .authority = true});
  const auto refused = [&](const Identity& identity, const std::string& why) {
    const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    const TlsServerContext server(identity, version);
    CheckUntrusted(Try(scene.Context(), "a.example", server), "trusted: " + why);
    CHECK(Try(scene.Context({.verify = false}), "a.example", server).status.ok());
  };
  SECTION("expired") {
    refused(Identity({.alt = "DNS:a.example", .until = -60}, &scene.authority),
            "certificate has expired");
  }
  SECTION("from the future") {
    refused(Identity({.alt = "DNS:a.example", .from = 60}, &scene.authority),
            "certificate is not yet valid");
  }
  SECTION("of an authority that nobody knows") {
    refused(Identity({.alt = "DNS:a.example"}, &stranger),
            "unable to get local issuer certificate");
  }
  SECTION("signed by itself") {
    refused(Identity({.alt = "DNS:a.example"}), "self-signed certificate");
  }
}

TEST_CASE("a certificate in ca_file is trusted for itself, though its issuer is not there") {
  const Scene scene;
  const Identity middle({.common_name = "middle", .authority = true}, &scene.authority);
  const TlsServerContext server(Identity({.alt = "DNS:a.example"}, &middle));
  const std::string ca_file = scene.folder.Put("middle.pem", middle.CertificatePem());
  CHECK(Try(scene.Context({.ca_file = ca_file}), "a.example", server).status.ok());
}

TEST_CASE("a TLS server that asks for a client certificate") {
  const Scene scene;
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  const Identity clients({.common_name = "clients", .authority = true});
  const Identity client({.alt = "email:orders@a.example"}, &clients);
  const Identity stranger({.alt = "email:stranger@a.example"});
  TlsServerContext server(scene.Issue("DNS:a.example"), version);
  server.Demand(clients);
  const auto context = [&](const Identity& identity) {
    return scene.Context(
        {.client_cert_file = scene.folder.Put("client.pem", identity.CertificatePem()),
         .client_key_file = scene.folder.Put("client.key", identity.KeyPem())});
  };
  // With TLS 1.3 the refusal comes when the client is done.
  const auto refused = [&](Outcome outcome, const std::string& why) {
    if (outcome.stream != nullptr) {
      // What is written meanwhile has no reader.
      ::shutdown(outcome.peer->fd(), SHUT_RD);
      const std::string_view get = "GET /";
      CHECK(outcome.stream->Write({&get, 1}).error == EPIPE);
      std::string room(1, '\0');
      outcome.result = outcome.stream->Read(room);
      outcome.status = outcome.stream->failure();
      CHECK(outcome.result.error == 0);
    }
    CheckFailed(outcome, why);
  };
  SECTION("gets one") {
    const Outcome outcome = Try(context(client), "a.example", server);
    REQUIRE(outcome.result.state == IoState::kDone);
    const std::unique_ptr<X509, void (*)(X509*)> got(SSL_get1_peer_certificate(outcome.peer->ssl()),
                                                     X509_free);
    CHECK(X509_cmp(got.get(), client.x509()) == 0);
    CHECK(outcome.stream->failure().ok());
  }
  SECTION("gets none") {
    refused(Try(scene.Context(), "a.example", server), "the server demands a client certificate");
  }
  SECTION("gets one that it does not know") {
    refused(Try(context(stranger), "a.example", server),
            "the server refuses the client's certificate: unknown CA");
  }
}

TEST_CASE("a TLS server that speaks no version that is allowed") {
  const Scene scene;
  CheckFailed(Try(scene.Context(), "a.example",
                  TlsServerContext(scene.Issue("DNS:a.example"), TLS1_1_VERSION)),
              "the server speaks no version of TLS that is allowed here");
  CheckFailed(Try(scene.Context({.min_version = TLS1_3_VERSION}), "a.example",
                  TlsServerContext(scene.Issue("DNS:a.example"), TLS1_2_VERSION)),
              "the server speaks no version of TLS that is allowed here");
}

TEST_CASE("a TLS server chooses the protocol that was offered, or none") {
  const Scene scene;
  TlsServerContext server(scene.Issue("DNS:a.example"));
  SECTION("another one") {
    server.Choose("h2");
    // OpenSSL's releases differ in whether they say so themselves.
    CheckFailed(Try(scene.Context(), "a.example", server), "");
  }
  SECTION("none") {
    server.Choose("");
    CHECK(Try(scene.Context(), "a.example", server).status.ok());
  }
  SECTION("where none is offered") {
    const Outcome outcome = Try(scene.Context({.alpn = ""}), "a.example", server);
    CHECK(outcome.status.ok());
    CHECK_FALSE(outcome.alpn);
  }
}

TEST_CASE("a TLS server that knows no such host") {
  const Scene scene;
  const TlsServerContext server(scene.Issue("DNS:a.example"));
  SSL_CTX_set_tlsext_servername_callback(
      server.get(), +[](SSL*, int* alert, void*) -> int {
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_TLSEXT_ERR_ALERT_FATAL;
      });
  CheckFailed(Try(scene.Context(), "a.example", server), "the server knows no host of this name");
}

// A peer that is no TLS server.
struct Stranger {
  explicit Stranger(const Scene& scene)
      : handshake(scene.Context(), "a.example", 443, std::move(pair.client)) {
    // It waits for an answer, and for as long as there is none.
    for (int i = 0; i < 3; ++i) CHECK(handshake.Step().state == IoState::kWaitRead);
  }
  void Say(std::string_view text) const {
    REQUIRE(::send(pair.server.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(text.size()));
  }
  Outcome End() {
    Outcome outcome;
    outcome.result = handshake.Step();
    outcome.status = handshake.status();
    CHECK(ERR_peek_error() == 0);
    CHECK(handshake.Step().state == IoState::kLost);
    return outcome;
  }
  TlsSockets pair;
  TlsHandshake handshake;
};

TEST_CASE("TLS with a peer that does not speak it") {
  const Scene scene;
  Stranger stranger(scene);
  stranger.Say(GENERATE("HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.2p1\r\n",
                        "220 mail.example ESMTP\r\n", "-ERR unknown command\r\n"));
  CheckFailed(stranger.End(), "the peer does not speak TLS");
}

TEST_CASE("TLS with a peer that ends the connection") {
  const Scene scene;
  Stranger stranger(scene);
  SECTION("well") {
    char bytes[4096];
    CHECK(::recv(stranger.pair.server.get(), bytes, sizeof bytes, 0) > 0);
    stranger.pair.server.Reset();
    CheckFailed(stranger.End(), "the peer closed the connection");
  }
  SECTION("in the midst of a record") {
    char bytes[4096];
    CHECK(::recv(stranger.pair.server.get(), bytes, sizeof bytes, 0) > 0);
    stranger.Say(std::string_view("\x16\x03\x03\x00", 4));
    stranger.pair.server.Reset();
    CheckFailed(stranger.End(), "the peer closed the connection");
  }
  SECTION("without having read what it was sent") {
    stranger.pair.server.Reset();
    const Outcome outcome = stranger.End();
    CheckFailed(outcome, "Connection reset by peer");
    CHECK(outcome.result.error == ECONNRESET);
  }
}

TEST_CASE("a TLS handshake with what can't be the name of a host fails before a byte is sent") {
  const Scene scene;
  for (const std::string& host : {std::string(256, 'a'), std::string("a\0b", 3)}) {
    TlsSockets pair;
    TlsHandshake handshake(scene.Context(), host, 443, std::move(pair.client));
    CHECK(handshake.Step().state == IoState::kLost);
    CHECK(handshake.status().code() == Code::kInvalidArgument);
    CHECK(TransportErrorOf(handshake.status()) == TransportError::kRequest);
    char byte = 0;
    CHECK(::recv(pair.server.get(), &byte, 1, 0) < 0);
  }
}

TEST_CASE("a TLS handshake to a peer that is gone raises no SIGPIPE") {
  const test::DefaultSigpipe sigpipe;
  const Scene scene;
  TlsSockets pair;
  pair.server.Reset();
  TlsHandshake handshake(scene.Context(), "a.example", 443, std::move(pair.client));
  CHECK(handshake.Step().error == EPIPE);
  CHECK_THAT(std::string(handshake.status().message()), ContainsSubstring("Broken pipe"));
}

TEST_CASE("TLS does not mind what others left in OpenSSL's queue of errors") {
  const Scene scene;
  const TlsServerContext server(scene.Issue("DNS:a.example"));
  TlsSockets pair;
  TlsPeer peer(server, std::move(pair.server));
  TlsHandshake handshake(scene.Context(), "a.example", 443, std::move(pair.client));
  IoResult result;
  do {
    ERR_raise(ERR_LIB_SSL, SSL_R_BAD_LENGTH);
    result = handshake.Step();
    CHECK(ERR_peek_error() == 0);
    peer.Shake();
  } while (result.state == IoState::kWaitRead);
  CHECK(result.state == IoState::kDone);
}

TEST_CASE("a TLS handshake that ends anyhow leaves no descriptor open") {
  const Scene scene;
  const TlsServerContext server(scene.Issue("DNS:a.example"));
  const int before = test::OpenDescriptors();
  for (const char* host : {"a.example", "b.example"}) (void)Try(scene.Context(), host, server);
  {
    TlsSockets pair;
    TlsHandshake begun(scene.Context(), "a.example", 443, std::move(pair.client));
    (void)begun.Step();
  }
  CHECK(test::OpenDescriptors() == before);
}

// How often a server resumed, of three connections one after the other.
int Resumed(const std::shared_ptr<TlsContext>& context, const TlsServerContext& server,
            std::string_view host = "a.example") {
  int resumed = 0;
  for (int i = 0; i < 3; ++i) {
    Outcome outcome = Try(context, host, server);
    REQUIRE(outcome.result.state == IoState::kDone);
    outcome.peer->Write("200");
    CHECK(ReadAll(outcome) == "200");  // and the tickets before it
    resumed += outcome.peer->resumed() ? 1 : 0;
  }
  return resumed;
}

TEST_CASE("TLS sessions are resumed, with the same server and context only") {
  const Scene scene;
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  const TlsServerContext server(scene.Issue("DNS:a.example,DNS:b.example"), version);
  const auto context = scene.Context();
  CHECK(Resumed(context, server) == 2);
  CHECK(Resumed(context, server) == 3);
  CHECK(Resumed(context, server, "A.EXAMPLE") == 3);
  CHECK(Resumed(context, server, "b.example") == 2);
  CHECK(Resumed(scene.Context(), server) == 2);
}

TEST_CASE("a TLS connection that is dropped without a farewell leaves its session good") {
  const Scene scene;
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  const TlsServerContext server(scene.Issue("DNS:a.example"), version);
  const auto context = scene.Context();
  {
    Outcome cut = Try(context, "a.example", server);
    cut.peer->Write("200");
    CHECK(ReadAll(cut) == "200");
    cut.peer->Cut();
    std::string room(1, '\0');
    CHECK(cut.stream->Read(room).state == IoState::kLost);
  }
  CHECK(Try(context, "a.example", server).peer->resumed());
}

TEST_CASE("a TLS 1.3 ticket is used once") {
  const Scene scene;
  const TlsServerContext server(scene.Issue("DNS:a.example"));
  const auto context = scene.Context();
  SSL_CTX_set_num_tickets(server.get(), 2);
  Outcome first = Try(context, "a.example", server);
  first.peer->Write("200");
  CHECK(ReadAll(first) == "200");
  CHECK(context->sessions().size() == 2);
  // None of these reads, and so none gets more.
  const Outcome second = Try(context, "a.example", server);
  const Outcome third = Try(context, "a.example", server);
  const Outcome fourth = Try(context, "a.example", server);
  CHECK(second.peer->resumed());
  CHECK(third.peer->resumed());
  CHECK_FALSE(fourth.peer->resumed());
}

TEST_CASE("after a failed TLS handshake nothing is resumed") {
  const Scene scene;
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  TlsServerContext server(scene.Issue("DNS:a.example"), version);
  const auto context = scene.Context();
  REQUIRE(Resumed(context, server) == 2);
  REQUIRE(context->sessions().size() > 0);
  {
    TlsSockets pair;
    TlsHandshake handshake(context, "a.example", 443, std::move(pair.client));
    CHECK(handshake.Step().state == IoState::kWaitRead);
    pair.server.Reset();
    CHECK(handshake.Step().state == IoState::kLost);
  }
  CHECK(context->sessions().size() == 0);
  CHECK_FALSE(Try(context, "a.example", server).peer->resumed());
}

TEST_CASE("a session that a TLS server does not know any more costs a whole handshake") {
  const Scene scene;
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  const Identity identity = scene.Issue("DNS:a.example");
  const auto context = scene.Context();
  CHECK(Resumed(context, TlsServerContext(identity, version)) == 2);
  CHECK(Resumed(context, TlsServerContext(identity, version)) == 2);
}

}  // namespace
}  // namespace holdfast::http::internal::tls_handshake_test
