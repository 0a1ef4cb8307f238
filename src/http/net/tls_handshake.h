// The TLS handshake of a client, in steps that do not block.
#ifndef HOLDFAST_SRC_HTTP_NET_TLS_HANDSHAKE_H_
#define HOLDFAST_SRC_HTTP_NET_TLS_HANDSHAKE_H_

#include <absl/status/status.h>

#include <memory>
#include <optional>
#include <string_view>

#include "src/http/net/descriptor.h"
#include "src/http/net/stream.h"
#include "src/http/net/tls_context.h"
#include "src/http/net/tls_link.h"
#include "src/http/net/tls_stream.h"
#include "src/http/socket_list.h"

namespace holdfast::http::internal {

// With the server that `host` names, over a socket that leads there, be it through a tunnel:
// nothing must be left on it of what came before. A name is sent to the server (SNI), an IP address
// is not (RFC 6066, 3). What the certificate must be for is that name or address; a common name
// does not count (RFC 9110, 4.3.4), and a wildcard stands for a whole label. A session of the same
// host and port, whose certificate was verified when it began, is resumed.
//
//   while (true) {
//     const IoResult result = handshake.Step();
//     kDone: take the stream
//     kWaitRead, kWaitWrite: wait for handshake.descriptor()
//     kLost: handshake.status() says why
//   }
//
// One thread at a time. The destructor closes the socket, unless the stream was taken.
class TlsHandshake {
 public:
  // `host` is a name or an IP address without brackets, as in a URL: a zone of an IPv6 address and
  // a dot at the end of a name are left out.
  TlsHandshake(std::shared_ptr<TlsContext> context, std::string_view host, int port,
               Descriptor socket, std::optional<SocketList::Entry> listed = std::nullopt);

  IoResult Step();

  // OK until a step was kLost. HandshakeError says what there is.
  const absl::Status& status() const { return status_; }

  int descriptor() const { return link_ == nullptr ? -1 : link_->socket().descriptor(); }

  // After kDone, once.
  bool resumed() const;
  std::unique_ptr<TlsStream> Take();

 private:
  void Begin(std::string_view host);
  absl::Status CheckProtocol();

  std::unique_ptr<TlsLink> link_;
  absl::Status status_;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_TLS_HANDSHAKE_H_
