// A proxy that opens a tunnel.
#ifndef HOLDFAST_TEST_HTTP_TUNNEL_H_
#define HOLDFAST_TEST_HTTP_TUNNEL_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "test/http/fault_server.h"

namespace holdfast::test {

// Passes bytes both ways until one side is done.
inline void Pump(int a, int b) {
  std::array<char, 4096> buffer;
  for (;;) {
    std::array<pollfd, 2> ends = {
        {{.fd = a, .events = POLLIN, .revents = 0}, {.fd = b, .events = POLLIN, .revents = 0}}};
    if (::poll(ends.data(), ends.size(), -1) < 0) return;
    for (std::size_t from = 0; from < ends.size(); ++from) {
      if (ends[from].revents == 0) continue;
      const ssize_t n = ::recv(ends[from].fd, buffer.data(), buffer.size(), 0);
      const int to = ends[1 - from].fd;
      if (n <= 0 || ::send(to, buffer.data(), static_cast<std::size_t>(n), MSG_NOSIGNAL) != n) {
        return;
      }
    }
  }
}

// Connects to whatever is listening at `port`, says `first` to the peer, and passes bytes.
inline void PumpTo(int port, const Peer& peer, std::string_view first) {
  const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
      peer.Write(first)) {
    Pump(peer.fd(), server);
  }
  ::close(server);
}

// Tunnels to whatever is listening at `port`, and notes what it is asked for.
inline FaultServer::Script TunnelTo(int port, Recorder& asked) {
  return [port, &asked](const Peer& peer) {
    asked.Add(peer.ReadMessage());
    PumpTo(port, peer, "HTTP/1.1 200 Connection established\r\n\r\n");
  };
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_TUNNEL_H_
