#include "src/http/net/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/http/transport_error.h"
#include "src/http/socket_list.h"
#include "test/http/fault_server.h"
#include "test/http/net/tls_identity.h"
#include "test/http/net/tls_peer.h"
#include "test/support/catch.h"
#include "test/support/fork.h"

namespace holdfast::http::internal::tls_stream_test {
namespace {

using test::ContainsSubstring;
using test::Identity;
using test::Shake;
using test::TlsPeer;
using test::TlsServerContext;
using test::TlsSockets;

// A connection whose handshake is done. With TLS 1.3 the session tickets are in its socket.
class Connected {
 public:
  explicit Connected(int version = TLS1_3_VERSION, bool small = false, SocketList* list = nullptr)
      : server_(identity_, version) {
    auto made = TlsContext::Load({.verify = false});
    REQUIRE(made.ok());
    context = *std::move(made);
    TlsSockets pair;
    if (small) pair.MakeSmall();
    std::optional<SocketList::Entry> listed;
    if (list != nullptr) listed.emplace(*list);
    peer = std::make_unique<TlsPeer>(server_, std::move(pair.server));
    TlsHandshake handshake(context, "a.example", 443, std::move(pair.client), std::move(listed));
    REQUIRE(Shake(handshake, *peer).state == IoState::kDone);
    stream = handshake.Take();
  }

  IoResult Read(std::string& to, std::size_t size = 100) const {
    std::string room(size, '\0');
    const IoResult result = stream->Read(room);
    to += room.substr(0, result.bytes);
    CHECK(ERR_peek_error() == 0);
    return result;
  }
  IoResult Read() const {
    std::string ignored;
    return Read(ignored);
  }
  IoResult Write(std::string_view bytes) const {
    const IoResult result = stream->Write({&bytes, 1});
    CHECK(ERR_peek_error() == 0);
    return result;
  }

  std::shared_ptr<TlsContext> context;
  std::unique_ptr<TlsPeer> peer;
  std::unique_ptr<TlsStream> stream;

