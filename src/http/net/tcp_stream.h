// A stream over a connected socket, TCP or unix, as it is: without TLS.
#ifndef HOLDFAST_SRC_HTTP_NET_TCP_STREAM_H_
#define HOLDFAST_SRC_HTTP_NET_TCP_STREAM_H_

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "src/http/net/descriptor.h"
#include "src/http/net/stream.h"
#include "src/http/socket_list.h"

namespace holdfast::http::internal {

// A write to a peer that is gone raises no signal, and no operation blocks, whether the socket is
// non-blocking or not.
class TcpStream final : public Stream {
 public:
  // `socket` is connected. `listed`: how a child of fork() learns of it.
  explicit TcpStream(Descriptor socket, std::optional<SocketList::Entry> listed = std::nullopt);

  IoResult Read(std::span<char> room) override;
  IoResult Write(std::span<const std::string_view> parts) override;
  bool Quiet() override;
  void Finish() noexcept override;
  int descriptor() const override { return socket_.get(); }

  // For what goes on with the same socket: TLS through a tunnel. This one is of no use then.
  std::pair<Descriptor, std::optional<SocketList::Entry>> Release() &&;

 private:
  IoResult Lost(int error);

  std::optional<SocketList::Entry> listed_;  // before the socket, which is closed first
  Descriptor socket_;
  // What the connection was lost with, if not by the peer's own farewell. The kernel says it once,
  // to whichever operation is first, and from then on that the peer has said its last.
  int lost_ = 0;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_TCP_STREAM_H_
