#include "src/http/opener.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "holdfast/http/transport_error.h"
#include "src/http/exchange/exchange.h"
#include "src/http/exchange_error.h"
#include "src/http/net/connector.h"
#include "src/http/net/drive.h"
#include "src/http/net/tcp_stream.h"
#include "src/http/net/tls_error.h"
#include "src/http/net/tls_handshake.h"

namespace holdfast::http::internal {
namespace {

using holdfast::internal::ReadClock;

ConnectOptions ConnectOptionsOf(const Route& route, SocketList& sockets) {
  ConnectOptions options;
  options.name = route.Describe();
  options.sockets = &sockets;
  return options;
}

TlsOptions TlsOptionsOf(const TransportOptions& options) {
  TlsOptions tls;
  tls.ca_file = options.ca_file;
  tls.verify = options.verify;
  tls.client_cert_file = options.client_cert_file;
  tls.client_key_file = options.client_key_file;
  return tls;
}

// A proxy's answer to CONNECT that is no tunnel.
absl::Status Refusal(const Response& response, absl::string_view where) {
  const std::string text = absl::StrCat(where, ": the proxy gave no tunnel: HTTP ", response.status,
                                        response.reason.empty() ? "" : " ", response.reason);
  // 407 asks for what this side does not have, as often as it is asked (RFC 9110, 15.5.8).
  const absl::Status status =
      response.status == 407 ? absl::FailedPreconditionError(text) : absl::UnavailableError(text);
  return WithTransportError(status, TransportError::kConnect);
}

}  // namespace

Opener::Opener(const Route& route, const TransportOptions& options, SocketList& sockets)
    : route_(route), options_(options), connect_(ConnectOptionsOf(route, sockets)) {
  if (route_.origin.tls) tls_.emplace(TlsOptionsOf(options));
}

Opener::Limits Opener::StepOf(TimePoint deadline, const StopSignal& stop) const {
  const TimePoint step = SaturatingAdd(ReadClock(nullptr), options_.connect_timeout);
  return {.deadline = deadline, .step = std::min(deadline, step), .stop = stop};
}

absl::StatusOr<std::unique_ptr<Stream>> Opener::Open(TimePoint deadline, const StopSignal& stop) {
  auto connected = Dial(StepOf(deadline, stop));
  if (!connected.ok()) return connected.status();
  if (!tls_) {
    return std::make_unique<TcpStream>(std::move(connected->socket), std::move(connected->listed));
  }
  if (!route_.tunnels()) return SecureBy(*tls_, *std::move(connected), StepOf(deadline, stop));
  auto through = Tunnel(*std::move(connected), StepOf(deadline, stop));
  if (!through.ok()) return through.status();
  return SecureBy(*tls_, *std::move(through), StepOf(deadline, stop));
}

absl::StatusOr<Connected> Opener::Dial(const Limits& limits) {
  const Origin& peer = route_.peer();
  auto connected = Connect(peer.host, peer.port, connect_, limits.step, limits.stop);
  if (connected.ok()) return connected;
  const absl::Status& status = connected.status();
  if (absl::IsCancelled(status)) return Cancelled(route_, TransportError::kConnect);
  if (absl::IsUnavailable(status) && ReadClock(nullptr) >= limits.deadline) {
    return DeadlineExceeded(route_, TransportError::kConnect);
  }
  return WithTransportError(status, TransportError::kConnect);
}

// Leaves the socket as the tunnel's, with nothing read of what comes through it.
absl::StatusOr<Connected> Opener::Tunnel(Connected connected, const Limits& limits) {
  TcpStream stream(std::move(connected.socket), std::move(connected.listed));
  const std::string authority = ConnectName(route_.origin.host, route_.origin.port);
  Request request = {.method = "CONNECT", .target = authority};
  std::optional<absl::Status> refusal;
  request.on_head = [&](const Response& response) {
    if (response.status < 300) return true;
    refusal = Refusal(response, route_.Describe());
    return false;  // what else the proxy says of it is not waited for
  };
  ExchangeOptions options;
  options.upload.host = authority;
  Exchange exchange(request, options);
  const DriveLimits bounds = {.deadline = limits.step};
  const DriveResult driven = Drive(stream, exchange, bounds, limits.stop);
  if (driven.end == DriveEnd::kFailed) {
    return CannotWait(route_, driven.error, TransportError::kConnect);
  }
  Interrupt(exchange, driven.end);
  if (driven.end == DriveEnd::kDeadline && ReadClock(nullptr) >= limits.deadline) {
    return DeadlineExceeded(route_, TransportError::kConnect);
  }
  if (refusal) return *refusal;
  const bool early = !exchange.rest().empty();
  const absl::Status answered = exchange.TakeResult().status();
  const std::string where = route_.Describe();
  if (driven.end == DriveEnd::kDeadline) {
    return WithTransportError(
        absl::UnavailableError(absl::StrCat(where, ": no tunnel within connect_timeout")),
        TransportError::kConnect);
  }
  if (!answered.ok()) {
    return WithTransportError(AtPeer(where, answered), TransportError::kConnect);
  }
  if (early) {
    return WithTransportError(
        absl::UnavailableError(absl::StrCat(where, ": something came before TLS began")),
        TransportError::kTls);
  }
  auto [socket, listed] = std::move(stream).Release();
  return Connected{
      .listed = std::move(listed), .socket = std::move(socket), .address = connected.address};
}

absl::StatusOr<std::unique_ptr<Stream>> Opener::SecureBy(TlsContexts& tls, Connected connected,
                                                         const Limits& limits) {
  const std::string where = route_.Describe();
  const auto time_up = [&](absl::string_view what) {
    if (limits.step == limits.deadline) return DeadlineExceeded(route_, TransportError::kTls);
    return WithTransportError(
        absl::UnavailableError(absl::StrCat(where, ": TLS: ", what, " within connect_timeout")),
        TransportError::kTls);
  };
  auto context = tls.Get(ReadClock(nullptr), limits.step, limits.stop.token());
  if (absl::IsCancelled(context.status())) return Cancelled(route_, TransportError::kTls);
  if (absl::IsDeadlineExceeded(context.status())) {
    return time_up("the files of certificates were not loaded");
  }
  if (!context.ok()) return AtPeer(where, context.status());
  TlsHandshake handshake(*std::move(context), route_.origin.host, route_.origin.port,
                         std::move(connected.socket), std::move(connected.listed));
  for (;;) {
    const IoResult step = handshake.Step();
    if (step.state == IoState::kDone) return handshake.Take();
    if (step.state != IoState::kWaitRead && step.state != IoState::kWaitWrite) {
      return AtPeer(where, handshake.status());
    }
    const WaitOutcome waited =
        Wait(handshake.descriptor(), Interest::Of(step.state), limits.step, limits.stop);
    switch (waited.end) {
      case WaitEnd::kReady:
        break;
      case WaitEnd::kStopped:
        return Cancelled(route_, TransportError::kTls);
      case WaitEnd::kFailed:
        return CannotWait(route_, waited.error, TransportError::kTls);
      case WaitEnd::kTimeUp:
        return time_up("the handshake failed: no answer");
    }
  }
}

}  // namespace holdfast::http::internal
