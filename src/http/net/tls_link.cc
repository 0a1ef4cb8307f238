#include "src/http/net/tls_link.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <string_view>
#include <utility>

namespace holdfast::http::internal {
namespace {

// That says nothing against the session: servers end idle connections so.
bool IsCut(unsigned long error) {
  return ERR_GET_LIB(error) == ERR_LIB_SSL &&
         ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

}  // namespace

TlsLink::TlsLink(std::shared_ptr<TlsContext> context, std::string server, Descriptor socket,
                 std::optional<SocketList::Entry> listed)
    : context_(std::move(context)),
      server_(std::move(server)),
      socket_(std::move(socket), std::move(listed)) {
  const TlsErrorQueue queue;
  ssl_.reset(SSL_new(context_->get()));
  BIO* const bio = ssl_ == nullptr ? nullptr : socket_.Make();
  if (bio == nullptr) {
    ssl_.reset();
    return;
  }
  SSL_set_bio(ssl_.get(), bio, bio);  // which owns it now
  SSL_set_connect_state(ssl_.get());
  SSL_set_cert_cb(ssl_.get(), OnAsked, this);
  TlsSessions::SetServer(ssl_.get(), server_);
  if (const TlsSession session = context_->sessions().Take(server_)) {
    SSL_set_session(ssl_.get(), session.get());  // if it refuses, the handshake is a whole one
  }
}

// Called when the server asks for a certificate, before the answer is made.
int TlsLink::OnAsked(SSL* ssl, void* link) {
  static_cast<TlsLink*>(link)->client_ =
      SSL_get_certificate(ssl) != nullptr ? TlsFault::Client::kNamed : TlsFault::Client::kUnnamed;
  return 1;
}

TlsFault TlsLink::FaultOf(unsigned long error) const {
  return {.error = error,
          .socket_error = error == 0 ? socket_.error() : 0,
          .verify_result = SSL_get_verify_result(ssl_.get()),
          .spoke_tls = socket_.spoke_tls(),
          .answered = false,
          .client = client_};
}

IoResult TlsLink::Judge(int result, const TlsErrorQueue& queue) {
  const unsigned long error = queue.Cause();
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return {.state = IoState::kWaitRead, .bytes = 0, .error = 0};
    case SSL_ERROR_WANT_WRITE:
      return {.state = IoState::kWaitWrite, .bytes = 0, .error = 0};
    case SSL_ERROR_ZERO_RETURN:
      if (socket_.error() == 0) return {.state = IoState::kEnd, .bytes = 0, .error = 0};
      break;  // a write that failed after the peer's farewell
    case SSL_ERROR_SYSCALL:
      break;
    default:
      broken_ = true;
      if (!IsCut(error)) ForgetSessions();
      break;
  }
  const TlsFault fault = FaultOf(error);
  // What the peer says of it is read after a write to it failed.
  if (!fault_ || fault_->error == 0) fault_ = fault;
  return {.state = IoState::kLost, .bytes = 0, .error = fault.socket_error};
}

bool TlsLink::Between() const {
  const SSL* const ssl = ssl_.get();
  return SSL_has_pending(ssl) == 1 || SSL_in_init(ssl) == 1 ||
         std::string_view(SSL_rstate_string(ssl)) == "RB";
}

}  // namespace holdfast::http::internal
