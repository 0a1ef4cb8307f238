// What connections with TLS to one origin have in common.
#ifndef HOLDFAST_SRC_HTTP_NET_TLS_CONTEXT_H_
#define HOLDFAST_SRC_HTTP_NET_TLS_CONTEXT_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "src/http/net/tls_sessions.h"

namespace holdfast::http::internal {

struct TlsOptions {
  std::string ca_file = {};           // PEM; empty: the system's authorities
  bool verify = true;                 // the certificate and the host in it
  std::string client_cert_file = {};  // PEM, the certificates of its issuers after it;
  std::string client_key_file = {};   // both or none; not encrypted
  // TLS1_2_VERSION or TLS1_3_VERSION. Where the system's configuration of OpenSSL asks for more,
  // that counts.
  int min_version = TLS1_2_VERSION;
  std::string alpn = "http/1.1";  // the protocol that is offered; empty: none
};

// kInvalidArgument says what is out of range.
absl::Status Validate(const TlsOptions& options);

// An SSL_CTX made of files as they were, which does not change, and the sessions of its
// connections, which must end before it. Thread-safe.
class TlsContext {
 public:
  // Takes tens of milliseconds, most of it for the system's authorities. A certificate in ca_file
  // is trusted for itself, whether its own issuer is there or not: whoever names a file means what
  // is in it. kFailedPrecondition with TransportError::kCertificate names the file and the reason.
  static absl::StatusOr<std::shared_ptr<TlsContext>> Load(const TlsOptions& options);

  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  SSL_CTX* get() const { return context_.get(); }
  bool verify() const { return verify_; }
  const std::string& alpn() const { return alpn_; }
  TlsSessions& sessions() { return sessions_; }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };

  explicit TlsContext(const TlsOptions& options);

  absl::Status Configure(const TlsOptions& options);
  absl::Status LoadClient(const TlsOptions& options);
  absl::Status LoadAuthorities(const TlsOptions& options);

  bool verify_;
  std::string alpn_;
  TlsSessions sessions_;
  std::unique_ptr<SSL_CTX, Free> context_;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_TLS_CONTEXT_H_
