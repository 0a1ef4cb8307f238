#include "src/http/net/tls_handshake.h"

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <string>
#include <utility>

#include "holdfast/base/internal/string_view.h"
#include "holdfast/http/transport_error.h"

namespace holdfast::http::internal {
namespace {

using holdfast::internal::ToAbsl;

bool IsAddress(const std::string& host) {
  in6_addr address;
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

// As it is compared and sent.
std::string Canonical(std::string_view host) {
  if (host.find(':') != std::string_view::npos) host = host.substr(0, host.find('%'));
  if (host.size() > 1 && host.back() == '.') host.remove_suffix(1);
  return absl::AsciiStrToLower(ToAbsl(host));
}

absl::Status HandshakeFailed(absl::string_view why) {
  return WithTransportError(
      absl::UnavailableError(absl::StrCat("TLS: the handshake failed: ", why)),
      TransportError::kTls);
}

// Who the certificate must be for.
bool Expect(X509_VERIFY_PARAM* param, const std::string& host, bool is_address) {
  X509_VERIFY_PARAM_set_hostflags(
      param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  return (is_address ? X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str())
                     : X509_VERIFY_PARAM_set1_host(param, host.data(), host.size())) == 1;
}

}  // namespace

TlsHandshake::TlsHandshake(std::shared_ptr<TlsContext> context, std::string_view host, int port,
                           Descriptor socket, std::optional<SocketList::Entry> listed) {
  const std::string canonical = Canonical(host);
  link_ = std::make_unique<TlsLink>(std::move(context), absl::StrCat(canonical, " ", port),
                                    std::move(socket), std::move(listed));
  if (link_->ssl() == nullptr) {
    status_ = WithTransportError(absl::ResourceExhaustedError("TLS: no memory for a connection"),
                                 TransportError::kTls);
  } else {
    Begin(canonical);
  }
}

void TlsHandshake::Begin(std::string_view host) {
  const TlsErrorQueue queue;
  const std::string name(host);
  const bool is_address = IsAddress(name);
  SSL* const ssl = link_->ssl();
  const bool told = is_address || SSL_set_tlsext_host_name(ssl, name.c_str()) == 1;
  if (told && (!link_->context().verify() || Expect(SSL_get0_param(ssl), name, is_address))) return;
  status_ =
      WithTransportError(absl::InvalidArgumentError(absl::StrCat("TLS: \"", absl::CHexEscape(name),
                                                                 "\" can't be the name of a host")),
                         TransportError::kRequest);
}

IoResult TlsHandshake::Step() {
  constexpr IoResult kLost = {.state = IoState::kLost, .bytes = 0, .error = 0};
  if (!status_.ok()) return kLost;
  const IoResult result =
      link_->Run([](SSL* ssl, std::size_t& /*bytes*/) { return SSL_do_handshake(ssl); });
  switch (result.state) {
    case IoState::kWaitRead:
    case IoState::kWaitWrite:
      return result;
    case IoState::kDone:
      status_ = CheckProtocol();
      return status_.ok() ? result : kLost;
    case IoState::kEnd:  // a farewell in its midst
    case IoState::kLost:
      break;
  }
  link_->ForgetSessions();  // the next one is to fail of nothing that this one was resumed from
  status_ = HandshakeError(link_->fault().value_or(TlsFault()));
  return {.state = IoState::kLost, .bytes = 0, .error = result.error};
}

// Early releases of OpenSSL 3.0 take whatever the server chose. One that chose nothing speaks
// HTTP/1.1.
absl::Status TlsHandshake::CheckProtocol() {
  const unsigned char* chosen = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(link_->ssl(), &chosen, &size);
  const absl::string_view protocol(reinterpret_cast<const char*>(chosen), size);
  if (size == 0 || protocol == link_->context().alpn()) return absl::OkStatus();
  return HandshakeFailed(absl::StrCat("the server chose the protocol \"",
                                      absl::CHexEscape(protocol), "\", which was not offered"));
}

bool TlsHandshake::resumed() const {
  return link_ != nullptr && SSL_session_reused(link_->ssl()) == 1;
}

std::unique_ptr<TlsStream> TlsHandshake::Take() {
  return std::make_unique<TlsStream>(std::move(link_));
}

}  // namespace holdfast::http::internal
