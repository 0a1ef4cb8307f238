#include "src/http/net/tls_error.h"

#include <absl/strings/cord.h>
#include <absl/strings/str_cat.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

#include <optional>
#include <system_error>

#include "holdfast/base/internal/string_view.h"
#include "holdfast/http/transport_error.h"

namespace holdfast::http::internal {
namespace {

using holdfast::internal::ToAbsl;

constexpr absl::string_view kDemandsCertificate = "the server demands a client certificate";

// The number of the alert that the peer sent; nullopt if it sent none.
std::optional<int> AlertOf(unsigned long error) {
  if (ERR_GET_LIB(error) != ERR_LIB_SSL || ERR_GET_REASON(error) < SSL_AD_REASON_OFFSET) {
    return std::nullopt;
  }
  return ERR_GET_REASON(error) - SSL_AD_REASON_OFFSET;
}

bool IsReason(unsigned long error, int reason) {
  return ERR_GET_LIB(error) == ERR_LIB_SSL && ERR_GET_REASON(error) == reason;
}

// Alerts by which a server says what it thinks of the client's certificate (RFC 8446, 6.2).
bool IsAboutCertificate(int alert) {
  switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_DECRYPT_ERROR:
    case SSL_AD_CERTIFICATE_REQUIRED:
      return true;
    default:
      return false;
  }
}

// Servers differ in the alert by which they say that there should be a certificate. TLS 1.2 has
// none for it.
std::string AlertText(int alert, TlsFault::Client client) {
  const bool about_certificate = IsAboutCertificate(alert);
  if (alert == SSL_AD_CERTIFICATE_REQUIRED ||
      (client == TlsFault::Client::kUnnamed &&
       (about_certificate || alert == SSL_AD_HANDSHAKE_FAILURE))) {
    return std::string(kDemandsCertificate);
  }
  const char* const name = SSL_alert_desc_string_long(alert);
  if (about_certificate && client == TlsFault::Client::kNamed) {
    return absl::StrCat("the server refuses the client's certificate: ", name);
  }
  switch (alert) {
    case SSL_AD_PROTOCOL_VERSION:
      return "the server speaks no version of TLS that is allowed here";
    case SSL_AD_UNRECOGNIZED_NAME:
      return "the server knows no host of this name";
    case SSL_AD_HANDSHAKE_FAILURE:
      return "the server accepts nothing of what it was offered (handshake failure)";
    default:
      return absl::StrCat("the server's alert: ", name);
  }
}

std::string Reason(const TlsFault& fault) {
  if (!fault.spoke_tls) return "the peer does not speak TLS";
  if (const std::optional<int> alert = AlertOf(fault.error)) {
    return AlertText(*alert, fault.client);
  }
  if (fault.socket_error != 0) return std::generic_category().message(fault.socket_error);
  if (fault.error == 0 || IsReason(fault.error, SSL_R_UNEXPECTED_EOF_WHILE_READING)) {
    return "the peer closed the connection";
  }
  if (IsReason(fault.error, SSL_R_UNSUPPORTED_PROTOCOL)) {
    return "the server speaks no version of TLS that is allowed here";
  }
  return TlsReason(fault.error);
}

absl::Status Unavailable(absl::string_view what, const TlsFault& fault, TransportError kind) {
  return WithTransportError(
      absl::UnavailableError(absl::StrCat("TLS: ", what, ": ", Reason(fault))), kind);
}

absl::Status Untrusted(absl::string_view what) {
  return WithTransportError(
      absl::FailedPreconditionError(absl::StrCat("TLS: the server's certificate is not ", what)),
      TransportError::kCertificate);
}

}  // namespace

unsigned long TlsErrorQueue::Cause() const { return ERR_peek_error(); }

// To look costs less than to clear.
void TlsErrorQueue::Clear() {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

std::string TlsReason(unsigned long error) {
  if (error == 0) return "no reason is known";
  if (ERR_SYSTEM_ERROR(error)) return std::generic_category().message(ERR_GET_REASON(error));
  const char* const reason = ERR_reason_error_string(error);
  return reason != nullptr ? reason : absl::StrCat("OpenSSL's error ", absl::Hex(error));
}

absl::Status HandshakeError(const TlsFault& fault) {
  if (!IsReason(fault.error, SSL_R_CERTIFICATE_VERIFY_FAILED)) {
    return Unavailable("the handshake failed", fault, TransportError::kTls);
  }
  switch (fault.verify_result) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return Untrusted("for this host");
    default:
      return Untrusted(
          absl::StrCat("trusted: ", X509_verify_cert_error_string(fault.verify_result)));
  }
}

absl::Status ConnectionError(const TlsFault& fault) {
  const std::optional<int> alert = AlertOf(fault.error);
  const bool refused = !fault.answered && alert && IsAboutCertificate(*alert) &&
                       fault.client != TlsFault::Client::kNotAsked;
  if (refused) return Unavailable("the handshake failed", fault, TransportError::kTls);
  return Unavailable("the connection was lost", fault, TransportError::kOutcomeUnknown);
}

absl::Status LoadError(std::string_view what, std::string_view file, std::string_view reason) {
  return WithTransportError(
      absl::FailedPreconditionError(absl::StrCat("TLS: ", ToAbsl(what), " can't be loaded from \"",
                                                 ToAbsl(file), "\": ", ToAbsl(reason))),
      TransportError::kCertificate);
}

absl::Status LoadError(std::string_view what, std::string_view file, const TlsErrorQueue& queue) {
  return LoadError(what, file, TlsReason(queue.Cause()));
}

absl::Status AtPeer(std::string_view where, const absl::Status& error) {
  absl::Status status(error.code(), absl::StrCat(ToAbsl(where), ": ", error.message()));
  error.ForEachPayload([&status](absl::string_view type, const absl::Cord& payload) {
    status.SetPayload(type, payload);
  });
  return status;
}

}  // namespace holdfast::http::internal
