#include "src/http/net/tls_error.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <cerrno>
#include <string>

#include "holdfast/http/transport_error.h"
#include "test/support/catch.h"

namespace holdfast::http::internal::tls_error_test {
namespace {

using test::ContainsSubstring;
using Client = TlsFault::Client;

unsigned long Alert(int number) { return ERR_PACK(ERR_LIB_SSL, 0, SSL_AD_REASON_OFFSET + number); }

std::string Said(const absl::Status& status) { return std::string(status.message()); }

TEST_CASE("an alert of a TLS server says what it thinks of the client, where it asked") {
  const auto said = [](int alert, Client client) {
    const absl::Status status = HandshakeError({.error = Alert(alert), .client = client});
    CHECK(TransportErrorOf(status) == TransportError::kTls);
    return Said(status).substr(std::string("TLS: the handshake failed: ").size());
  };
  const std::string demands = "the server demands a client certificate";
  CHECK(said(SSL_AD_CERTIFICATE_REQUIRED, Client::kUnnamed) == demands);
  CHECK(said(SSL_AD_HANDSHAKE_FAILURE, Client::kUnnamed) == demands);
  CHECK(said(SSL_AD_BAD_CERTIFICATE, Client::kUnnamed) == demands);
  CHECK(said(SSL_AD_BAD_CERTIFICATE, Client::kNamed) ==
        "the server refuses the client's certificate: bad certificate");
  CHECK(said(SSL_AD_BAD_CERTIFICATE, Client::kNotAsked) == "the server's alert: bad certificate");
  CHECK(said(SSL_AD_HANDSHAKE_FAILURE, Client::kNamed) ==
        "the server accepts nothing of what it was offered (handshake failure)");
  CHECK(said(SSL_AD_INTERNAL_ERROR, Client::kNotAsked) == "the server's alert: internal error");
}

TEST_CASE("a request is known to be unseen only if TLS refused its client before any answer") {
  TlsFault fault = {.error = Alert(SSL_AD_UNKNOWN_CA), .client = Client::kNamed};
  CHECK(TransportErrorOf(ConnectionError(fault)) == TransportError::kTls);
  fault.answered = true;
  CHECK(TransportErrorOf(ConnectionError(fault)) == TransportError::kOutcomeUnknown);
  fault = {.error = Alert(SSL_AD_UNKNOWN_CA), .client = Client::kNotAsked};
  CHECK(TransportErrorOf(ConnectionError(fault)) == TransportError::kOutcomeUnknown);
  fault = {.error = Alert(SSL_AD_INTERNAL_ERROR), .client = Client::kNamed};
  CHECK(TransportErrorOf(ConnectionError(fault)) == TransportError::kOutcomeUnknown);
  CHECK(TransportErrorOf(ConnectionError({.socket_error = ECONNRESET})) ==
        TransportError::kOutcomeUnknown);
}

TEST_CASE("what verification found counts only if the TLS handshake failed of it") {
  const unsigned long refused = ERR_PACK(ERR_LIB_SSL, 0, SSL_R_CERTIFICATE_VERIFY_FAILED);
  const absl::Status untrusted =
      HandshakeError({.error = refused, .verify_result = X509_V_ERR_CERT_REVOKED});
  CHECK(untrusted.code() == absl::StatusCode::kFailedPrecondition);
  CHECK_THAT(Said(untrusted), ContainsSubstring("certificate revoked"));
  const absl::Status lost =
      HandshakeError({.socket_error = ECONNRESET, .verify_result = X509_V_ERR_CERT_REVOKED});
  CHECK(lost.code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("an error of TLS keeps its code and its kind when it is told where it was") {
  const absl::Status error =
      AtPeer("https://a.example", HandshakeError({.socket_error = ECONNRESET}));
  CHECK(error.code() == absl::StatusCode::kUnavailable);
  CHECK(TransportErrorOf(error) == TransportError::kTls);
  CHECK(Said(error) == "https://a.example: TLS: the handshake failed: Connection reset by peer");
}

TEST_CASE("an error of OpenSSL is told in its words, and one of the system in the system's") {
  OPENSSL_init_ssl(OPENSSL_INIT_LOAD_SSL_STRINGS, nullptr);  // as a context does
  CHECK(TlsReason(ERR_PACK(ERR_LIB_SSL, 0, SSL_R_BAD_LENGTH)) == "bad length");
  CHECK(TlsReason(ERR_SYSTEM_FLAG | ENOENT) == "No such file or directory");
  CHECK_THAT(TlsReason(ERR_PACK(ERR_LIB_USER, 0, 77)), ContainsSubstring("OpenSSL's error"));
  CHECK(TlsReason(0) == "no reason is known");
}

}  // namespace
}  // namespace holdfast::http::internal::tls_error_test
