// A stream over a socket, and what a peer may do at its other end.
#include "src/http/net/tcp_stream.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/http/net/socket.h"
#include "test/http/net/stream_pair.h"
#include "test/support/catch.h"
#include "test/support/fork.h"

namespace holdfast::http::internal::tcp_stream_test {
namespace {

using test::CloseWithRst;
using test::Pattern;
using test::ReceiveAll;
using test::SendAll;
using test::SocketPair;
using test::TcpPair;
using test::UnixPair;

// Both kinds of socket; nothing here may differ.
SocketPair AnyPair() { return GENERATE(false, true) ? UnixPair() : TcpPair(); }

IoResult WriteOne(TcpStream& stream, std::string_view bytes) {
  const std::array<std::string_view, 1> parts = {bytes};
  return stream.Write(parts);
}

// Until there is something to read, or to know; seconds only where there never is.
short AwaitNews(const Stream& stream) {
  constexpr int kPatience = 20'000;
  pollfd polled = {.fd = stream.descriptor(), .events = POLLIN, .revents = 0};
  REQUIRE(::poll(&polled, 1, kPatience) == 1);
  return polled.revents;
}

std::string ReadSome(TcpStream& stream) {
  AwaitNews(stream);
  std::array<char, 64> room;
  const IoResult result = stream.Read(room);
  REQUIRE(result.state == IoState::kDone);
  return {room.data(), result.bytes};
}

IoResult ReadNothing(TcpStream& stream) {
  std::array<char, 64> room;
  const IoResult result = stream.Read(room);
  CHECK(result.bytes == 0);
  return result;
}

TEST_CASE("parts are written in order with one call, and empty ones are skipped") {
  SocketPair pair = AnyPair();
  TcpStream stream(std::move(pair.ours));
  const std::vector<std::string_view> parts = {"", "GET ", "", "/", " HTTP/1.1\r\n", ""};
  const IoResult result = stream.Write(parts);
  CHECK(result.state == IoState::kDone);
  CHECK(result.bytes == 16);
  CHECK(ReceiveAll(pair.peers, 16) == "GET / HTTP/1.1\r\n");
}

TEST_CASE("of more parts than one call takes the first are written") {
  SocketPair pair = AnyPair();
  TcpStream stream(std::move(pair.ours));
  std::vector<std::string_view> parts(3000, "");  // more than the kernel has room for
  parts.insert(parts.end(), 3000, "ab");
  std::size_t written = 0;
  while (!parts.empty()) {
    const IoResult result = stream.Write(parts);
    REQUIRE(result.state == IoState::kDone);
    REQUIRE(result.bytes % 2 == 0);
    written += result.bytes;
    parts.erase(parts.begin(), parts.end() - static_cast<int>((6000 - written) / 2));
  }
  CHECK(written == 6000);
  CHECK(ReceiveAll(pair.peers, 6000).starts_with("abab"));
}

TEST_CASE("a peer that does not read has a write take a part, and then wait") {
  SocketPair pair = GENERATE(false, true) ? UnixPair() : TcpPair(4096);
  TcpStream stream(std::move(pair.ours));
  const std::string bytes = Pattern(8 << 20);
  std::size_t written = 0;
  IoResult result = WriteOne(stream, bytes);
  while (result.state == IoState::kDone) {
    written += result.bytes;
    REQUIRE(written < bytes.size());
    result = WriteOne(stream, std::string_view(bytes).substr(written));
  }
  CHECK(result.state == IoState::kWaitWrite);
  CHECK(written > 0);
  CHECK(ReceiveAll(pair.peers, written) == bytes.substr(0, written));
}

TEST_CASE("a read waits for bytes, has them, and tells the peer's farewell") {
  SocketPair pair = AnyPair();
  TcpStream stream(std::move(pair.ours));
  CHECK(ReadNothing(stream).state == IoState::kWaitRead);
  SendAll(pair.peers, "hello");
  CHECK(ReadSome(stream) == "hello");
  CHECK(ReadNothing(stream).state == IoState::kWaitRead);
  pair.peers.Reset();
  AwaitNews(stream);
  CHECK(ReadNothing(stream).state == IoState::kEnd);
  CHECK(ReadNothing(stream).state == IoState::kEnd);
}

TEST_CASE("a stream is quiet as long as nothing has come") {
  SocketPair pair = AnyPair();
  TcpStream stream(std::move(pair.ours));
  CHECK(stream.Quiet());
  CHECK_FALSE(stream.HasBuffered());
  SECTION("no byte") { SendAll(pair.peers, "?"); }
  SECTION("no farewell") { pair.peers.Reset(); }
  SECTION("no RST") { CloseWithRst(pair.peers); }
  AwaitNews(stream);
  CHECK_FALSE(stream.Quiet());
  CHECK_FALSE(stream.Quiet());
}

TEST_CASE("Finish tells the peer, and what the peer sends is still read") {
  SocketPair pair = AnyPair();
  TcpStream stream(std::move(pair.ours));
  WriteOne(stream, "bye");
  stream.Finish();
  CHECK(ReceiveAll(pair.peers, 100) == "bye");
  SendAll(pair.peers, "so long");
  CHECK(ReadSome(stream) == "so long");
}

TEST_CASE("RST is a loss with its errno, however often it is asked for") {
  SocketPair pair = TcpPair();
  TcpStream stream(std::move(pair.ours));
  CloseWithRst(pair.peers);
  AwaitNews(stream);
  const IoResult first = ReadNothing(stream);
  CHECK(first.state == IoState::kLost);
  CHECK(first.error == ECONNRESET);
  const IoResult second = ReadNothing(stream);
  CHECK(second.state == IoState::kLost);
  CHECK(second.error == ECONNRESET);
}

// The kernel says an error once. Then a read would find the end of a stream, and half of a body
// that ends with its connection would be a whole one.
TEST_CASE("what was cut by RST does not look ended because a write was first to learn of it") {
  SocketPair pair = TcpPair();
  TcpStream stream(std::move(pair.ours));
  SendAll(pair.peers, "half");
  CloseWithRst(pair.peers);
  while ((AwaitNews(stream) & POLLERR) == 0) {
  }
  const IoResult written = WriteOne(stream, "more");
  CHECK(written.state == IoState::kLost);
  CHECK(written.error == ECONNRESET);
  CHECK(ReadSome(stream) == "half");
  const IoResult read = ReadNothing(stream);
  CHECK(read.state == IoState::kLost);
  CHECK(read.error == ECONNRESET);
}

TEST_CASE("what ended before the peer refused more has ended") {
  SocketPair pair = AnyPair();
  TcpStream stream(std::move(pair.ours));
  SendAll(pair.peers, "all");
  pair.peers.Reset();
  // The first byte may still be taken; it is answered with RST.
  IoResult written = WriteOne(stream, "more");
  while (written.state == IoState::kDone) written = WriteOne(stream, "more");
  CHECK(written.state == IoState::kLost);
  CHECK(written.error == EPIPE);
  CHECK(ReadSome(stream) == "all");
  CHECK(ReadNothing(stream).state == IoState::kEnd);
}

TEST_CASE("a write to a peer that is gone raises no SIGPIPE") {
  if (!test::kCanFork) return;
  for (const bool is_unix : {false, true}) {
    test::Child child([is_unix]() -> std::string {
      ::signal(SIGPIPE, SIG_DFL);
      SocketPair pair = is_unix ? UnixPair() : TcpPair();
      TcpStream stream(std::move(pair.ours));
      pair.peers.Reset();
      while (WriteOne(stream, "more").state != IoState::kLost) {
      }
      return WriteOne(stream, "more").error == EPIPE ? "fine" : "another error";
    });
    CHECK(child.Says() == "fine");
    CHECK(child.ExitStatus() == 0);
  }
}

TEST_CASE("no operation blocks on a socket that is not non-blocking") {
  SocketPair pair = UnixPair();
  TcpStream stream(std::move(pair.ours));
  CHECK(stream.Quiet());
  CHECK(ReadNothing(stream).state == IoState::kWaitRead);
  const std::string bytes(1 << 20, 'x');
  IoResult result;
  while (result.state == IoState::kDone) result = WriteOne(stream, bytes);
  CHECK(result.state == IoState::kWaitWrite);
}

TEST_CASE("a stream gives its socket to what goes on with it") {
  SocketPair pair = AnyPair();
  TcpStream first(std::move(pair.ours));
  auto [socket, listed] = std::move(first).Release();
  CHECK_FALSE(listed.has_value());
  TcpStream second(std::move(socket));
  WriteOne(second, "on");
  CHECK(ReceiveAll(pair.peers, 2) == "on");
}

struct Kernel {
  unsigned unacked = 0;
  unsigned retransmits = 0;
  std::chrono::microseconds timer = std::chrono::milliseconds(200);
  std::chrono::milliseconds heard{0};  // how long ago
};

bool Silent(const Kernel& kernel, Duration waited) {
  tcp_info info = {};
  info.tcpi_unacked = kernel.unacked;
  info.tcpi_retransmits = static_cast<std::uint8_t>(kernel.retransmits);
  info.tcpi_rto = static_cast<std::uint32_t>(kernel.timer.count());
  info.tcpi_last_ack_recv = static_cast<std::uint32_t>(kernel.heard.count());
  return IsSilent(info, waited);
}

TEST_CASE("a peer that acknowledges nothing for longer than TCP waits for it is silent") {
  using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
  CHECK(Silent({.unacked = 1, .retransmits = 2, .heard = 5s}, 1s));
  // Though it was heard after the first bytes were sent.
  CHECK(Silent({.unacked = 3, .retransmits = 1, .heard = 500ms}, 10s));
  // The timer has not run out where it was put off, but it has been that long.
  CHECK(Silent({.unacked = 1, .heard = 5s}, 250ms));
}

TEST_CASE("a peer that may yet acknowledge, or has, is not silent") {
  using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
  CHECK_FALSE(Silent({.heard = 5s}, 5s));
  CHECK_FALSE(Silent({.retransmits = 1, .heard = 5s}, 5s));  // keep-alive of a closed window
  CHECK_FALSE(Silent({.unacked = 1, .heard = 10min}, 100ms));
  CHECK_FALSE(Silent({.unacked = 1, .heard = 300ms}, 5s));
}

TEST_CASE("the kernel says nothing of a peer of a unix socket, or of none") {
  using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
  SocketPair pair = UnixPair();
  const TcpStream stream(std::move(pair.ours));
  CHECK_FALSE(PeerIsSilent(stream.descriptor(), 1h));
  CHECK_FALSE(PeerIsSilent(-1, 1h));
}

}  // namespace
}  // namespace holdfast::http::internal::tcp_stream_test
