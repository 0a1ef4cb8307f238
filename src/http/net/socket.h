// Makes sockets and connects them without blocking.
#ifndef HOLDFAST_SRC_HTTP_NET_SOCKET_H_
#define HOLDFAST_SRC_HTTP_NET_SOCKET_H_

#include <netinet/tcp.h>

#include <optional>

#include "holdfast/base/time.h"
#include "holdfast/http/tcp_keep_alive.h"
#include "src/http/net/address.h"
#include "src/http/net/descriptor.h"

namespace holdfast::http::internal {

struct SocketOptions {
  std::optional<TcpKeepAlive> keep_alive = std::nullopt;  // nullopt: the kernel does not ask
  // What to connect from, of the peer's family. Port 0: any, the same one for several peers where
  // the kernel is short of ports. Nullopt: the kernel chooses by the route.
  std::optional<Address> local_address = std::nullopt;
};

struct OpenedSocket {
  Descriptor socket;
  int error = 0;         // errno, where there is none
  bool binding = false;  // of the error: the local address can't be had
};

// Non-blocking, closed on exec, and with TCP_NODELAY: small requests don't wait for acknowledgments
// of what went before.
OpenedSocket OpenSocket(const Address& peer, const SocketOptions& options);

// 0: it is connected. EINPROGRESS: it will be writable when FinishConnect can say how it ended.
// EAGAIN, of a unix socket: the backlog of its server is full, and nobody says when that is over.
int StartConnect(int socket, const Address& peer);

// Of a socket that is writable or has failed: 0 or the errno of connecting. A socket that was
// connected to itself, as TCP does with a free local port where nobody listens, is ECONNREFUSED.
int FinishConnect(int socket);

// Whether a peer of TCP acknowledges nothing any more of what was sent to it, as one does that is
// gone without FIN or RST, or that no route leads to. `waited`: since the first of these bytes was
// sent. A peer that is only slow to answer acknowledges all the same: its kernel does.
bool IsSilent(const tcp_info& info, Duration waited);
// False where the kernel does not know: of a unix socket.
bool PeerIsSilent(int socket, Duration waited);

// Its own end and the other one; nullopt where there is none.
std::optional<Address> LocalAddress(int socket);
std::optional<Address> PeerAddress(int socket);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_SOCKET_H_
