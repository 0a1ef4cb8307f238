// TLS sessions to resume, which spares a connection half of its handshake.
#ifndef HOLDFAST_SRC_HTTP_NET_TLS_SESSIONS_H_
#define HOLDFAST_SRC_HTTP_NET_TLS_SESSIONS_H_

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::http::internal {

struct TlsSessionFree {
  void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using TlsSession = std::unique_ptr<SSL_SESSION, TlsSessionFree>;

// The sessions of one SSL_CTX, by server: a session vouches for a name that was verified, so that
// one of another name must not be found. Thread-safe.
//
// No two connections share a session, since OpenSSL changes the one of a connection that fails. A
// TLS 1.3 ticket is for one connection (RFC 8446, C.4), so it is taken out; a TLS 1.2 session is
// for any number of them, and each gets a copy.
class TlsSessions {
 public:
  static constexpr std::size_t kServers = 64;   // then the one used least lately goes
  static constexpr std::size_t kPerServer = 8;  // TLS 1.3; then the oldest goes

  TlsSessions() = default;
  TlsSessions(const TlsSessions&) = delete;
  TlsSessions& operator=(const TlsSessions&) = delete;

  // Has connections of `context` put in the sessions that servers give them. Both `context` and
  // what is made from it must end before this.
  void Attach(SSL_CTX* context);

  // Says whose sessions `ssl` gets. `server` must outlive it.
  static void SetServer(SSL* ssl, const std::string& server);

  void Put(std::string_view server, const SSL_SESSION& session);

  // The newest; null if there is none.
  TlsSession Take(std::string_view server);

  // After a failure of TLS: what it was resumed from is not to be tried again.
  void Forget(std::string_view server);

  std::size_t size() const;

 private:
  struct Server {
    std::string name;
    std::vector<TlsSession> sessions;  // the newest last
  };

  Server* Find(std::string_view name);

  mutable std::mutex mutex_;
  std::vector<Server> servers_;  // the one used latest last
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_TLS_SESSIONS_H_
