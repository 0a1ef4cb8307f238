#include "src/http/opener.h"

#include <algorithm>
#include <utility>

#include "holdfast/http/transport_error.h"
#include "src/http/exchange_error.h"
#include "src/http/net/connector.h"
#include "src/http/net/drive.h"
#include "src/http/net/tcp_stream.h"
#include "src/http/net/tls_error.h"
#include "src/http/net/tls_handshake.h"

namespace holdfast::http::internal {
namespace {

using holdfast::internal::ReadClock;

ConnectOptions ConnectOptionsOf(const Route& route, const TransportOptions& options,
                                SocketList& sockets) {
  ConnectOptions connect;
  connect.name = route.Describe();
  connect.unix_path = route.unix_path;
  connect.socket.keep_alive = options.tcp_keep_alive;
  connect.socket.local_address = route.local_address;
  connect.sockets = &sockets;
  return connect;
}

TlsOptions TlsOptionsOf(const TransportOptions& options) {
  TlsOptions tls;
  tls.ca_file = options.ca_file;
  tls.verify = options.verify;
  tls.client_cert_file = options.client_cert_file;
  tls.client_key_file = options.client_key_file;
  return tls;
}

}  // namespace

Opener::Opener(const Route& route, const TransportOptions& options, SocketList& sockets)
    : route_(route), options_(options), connect_(ConnectOptionsOf(route, options, sockets)) {
  if (route_.origin.tls) tls_.emplace(TlsOptionsOf(options));
}

StepLimits Opener::StepOf(TimePoint deadline) const {
  const TimePoint step = SaturatingAdd(ReadClock(nullptr), options_.connect_timeout);
  return {.deadline = deadline, .step = std::min(deadline, step)};
}

absl::StatusOr<std::unique_ptr<Stream>> Opener::Open(TimePoint deadline, const StopSignal& stop) {
  auto connected = Dial(StepOf(deadline), stop);
  if (!connected.ok()) return connected.status();
  if (!tls_) {
    return std::make_unique<TcpStream>(std::move(connected->socket), std::move(connected->listed));
  }
  if (!route_.tunnels()) return SecureBy(*tls_, *std::move(connected), StepOf(deadline), stop);
  auto through = TunnelOver(*std::move(connected), StepOf(deadline), stop);
  if (!through.ok()) return through.status();
  return SecureBy(*tls_, *std::move(through), StepOf(deadline), stop);
}

absl::StatusOr<Connected> Opener::Dial(const StepLimits& limits, const StopSignal& stop) {
  const Origin& peer = route_.peer();
  auto connected = Connect(peer.host, peer.port, connect_, limits.step, stop);
  if (connected.ok()) return connected;
  return DialError(route_, connected.status(), limits);
}

absl::StatusOr<Connected> Opener::TunnelOver(Connected connected, const StepLimits& limits,
                                             const StopSignal& stop) {
  Tunnel tunnel(route_, std::move(connected));
  const DriveResult driven =
      Drive(tunnel.stream(), tunnel.exchange(), {.deadline = limits.step}, stop);
  return tunnel.Take(driven, limits);
}

absl::StatusOr<std::unique_ptr<Stream>> Opener::SecureBy(TlsContexts& tls, Connected connected,
                                                         const StepLimits& limits,
                                                         const StopSignal& stop) {
  auto context = tls.Get(ReadClock(nullptr), limits.step, stop.token());
  if (!context.ok()) return TlsContextError(route_, context.status(), limits);
  const auto handshake = BeginTls(route_, *std::move(context), std::move(connected));
  for (;;) {
    const IoResult step = handshake->Step();
    if (step.state == IoState::kDone) return handshake->Take();
    if (step.state != IoState::kWaitRead && step.state != IoState::kWaitWrite) {
      return AtPeer(route_.Describe(), handshake->status());
    }
    const WaitOutcome waited =
        Wait(handshake->descriptor(), Interest::Of(step.state), limits.step, stop);
    switch (waited.end) {
      case WaitEnd::kReady:
        break;
      case WaitEnd::kStopped:
        return Cancelled(route_, TransportError::kTls);
      case WaitEnd::kFailed:
        return CannotWait(route_, waited.error, TransportError::kTls);
      case WaitEnd::kTimeUp:
        return TlsTimeUp(route_, limits);
    }
  }
}

}  // namespace holdfast::http::internal
