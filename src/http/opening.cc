#include "src/http/opening.h"

#include <absl/strings/str_cat.h>

#include "holdfast/http/transport_error.h"
#include "src/http/exchange_error.h"
#include "src/http/net/tls_error.h"

namespace holdfast::http::internal {
namespace {

using holdfast::internal::ReadClock;

// A proxy's answer to CONNECT that is no tunnel.
absl::Status Refusal(const Response& response, const Route& route) {
  std::string text =
      absl::StrCat(route.Describe(), ": the proxy gave no tunnel: HTTP ", response.status,
                   response.reason.empty() ? "" : " ", response.reason);
  if (response.status != 407) {
    return WithTransportError(absl::UnavailableError(text), TransportError::kConnect);
  }
  // It asks for what this side does not have, as often as it is asked (RFC 9110, 15.5.8).
  absl::StrAppend(&text, route.authorization().empty()
                             ? "; the URL of the proxy has no user and password"
                             : "; it refused the user and password in its URL");
  return WithTransportError(absl::FailedPreconditionError(text), TransportError::kConnect);
}

absl::Status TimeUp(const Route& route, const StepLimits& limits, absl::string_view what) {
  if (limits.step == limits.deadline) return DeadlineExceeded(route, TransportError::kTls);
  return WithTransportError(absl::UnavailableError(absl::StrCat(route.Describe(), ": TLS: ", what,
                                                                " within connect_timeout")),
                            TransportError::kTls);
}

ExchangeOptions TunnelOptions(const std::string& authority) {
  ExchangeOptions options;
  options.upload.host = authority;
  return options;
}

}  // namespace

absl::Status DialError(const Route& route, const absl::Status& reason, const StepLimits& limits) {
  if (absl::IsCancelled(reason)) return Cancelled(route, TransportError::kConnect);
  if (absl::IsUnavailable(reason) && ReadClock(nullptr) >= limits.deadline) {
    return DeadlineExceeded(route, TransportError::kConnect);
  }
  return WithTransportError(reason, TransportError::kConnect);
}

Tunnel::Tunnel(const Route& route, Connected connected)
    : route_(route),
      address_(connected.address),
      stream_(std::move(connected.socket), std::move(connected.listed)),
      authority_(ConnectName(route.origin.host, route.origin.port)),
      request_(MakeRequest()),
      exchange_(request_, TunnelOptions(authority_)) {}

Request Tunnel::MakeRequest() {
  Request request = {.method = "CONNECT", .target = authority_};
  if (!route_.authorization().empty()) {
    request.headers.Add("Proxy-Authorization", std::string(route_.authorization()));
  }
  request.on_head = [this](const Response& response) {
    if (response.status < 300) return true;
    refusal_ = Refusal(response, route_);
    return false;
  };
  return request;
}

absl::StatusOr<Connected> Tunnel::Take(const DriveResult& driven, const StepLimits& limits) {
  if (driven.end == DriveEnd::kFailed) {
    return CannotWait(route_, driven.error, TransportError::kConnect);
  }
  Interrupt(exchange_, driven.end);
  if (driven.end == DriveEnd::kDeadline && ReadClock(nullptr) >= limits.deadline) {
    return DeadlineExceeded(route_, TransportError::kConnect);
  }
  if (refusal_) return *refusal_;
  const bool early = !exchange_.rest().empty();
  const absl::Status answered = exchange_.TakeResult().status();
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
  auto [socket, listed] = std::move(stream_).Release();
  return Connected{.listed = std::move(listed), .socket = std::move(socket), .address = address_};
}

std::unique_ptr<TlsHandshake> BeginTls(const Route& route, std::shared_ptr<TlsContext> context,
                                       Connected connected) {
  return std::make_unique<TlsHandshake>(std::move(context), route.origin.host, route.origin.port,
                                        std::move(connected.socket), std::move(connected.listed));
}

absl::Status TlsContextError(const Route& route, const absl::Status& reason,
                             const StepLimits& limits) {
  if (absl::IsCancelled(reason)) return Cancelled(route, TransportError::kTls);
  if (absl::IsDeadlineExceeded(reason)) {
    return TimeUp(route, limits, "the files of certificates were not loaded");
  }
  return AtPeer(route.Describe(), reason);
}

absl::Status TlsTimeUp(const Route& route, const StepLimits& limits) {
  return TimeUp(route, limits, "the handshake failed: no answer");
}

}  // namespace holdfast::http::internal
