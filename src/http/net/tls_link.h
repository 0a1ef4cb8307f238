// An SSL over a socket, and what lives as long as it.
#ifndef HOLDFAST_SRC_HTTP_NET_TLS_LINK_H_
#define HOLDFAST_SRC_HTTP_NET_TLS_LINK_H_

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "src/http/net/descriptor.h"
#include "src/http/net/stream.h"
#include "src/http/net/tls_bio.h"
#include "src/http/net/tls_context.h"
#include "src/http/net/tls_error.h"
#include "src/http/socket_list.h"

namespace holdfast::http::internal {

// What a handshake and then a stream use. One thread at a time. The destructor says nothing to the
// peer.
class TlsLink {
 public:
  // `server` is whose sessions are resumed and kept.
  TlsLink(std::shared_ptr<TlsContext> context, std::string server, Descriptor socket,
          std::optional<SocketList::Entry> listed);
  TlsLink(const TlsLink&) = delete;
  TlsLink& operator=(const TlsLink&) = delete;

  TlsContext& context() { return *context_; }
  TlsBio& socket() { return socket_; }
  SSL* ssl() { return ssl_.get(); }  // null where there was no memory for it
  const SSL* ssl() const { return ssl_.get(); }

  // Runs an operation of OpenSSL: int(SSL*, std::size_t& bytes), which returns 1 if it succeeded.
  template <class Operation>
  IoResult Run(const Operation& operation) {
    const TlsErrorQueue queue;
    socket_.Begin();
    std::size_t bytes = 0;
    const int result = operation(ssl_.get(), bytes);
    if (result == 1) return {.state = IoState::kDone, .bytes = bytes, .error = 0};
    return Judge(result, queue);
  }

  // Resumes none of the server's sessions of so far.
  void ForgetSessions() { context_->sessions().Forget(server_); }

  // Of the first operation that was kLost, or of a later one that TLS knows more of; nullopt: none
  // was.
  const std::optional<TlsFault>& fault() const { return fault_; }
  // Whether TLS itself has failed, or was cut: then OpenSSL must not be asked for more.
  bool broken() const { return broken_; }

  // Whether a record has begun, or a message of a handshake, and its rest is still to come; known
  // after an operation that was kWaitRead.
  bool Between() const;

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };

  static int OnAsked(SSL* ssl, void* link);

  IoResult Judge(int result, const TlsErrorQueue& queue);
  TlsFault FaultOf(unsigned long error) const;

  std::shared_ptr<TlsContext> context_;
  const std::string server_;
  TlsBio socket_;
  TlsFault::Client client_ = TlsFault::Client::kNotAsked;
  bool broken_ = false;
  std::optional<TlsFault> fault_;
  std::unique_ptr<SSL, Free> ssl_;  // the last: it uses the others
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_TLS_LINK_H_
