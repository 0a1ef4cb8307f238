#ifndef HOLDFAST_TEST_HTTP_NET_TLS_PEER_H_
#define HOLDFAST_TEST_HTTP_NET_TLS_PEER_H_

// The other end of a connection with TLS, driven by the thread of the test.

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "src/http/net/descriptor.h"
#include "src/http/net/stream.h"
#include "src/http/net/tls_handshake.h"
#include "test/http/net/tls_identity.h"

namespace holdfast::test {

using http::internal::Descriptor;
using http::internal::IoResult;
using http::internal::IoState;

// Two sockets that are connected with each other.
struct TlsSockets {
  TlsSockets() {
    std::array<int, 2> ends = {};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      std::abort();
    }
    client.Reset(ends[0]);
    server.Reset(ends[1]);
  }
  void MakeSmall() const {
    const int size = 4096;
    for (const int end : {client.get(), server.get()}) {
      ::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    }
  }
  Descriptor client;
  Descriptor server;
};

// What a server's connections have in common.
class TlsServerContext {
 public:
  explicit TlsServerContext(const Identity& identity, int max_version = TLS1_3_VERSION)
      : context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free) {
    SSL_CTX_set_security_level(get(), 0);
    SSL_CTX_set_min_proto_version(get(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(get(), max_version);
    SSL_CTX_use_certificate(get(), identity.x509());
    SSL_CTX_use_PrivateKey(get(), identity.key());
    const unsigned char name = 'h';
    SSL_CTX_set_session_id_context(get(), &name, 1);
    SSL_CTX_set_alpn_select_cb(get(), OnAlpn, this);
  }
  TlsServerContext(const TlsServerContext&) = delete;
  TlsServerContext& operator=(const TlsServerContext&) = delete;

  // Clients must have a certificate of `authority`.
  void Demand(const Identity& authority) {
    SSL_CTX_set_verify(get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(get()), authority.x509());
  }
  // What it chooses, whatever it is offered; empty: nothing.
  void Choose(std::string_view protocol) { chosen_ = protocol; }

  SSL_CTX* get() const { return context_.get(); }

 private:
  static int OnAlpn(SSL*, const unsigned char** out, unsigned char* size, const unsigned char*,
                    unsigned, void* self) {
    const std::string& chosen = static_cast<TlsServerContext*>(self)->chosen_;
    if (chosen.empty()) return SSL_TLSEXT_ERR_NOACK;
    *out = reinterpret_cast<const unsigned char*>(chosen.data());
    *size = static_cast<unsigned char>(chosen.size());
    return SSL_TLSEXT_ERR_OK;
  }

  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  std::string chosen_ = "http/1.1";
};

// The server's end of one connection. OpenSSL reads and writes memory, and Pump() moves that to and
// from the socket: at most `at_once` bytes each way, as a relay between them would.
class TlsPeer {
 public:
  TlsPeer(const TlsServerContext& context, Descriptor socket, std::size_t at_once = 1 << 20)
      : ssl_(SSL_new(context.get()), SSL_free), socket_(std::move(socket)), at_once_(at_once) {
    SSL_set_bio(ssl(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(ssl());
  }

  SSL* ssl() const { return ssl_.get(); }
  int fd() const { return socket_.get(); }
  bool resumed() const { return SSL_session_reused(ssl()) == 1; }

  // A step of the handshake; whether it is done.
  bool Shake() {
    ERR_clear_error();
    Receive();
    const int result = SSL_do_handshake(ssl());
    failed_ = result != 1 && SSL_get_error(ssl(), result) == SSL_ERROR_SSL;
    ERR_clear_error();
    Send();
    return result == 1;
  }
  bool failed() const { return failed_; }

  // What has come since it was last asked.
  std::string Read() {
    Receive();
    std::string all;
    std::array<char, 4096> room;
    for (;;) {
      ERR_clear_error();
      const int size = SSL_read(ssl(), room.data(), room.size());
      if (size <= 0) break;
      all.append(room.data(), static_cast<std::size_t>(size));
    }
    ERR_clear_error();
    Send();
    return all;
  }

  // Makes a record, which is sent as far as the socket takes it.
  void Write(std::string_view bytes) {
    Seal(bytes);
    Send();
  }
  void Seal(std::string_view bytes) {
    ERR_clear_error();
    SSL_write(ssl(), bytes.data(), static_cast<int>(bytes.size()));
    ERR_clear_error();
    Collect();
  }
  void Collect() {
    std::array<char, 4096> room;
    for (int size = 0; (size = BIO_read(SSL_get_wbio(ssl()), room.data(), room.size())) > 0;) {
      out_.append(room.data(), static_cast<std::size_t>(size));
    }
  }

  void CloseNotify() {
    SSL_shutdown(ssl());
    ERR_clear_error();
    Send();
  }
  bool saw_close_notify() const { return (SSL_get_shutdown(ssl()) & SSL_RECEIVED_SHUTDOWN) != 0; }
  bool saw_end() const { return ended_; }

  void Cut() { socket_.Reset(); }

  // What is to be sent: as much as the socket takes, and at most `limit` or at_once.
  void Send(std::size_t limit = std::string::npos) {
    Collect();
    const std::size_t size = std::min({limit, at_once_, out_.size()});
    const ssize_t sent = ::send(fd(), out_.data(), size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) out_.erase(0, static_cast<std::size_t>(sent));
  }
  std::size_t unsent() const { return out_.size(); }

 private:
  void Receive() {
    std::string room(std::min<std::size_t>(at_once_, 1 << 16), '\0');
    const ssize_t size = ::recv(fd(), room.data(), room.size(), MSG_DONTWAIT);
    if (size == 0) ended_ = true;
    if (size > 0) BIO_write(SSL_get_rbio(ssl()), room.data(), static_cast<int>(size));
  }

  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  Descriptor socket_;
  std::size_t at_once_;
  std::string out_;
  bool failed_ = false;
  bool ended_ = false;
};

// Steps both sides until the client's has ended; kWaitRead: neither gets on.
inline IoResult Shake(http::internal::TlsHandshake& client, TlsPeer& server) {
  for (int round = 0; round < 100'000; ++round) {
    const IoResult result = client.Step();
    const bool done = server.Shake();
    const bool over = done || server.failed();
    if (result.state == IoState::kLost || (result.state == IoState::kDone && over)) return result;
  }
  return {.state = IoState::kWaitRead, .bytes = 0, .error = 0};
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_NET_TLS_PEER_H_
