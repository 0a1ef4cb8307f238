#include "src/http/net/tls_sessions.h"

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <string>

#include "test/support/catch.h"

namespace holdfast::http::internal::tls_sessions_test {
namespace {

// One that could be resumed; `number` tells it from others.
TlsSession Session(int version, unsigned char number) {
  TlsSession session(SSL_SESSION_new());
  SSL_SESSION_set_protocol_version(session.get(), version);
  SSL_SESSION_set1_id(session.get(), &number, 1);
  return session;
}

// Its number; -1: there is none.
int Number(const TlsSession& session) {
  unsigned size = 0;
  return session == nullptr ? -1 : *SSL_SESSION_get_id(session.get(), &size);
}

TEST_CASE("of the TLS 1.3 sessions of a server the newest is taken out, and the oldest dropped") {
  TlsSessions sessions;
  for (unsigned char i = 0; i < TlsSessions::kPerServer + 2; ++i) {
    sessions.Put("a", *Session(TLS1_3_VERSION, i));
  }
  CHECK(sessions.size() == TlsSessions::kPerServer);
  for (int i = static_cast<int>(TlsSessions::kPerServer) + 1; i > 1; --i) {
    CHECK(Number(sessions.Take("a")) == i);
  }
  CHECK(sessions.Take("a") == nullptr);
  CHECK(sessions.size() == 0);
}

TEST_CASE("of the TLS 1.2 sessions of a server the last is kept, and each connection has a copy") {
  TlsSessions sessions;
  sessions.Put("a", *Session(TLS1_3_VERSION, 1));
  sessions.Put("a", *Session(TLS1_2_VERSION, 2));
  sessions.Put("a", *Session(TLS1_2_VERSION, 3));
  CHECK(sessions.size() == 1);
  const TlsSession first = sessions.Take("a");
  const TlsSession second = sessions.Take("a");
  CHECK(Number(first) == 3);
  CHECK(Number(second) == 3);
  CHECK(first != second);
  sessions.Forget("a");
  CHECK(sessions.Take("a") == nullptr);
}

TEST_CASE("the TLS sessions of the server that was used least lately are dropped") {
  TlsSessions sessions;
  const auto put = [&](std::size_t server) {
    sessions.Put(std::to_string(server), *Session(TLS1_2_VERSION, 1));
  };
  for (std::size_t i = 0; i < TlsSessions::kServers; ++i) put(i);
  CHECK(sessions.Take("0") != nullptr);
  put(1000);
  CHECK(sessions.size() == TlsSessions::kServers);
  CHECK(sessions.Take("0") != nullptr);
  CHECK(sessions.Take("1") == nullptr);
  CHECK(sessions.Take("2") != nullptr);
  CHECK(sessions.Take("1000") != nullptr);
  sessions.Forget("nobody");
  CHECK(sessions.Take("nobody") == nullptr);
}

}  // namespace
}  // namespace holdfast::http::internal::tls_sessions_test
