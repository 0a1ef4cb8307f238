#include "src/http/net/tls_sessions.h"

#include <algorithm>
#include <new>
#include <utility>

namespace holdfast::http::internal {
namespace {

bool IsForOneUse(const SSL_SESSION& session) {
  return SSL_SESSION_get_protocol_version(&session) >= TLS1_3_VERSION;
}

// As OpenSSL calls it: 0 leaves the session to the connection.
int OnSession(SSL* ssl, SSL_SESSION* session) {
  auto* const sessions = static_cast<TlsSessions*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  const auto* const server = static_cast<const std::string*>(SSL_get_app_data(ssl));
  if (sessions == nullptr || server == nullptr) return 0;
  try {
    sessions->Put(*server, *session);
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): the next handshake is whole
  }
  return 0;
}

}  // namespace

void TlsSessions::Attach(SSL_CTX* context) {
  SSL_CTX_set_app_data(context, this);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, OnSession);
}

// OpenSSL's app data has no const; it is only read.
void TlsSessions::SetServer(SSL* ssl, const std::string& server) {
  SSL_set_app_data(ssl, const_cast<std::string*>(&server));
}

// Moves it to the end; null if there is none.
TlsSessions::Server* TlsSessions::Find(std::string_view name) {
  const auto found = std::find_if(servers_.begin(), servers_.end(),
                                  [name](const Server& server) { return server.name == name; });
  if (found == servers_.end()) return nullptr;
  std::rotate(found, found + 1, servers_.end());
  return &servers_.back();
}

void TlsSessions::Put(std::string_view server, const SSL_SESSION& session) {
  TlsSession copy(SSL_SESSION_dup(&session));
  if (copy == nullptr || SSL_SESSION_is_resumable(copy.get()) != 1) return;
  const std::lock_guard lock(mutex_);
  Server* place = Find(server);
  if (place == nullptr) {
    if (servers_.size() == kServers) servers_.erase(servers_.begin());
    place = &servers_.emplace_back(Server{.name = std::string(server), .sessions = {}});
  }
  auto& sessions = place->sessions;
  if (!IsForOneUse(session)) {
    sessions.clear();
  } else if (sessions.size() == kPerServer) {
    sessions.erase(sessions.begin());
  }
  sessions.push_back(std::move(copy));
}

TlsSession TlsSessions::Take(std::string_view server) {
  const std::lock_guard lock(mutex_);
  Server* const place = Find(server);
  if (place == nullptr || place->sessions.empty()) return nullptr;
  TlsSession& newest = place->sessions.back();
  if (!IsForOneUse(*newest)) return TlsSession(SSL_SESSION_dup(newest.get()));
  TlsSession taken = std::move(newest);
  place->sessions.pop_back();
  return taken;
}

void TlsSessions::Forget(std::string_view server) {
  const std::lock_guard lock(mutex_);
  if (Server* const place = Find(server)) place->sessions.clear();
}

std::size_t TlsSessions::size() const {
  const std::lock_guard lock(mutex_);
  std::size_t size = 0;
  for (const Server& server : servers_) size += server.sessions.size();
  return size;
}

}  // namespace holdfast::http::internal
