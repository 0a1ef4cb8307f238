#ifndef HOLDFAST_TEST_HTTP_NET_STREAM_PAIR_H_
#define HOLDFAST_TEST_HTTP_NET_STREAM_PAIR_H_

// Connected sockets, which are blocking, and what a test does at a peer's end.

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "src/http/net/descriptor.h"

namespace holdfast::test {

using http::internal::Descriptor;

struct SocketPair {
  Descriptor ours;
  Descriptor peers;
};

inline SocketPair UnixPair() {
  std::array<int, 2> ends = {};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) std::abort();
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

// `buffer`: bytes of each socket's send and receive buffers; 0: as the system has them.
inline SocketPair TcpPair(int buffer = 0) {
  const Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SocketPair pair;
  pair.ours.Reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (buffer > 0) {  // before they connect: the window is agreed on then
    for (const int each : {listener.get(), pair.ours.get()}) {
      ::setsockopt(each, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
      ::setsockopt(each, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    }
  }
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const where = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  if (::bind(listener.get(), where, size) != 0 || ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), where, &size) != 0 ||
      ::connect(pair.ours.get(), where, size) != 0) {
    std::abort();
  }
  pair.peers.Reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!pair.peers) std::abort();
  return pair;
}

// Ends with RST instead of FIN.
inline void CloseWithRst(Descriptor& socket) {
  const linger at_once = {.l_onoff = 1, .l_linger = 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  socket.Reset();
}

// False where the other end is gone.
inline bool SendAll(const Descriptor& socket, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size < 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

// Up to `size` bytes; fewer where the other end is gone.
inline std::string ReceiveAll(const Descriptor& socket, std::size_t size) {
  std::string bytes(size, '\0');
  std::size_t have = 0;
  while (have < size) {
    const ssize_t more = ::recv(socket.get(), bytes.data() + have, size - have, 0);
    if (more <= 0) break;
    have += static_cast<std::size_t>(more);
  }
  bytes.resize(have);
  return bytes;
}

// Bytes that show where they belong: none is like another within a period that is no power of two.
inline std::string Pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>((i + i / 251 * 7) % 251);
  return bytes;
}

// A signal each millisecond, to the threads that do not block it, with a handler that does nothing
// but interrupt what waits.
class Storm {
 public:
  Storm() {
    struct sigaction action = {};
    action.sa_handler = [](int) { Count().fetch_add(1, std::memory_order_relaxed); };
    sigaction(SIGALRM, &action, &before_);
    Count() = 0;
    Every(1'000);
  }
  Storm(const Storm&) = delete;
  Storm& operator=(const Storm&) = delete;
  ~Storm() {
    Every(0);
    sigaction(SIGALRM, &before_, nullptr);
  }

  static int count() { return Count().load(std::memory_order_relaxed); }

 private:
  static std::atomic<int>& Count() {
    static std::atomic<int> count = 0;
    return count;
  }
  static void Every(suseconds_t microseconds) {
    const timeval interval = {.tv_sec = 0, .tv_usec = microseconds};
    const itimerval timer = {.it_interval = interval, .it_value = interval};
    setitimer(ITIMER_REAL, &timer, nullptr);
  }

  struct sigaction before_ = {};
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_NET_STREAM_PAIR_H_
