// Opens the connections of a pool: the socket, the tunnel through a proxy, TLS.
#ifndef HOLDFAST_SRC_HTTP_OPENER_H_
#define HOLDFAST_SRC_HTTP_OPENER_H_

#include <absl/status/statusor.h>

#include <memory>
#include <optional>

#include "holdfast/base/time.h"
#include "holdfast/http/transport.h"
#include "src/http/net/connecting.h"
#include "src/http/net/stream.h"
#include "src/http/net/tls_rotation.h"
#include "src/http/net/waiting.h"
#include "src/http/opening.h"
#include "src/http/origin.h"
#include "src/http/socket_list.h"

namespace holdfast::http::internal {

// Thread-safe.
class Opener {
 public:
  // Both must outlive it; the options are valid. `sockets` has every socket, for a child of fork().
  Opener(const Route& route, const TransportOptions& options, SocketList& sockets);

  // A connection on which nothing was sent to the origin. Each of three steps (the socket, the
  // tunnel, TLS) has connect_timeout, and all have the deadline. Errors as Transport's, with their
  // TransportError.
  absl::StatusOr<std::unique_ptr<Stream>> Open(TimePoint deadline, const StopSignal& stop);

  // What Open goes by, for a driver that waits in its own way.
  const Route& route() const { return route_; }
  const ConnectOptions& connect_options() const { return connect_; }
  TlsContexts* tls() { return tls_ ? &*tls_ : nullptr; }  // null: the origin has no TLS
  // Of a step that begins now.
  StepLimits StepOf(TimePoint deadline) const;

 private:
  absl::StatusOr<Connected> Dial(const StepLimits& limits, const StopSignal& stop);
  absl::StatusOr<Connected> TunnelOver(Connected connected, const StepLimits& limits,
                                       const StopSignal& stop);
  absl::StatusOr<std::unique_ptr<Stream>> SecureBy(TlsContexts& tls, Connected connected,
                                                   const StepLimits& limits,
                                                   const StopSignal& stop);

  const Route& route_;
  const TransportOptions& options_;
  const ConnectOptions connect_;
  std::optional<TlsContexts> tls_;  // where the origin has TLS
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_OPENER_H_