 private:
  Identity identity_{{.alt = "DNS:a.example"}};
  TlsServerContext server_;
};

int EitherVersion() { return GENERATE(TLS1_2_VERSION, TLS1_3_VERSION); }

TEST_CASE("a part of a TLS record is nothing to read yet, and not quiet") {
  const Connected connected(EitherVersion());
  CHECK(connected.stream->Quiet());
  connected.peer->Seal("hello");
  const std::size_t size = connected.peer->unsent();
  const std::size_t cut = GENERATE(1, 4, 5, 6, 20);
  connected.peer->Send(cut);
  CHECK_FALSE(connected.stream->Quiet());
  CHECK(connected.Read().state == IoState::kWaitRead);
  CHECK_FALSE(connected.stream->HasBuffered());
  CHECK_FALSE(connected.stream->Quiet());
  connected.peer->Send(size - cut - 1);
  CHECK(connected.Read().state == IoState::kWaitRead);
  CHECK_FALSE(connected.stream->HasBuffered());
  connected.peer->Send();
  std::string got;
  CHECK(connected.Read(got).state == IoState::kDone);
  CHECK(got == "hello");
  CHECK(connected.stream->Quiet());
}

TEST_CASE("a TLS stream says what it has read of the socket and not given to its reader") {
  const Connected connected(EitherVersion());
  CHECK(connected.Read().state == IoState::kWaitRead);
  CHECK_FALSE(connected.stream->HasBuffered());
  connected.peer->Seal("first");
  connected.peer->Seal("second");
  connected.peer->Seal("third");
  const std::size_t size = connected.peer->unsent();
  connected.peer->Send(size - 1);
  std::string got;
  CHECK(connected.Read(got, 2).bytes == 2);
  char byte = 0;  // the socket shows nothing of it
  CHECK(::recv(connected.stream->descriptor(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0);
  CHECK(connected.stream->HasBuffered());
  CHECK_FALSE(connected.stream->Quiet());
  int reads = 1;
  while (connected.stream->HasBuffered() && connected.Read(got, 2).state == IoState::kDone) ++reads;
  CHECK(got == "firstsecond");
  CHECK(reads == 6);
  CHECK_FALSE(connected.stream->HasBuffered());
  connected.peer->Send();
  CHECK(connected.Read(got).state == IoState::kDone);
  CHECK(got == "firstsecondthird");
  CHECK_FALSE(connected.stream->HasBuffered());
  CHECK(connected.stream->Quiet());
}

TEST_CASE("the end of a TLS stream is one that the peer says, and all else cuts it") {
  const Connected connected(EitherVersion());
  connected.peer->Seal("hello");
  std::string got;
  SECTION("close_notify") {
    connected.peer->CloseNotify();
    CHECK(connected.Read(got).state == IoState::kDone);
    CHECK_FALSE(connected.stream->Quiet());
    for (int i = 0; i < 2; ++i) CHECK(connected.Read().state == IoState::kEnd);
    CHECK(connected.stream->failure().ok());
    // This side may go on, as long as the peer is there.
    CHECK(connected.Write("bye").bytes == 3);
    connected.peer->Cut();
    CHECK(connected.Write("bye").error == EPIPE);
    CHECK_FALSE(connected.stream->failure().ok());
  }
  SECTION("the end of the connection") {
    connected.peer->Send();
    connected.peer->Cut();
    CHECK(connected.Read(got).state == IoState::kDone);
    CHECK_FALSE(connected.stream->Quiet());
    for (int i = 0; i < 2; ++i) {
      const IoResult result = connected.Read();
      CHECK(result.state == IoState::kLost);
      CHECK(result.error == 0);
    }
    CHECK(TransportErrorOf(connected.stream->failure()) == TransportError::kOutcomeUnknown);
    CHECK_THAT(std::string(connected.stream->failure().message()),
               ContainsSubstring("TLS: the connection was lost: the peer closed the connection"));
  }
  SECTION("a reset") {
    connected.peer->Send();
    CHECK(connected.Write("never read").state == IoState::kDone);
    connected.peer->Cut();
    // A socket of this kind drops what it has.
    IoResult result = connected.Read(got);
    if (result.state == IoState::kDone) result = connected.Read();
    CHECK(result.state == IoState::kLost);
    CHECK(result.error == ECONNRESET);
    CHECK_THAT(std::string(connected.stream->failure().message()),
               ContainsSubstring("Connection reset by peer"));
    CHECK_FALSE(connected.stream->Quiet());
    return;
  }
  SECTION("half a record") {
    connected.peer->Send();
    connected.peer->Seal("more");
    connected.peer->Send(7);
    connected.peer->Cut();
    CHECK(connected.Read(got).state == IoState::kDone);
    CHECK(connected.Read().state == IoState::kLost);
  }
  SECTION("bytes that are no record") {
    connected.peer->Send();
    CHECK(::send(connected.peer->fd(), "HTTP/1.1 400 \r\n", 15, MSG_NOSIGNAL) == 15);
    CHECK(connected.Read(got).state == IoState::kDone);
    CHECK(connected.Read().state == IoState::kLost);
    CHECK(connected.Write("x").state == IoState::kLost);
    CHECK_FALSE(connected.stream->failure().ok());
    CHECK(connected.context->sessions().size() == 0);
  }
  CHECK(got == "hello");
}

TEST_CASE("what a TLS server sends on its own leaves a stream quiet") {
  const Connected connected;
  SECTION("session tickets") {
    char byte = 0;
    REQUIRE(::recv(connected.stream->descriptor(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1);
    CHECK(connected.context->sessions().size() == 0);
    CHECK(connected.stream->Quiet());
    CHECK(connected.context->sessions().size() == 2);
    CHECK_FALSE(connected.stream->HasBuffered());
  }
  SECTION("a key update") {
    REQUIRE(SSL_key_update(connected.peer->ssl(), SSL_KEY_UPDATE_REQUESTED) == 1);
    REQUIRE(SSL_do_handshake(connected.peer->ssl()) == 1);
    connected.peer->Send();
    CHECK(connected.stream->Quiet());
  }
  CHECK(connected.stream->Quiet());
  connected.peer->Write("hello");
  for (int i = 0; i < 2; ++i) CHECK_FALSE(connected.stream->Quiet());
  CHECK(connected.stream->HasBuffered());
  std::string got;
  CHECK(connected.Read(got).state == IoState::kDone);
  CHECK(got == "hello");
  CHECK(connected.stream->Quiet());
  CHECK(connected.Write("and back").state == IoState::kDone);
  CHECK(connected.peer->Read() == "and back");
  CHECK(connected.stream->Quiet());
  CHECK(ERR_peek_error() == 0);
}

TEST_CASE("a TLS stream whose peer is gone is not quiet") {
  const Connected connected(EitherVersion());
  SECTION("with a farewell") { connected.peer->CloseNotify(); }
  SECTION("without one") { connected.peer->Cut(); }
  SECTION("by a reset") {
    CHECK(connected.Write("never read").state == IoState::kDone);
    connected.peer->Cut();
  }
  for (int i = 0; i < 2; ++i) CHECK_FALSE(connected.stream->Quiet());
  CHECK(ERR_peek_error() == 0);
}

// Bytes that tell where they are.
std::string Numbered(std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; bytes.size() < size; ++i) bytes += std::to_string(i) + ",";
  bytes.resize(size);
  return bytes;
}

// Moves `up` and `down` at once, through sockets that take little, in parts of changing size.
// `each_round` may get in between.
template <class F>
void Exchange(const Connected& connected, const std::string& up, const std::string& down,
              const F& each_round) {
  std::string came_up;
  std::string came_down;
  std::size_t sent = 0;
  std::size_t sealed = 0;
  int blocked = 0;
  for (int round = 0; came_up.size() < up.size() || came_down.size() < down.size(); ++round) {
    REQUIRE(round < 100'000);
    each_round(round, sent);
    if (sent < up.size()) {
      // The same bytes again after one that did not get on, in other parts and elsewhere.
      const std::string copy = up.substr(sent);
      const std::string_view rest = copy;
      const std::size_t first =
          std::min<std::size_t>(rest.size(), round % 7 == 0 ? 0 : round % 977);
      const std::array<std::string_view, 4> parts = {
          rest.substr(0, first), "", rest.substr(first, 2000),
          rest.substr(std::min(rest.size(), first + 2000))};
      const IoResult result = connected.stream->Write(parts);
      REQUIRE(result.state != IoState::kLost);
      REQUIRE(result.state != IoState::kEnd);
      blocked += result.state == IoState::kDone ? 0 : 1;
      sent += result.bytes;
    }
    if (round % 2 == 0) came_up += connected.peer->Read();
    if (connected.peer->unsent() == 0 && sealed < down.size()) {
      connected.peer->Seal(std::string_view(down).substr(sealed, 16000));
      sealed = std::min<std::size_t>(down.size(), sealed + 16000);
    }
    connected.peer->Send();
    const IoResult result = connected.Read(came_down, 5000);
    REQUIRE(result.state != IoState::kLost);
    REQUIRE(result.state != IoState::kEnd);
  }
  CHECK((came_up == up));
  CHECK((came_down == down));
  CHECK(blocked > 0);
  CHECK(connected.stream->failure().ok());
}

TEST_CASE("a TLS stream moves much in both directions at once through small buffers") {
  const Connected connected(EitherVersion(), /*small=*/true);
  Exchange(connected, Numbered(2'000'000), Numbered(3'000'000), [](int, std::size_t) {});
}

TEST_CASE("a TLS stream goes on while the server changes its keys") {
  const Connected connected(TLS1_3_VERSION, /*small=*/true);
  Exchange(connected, Numbered(500'000), Numbered(500'000), [&](int round, std::size_t) {
    if (round % 16 != 8) return;
    REQUIRE(SSL_key_update(connected.peer->ssl(), SSL_KEY_UPDATE_REQUESTED) == 1);
  });
}

// A server that asks for another handshake in the midst of a connection; TLS 1.2 has that.
TEST_CASE("a TLS stream shakes hands again while it writes and reads") {
  const Connected connected(TLS1_2_VERSION);
  REQUIRE(SSL_renegotiate(connected.peer->ssl()) == 1);
  (void)connected.peer->Shake();  // asks for it
  CHECK(connected.Read().state == IoState::kWaitRead);
  CHECK_FALSE(connected.stream->Quiet());
  // The handshake is not over, so that a write has to read before it.
  CHECK(connected.Write("GET /").state == IoState::kWaitRead);
  std::string came;
  IoResult result;
  for (int round = 0; round < 100 && came.empty(); ++round) {
    came += connected.peer->Read();
    if (result.state != IoState::kDone || result.bytes == 0) result = connected.Write("GET /");
    REQUIRE(result.state != IoState::kLost);
  }
  CHECK(came == "GET /");
  CHECK(SSL_total_renegotiations(connected.peer->ssl()) == 1);
  connected.peer->Write("200");
  std::string answer;
  CHECK(connected.Read(answer).state == IoState::kDone);
  CHECK(answer == "200");
  CHECK(connected.stream->Quiet());
}

TEST_CASE("a write of a TLS stream to a peer that is gone raises no SIGPIPE") {
  const test::DefaultSigpipe sigpipe;
  const Connected connected(EitherVersion());
  // Only the reading end, so that its last words stay.
  connected.peer->Write("413");
  ::shutdown(connected.peer->fd(), SHUT_RD);
  IoResult result;
  for (int i = 0; i < 2; ++i) {
    result = connected.Write("body");
    CHECK(result.state == IoState::kLost);
    CHECK(result.error == EPIPE);
  }
  CHECK_FALSE(connected.stream->Quiet());
  std::string answer;
  CHECK(connected.Read(answer).state == IoState::kDone);
  CHECK(answer == "413");
  CHECK(connected.Read().state == IoState::kWaitRead);
  connected.stream->Finish();
}

TEST_CASE("a TLS stream that is finished says so, and reads on") {
  const Connected connected(EitherVersion());
  CHECK(connected.Write("last").state == IoState::kDone);
  connected.stream->Finish();
  CHECK(ERR_peek_error() == 0);
  CHECK(connected.peer->Read() == "last");
  CHECK(connected.peer->saw_close_notify());
  CHECK_FALSE(connected.peer->saw_end());
  CHECK_FALSE(connected.stream->Quiet());
  CHECK(connected.Write("more").state == IoState::kLost);
  connected.peer->Write("answer");
  std::string got;
  CHECK(connected.Read(got).state == IoState::kDone);
  CHECK(got == "answer");
  connected.peer->CloseNotify();
  CHECK(connected.Read().state == IoState::kEnd);
  connected.stream->Finish();
  CHECK(connected.stream->failure().ok());
}

TEST_CASE("a TLS stream is finished without blocking, also in the midst of a record") {
  const Connected connected(EitherVersion(), /*small=*/true);
  const std::string much(16000, 'x');
  while (connected.Write(much).state == IoState::kDone) {
  }
  connected.stream->Finish();
  CHECK(connected.stream->failure().ok());
  (void)connected.peer->Read();
  CHECK_FALSE(connected.peer->saw_close_notify());
}

TEST_CASE("a TLS stream that is destroyed says nothing to its peer") {
  Connected connected(EitherVersion());
  connected.stream.reset();
  for (int i = 0; i < 2; ++i) CHECK(connected.peer->Read().empty());
  CHECK(connected.peer->saw_end());
  CHECK_FALSE(connected.peer->saw_close_notify());
}

TEST_CASE("a child of fork leaves a TLS stream of its parent as it is") {
  if (!test::kCanFork) return;
  SocketList list;
  Connected connected(EitherVersion(), /*small=*/false, &list);
  test::Child child([&]() -> std::string {
    const int descriptor = connected.stream->descriptor();
    list.CloseCopies();
    char byte = 0;
    if (::recv(descriptor, &byte, 1, MSG_DONTWAIT) >= 0 || errno != EBADF) return "open";
    connected.stream.reset();
    return "fine";
  });
  CHECK(child.Says() == "fine");
  for (int i = 0; i < 2; ++i) CHECK(connected.peer->Read().empty());
  CHECK_FALSE(connected.peer->saw_end());
  CHECK_FALSE(connected.peer->saw_close_notify());
  CHECK(connected.Write("hello").state == IoState::kDone);
  CHECK(connected.peer->Read() == "hello");
}

TEST_CASE("one operation reads only so often, whatever a TLS peer sends") {
  TlsSockets pair;
  TlsBio socket(std::move(pair.client), std::nullopt);
  const std::unique_ptr<BIO, int (*)(BIO*)> bio(socket.Make(), BIO_free);
  const std::string much(TlsBio::kReadsAtOnce + 10, 'x');
  REQUIRE(::send(pair.server.get(), much.data(), much.size(), 0) ==
          static_cast<ssize_t>(much.size()));
  socket.Begin();
  char byte = 0;
  for (int i = 0; i < TlsBio::kReadsAtOnce; ++i) REQUIRE(BIO_read(bio.get(), &byte, 1) == 1);
  CHECK_FALSE(socket.stopped_early());
  CHECK(BIO_read(bio.get(), &byte, 1) < 0);
  CHECK(BIO_should_retry(bio.get()));
  CHECK(socket.stopped_early());
  socket.Begin();
  CHECK(BIO_read(bio.get(), &byte, 1) == 1);
}

}  // namespace
}  // namespace holdfast::http::internal::tls_stream_test
