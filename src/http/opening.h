// The steps of opening a connection, as far as they are the same whoever waits for them.
#ifndef HOLDFAST_SRC_HTTP_OPENING_H_
#define HOLDFAST_SRC_HTTP_OPENING_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "holdfast/base/time.h"
#include "holdfast/http/message.h"
#include "src/http/exchange/exchange.h"
#include "src/http/net/address.h"
#include "src/http/net/connecting.h"
#include "src/http/net/mover.h"
#include "src/http/net/tcp_stream.h"
#include "src/http/net/tls_context.h"
#include "src/http/net/tls_handshake.h"
#include "src/http/origin.h"

namespace holdfast::http::internal {

// Until when a step may take, and the whole that it is a part of.
struct StepLimits {
  TimePoint deadline;  // of the call
  TimePoint step;      // no later than that
};

// What the caller is told of a peer that was not connected to, for that reason.
absl::Status DialError(const Route& route, const absl::Status& reason, const StepLimits& limits);

// A tunnel through a proxy: CONNECT and what comes of it.
class Tunnel {
 public:
  // The route must outlive it; `connected` leads to the proxy.
  Tunnel(const Route& route, Connected connected);
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  // The exchange ends at the head of a refusal: what else the proxy says of it is not waited for.
  TcpStream& stream() { return stream_; }
  Exchange& exchange() { return exchange_; }

  // Once, when a driver has ended. Leaves the socket as the tunnel's, with nothing read of what
  // comes through it.
  absl::StatusOr<Connected> Take(const DriveResult& driven, const StepLimits& limits);

 private:
  Request MakeRequest();

  const Route& route_;
  const Address address_;
  TcpStream stream_;
  const std::string authority_;
  std::optional<absl::Status> refusal_;
  const Request request_;
  Exchange exchange_;
};

// TLS with the origin, over a socket that leads there.
std::unique_ptr<TlsHandshake> BeginTls(const Route& route, std::shared_ptr<TlsContext> context,
                                       Connected connected);
// What the caller is told where TlsContexts::Get gave none, and where the time for the handshake
// has passed.
absl::Status TlsContextError(const Route& route, const absl::Status& reason,
                             const StepLimits& limits);
absl::Status TlsTimeUp(const Route& route, const StepLimits& limits);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_OPENING_H_
