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

 private:
  struct Limits {
    TimePoint deadline;  // of the call
    TimePoint step;      // of this step, no later than that
    const StopSignal& stop;
  };

  Limits StepOf(TimePoint deadline, const StopSignal& stop) const;
  absl::StatusOr<Connected> Dial(const Limits& limits);
  absl::StatusOr<Connected> Tunnel(Connected connected, const Limits& limits);
  absl::StatusOr<std::unique_ptr<Stream>> SecureBy(TlsContexts& tls, Connected connected,
                                                   const Limits& limits);

  const Route& route_;
  const TransportOptions& options_;
  const ConnectOptions connect_;
  std::optional<TlsContexts> tls_;  // where the origin has TLS
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_OPENER_H_
