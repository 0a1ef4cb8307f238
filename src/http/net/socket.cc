#include "src/http/net/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>

namespace holdfast::http::internal {
namespace {

bool SetOption(int socket, int level, int name, int value) {
  return ::setsockopt(socket, level, name, &value, sizeof value) == 0;
}

int Seconds(TimeSpan time) {
  return static_cast<int>(std::chrono::ceil<std::chrono::seconds>(Duration(time)).count());
}

bool SetKeepAlive(int socket, const TcpKeepAlive& options) {
  return SetOption(socket, SOL_SOCKET, SO_KEEPALIVE, 1) &&
         SetOption(socket, IPPROTO_TCP, TCP_KEEPIDLE, Seconds(options.idle)) &&
         SetOption(socket, IPPROTO_TCP, TCP_KEEPINTVL, Seconds(options.interval)) &&
         SetOption(socket, IPPROTO_TCP, TCP_KEEPCNT, options.count);
}

bool Bind(int socket, const Address& local) {
  // The kernel then chooses the port when it knows the peer, and one port does for many peers.
  // Where it can't, ports are only used up sooner.
  if (!local.is_unix() && local.port() == 0) {
    SetOption(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  }
  return ::bind(socket, local.data(), local.size()) == 0;
}

using NameFunction = int (*)(int, sockaddr*, socklen_t*);

std::optional<Address> Name(NameFunction function, int socket) {
  sockaddr_storage address = {};
  socklen_t size = sizeof address;
  if (function(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) return std::nullopt;
  return Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&address), size);
}

}  // namespace

OpenedSocket OpenSocket(const Address& peer, const SocketOptions& options) {
  OpenedSocket opened;
  opened.socket.Reset(::socket(peer.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int socket = opened.socket.get();
  const auto failed = [](bool binding) {
    return OpenedSocket{.socket = {}, .error = errno, .binding = binding};
  };
  if (socket < 0) return failed(false);
  if (!peer.is_unix()) {
    if (!SetOption(socket, IPPROTO_TCP, TCP_NODELAY, 1)) return failed(false);
    if (options.keep_alive && !SetKeepAlive(socket, *options.keep_alive)) return failed(false);
  }
  if (options.local_address && !Bind(socket, *options.local_address)) return failed(true);
  return opened;
}

int StartConnect(int socket, const Address& peer) {
  if (::connect(socket, peer.data(), peer.size()) == 0) return FinishConnect(socket);
  // Interrupted, it goes on like one that would block (POSIX).
  return errno == EINTR ? EINPROGRESS : errno;
}

int FinishConnect(int socket) {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
  if (error != 0) return error;
  const auto peer = PeerAddress(socket);
  if (!peer) return ENOTCONN;
  return !peer->is_unix() && peer == LocalAddress(socket) ? ECONNREFUSED : 0;
}

// Either the kernel's timer for an acknowledgment has run out since the last one came (each resets
// the count), or nothing was acknowledged for as long as that timer takes: the probe of a lost tail
// (RFC 8985) puts it off.
bool IsSilent(const tcp_info& info, Duration waited) {
  if (info.tcpi_unacked == 0) return false;
  const Duration timer = std::chrono::microseconds(info.tcpi_rto);
  const Duration unheard = std::chrono::milliseconds(info.tcpi_last_ack_recv);
  return info.tcpi_retransmits > 0 || (waited >= timer && unheard >= waited);
}

bool PeerIsSilent(int socket, Duration waited) {
  tcp_info info = {};
  socklen_t size = sizeof info;
  return ::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 && IsSilent(info, waited);
}

std::optional<Address> LocalAddress(int socket) { return Name(&::getsockname, socket); }

std::optional<Address> PeerAddress(int socket) { return Name(&::getpeername, socket); }

}  // namespace holdfast::http::internal
