#include "src/http/sending.h"

#include <absl/strings/str_cat.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/http/transport_error.h"
#include "holdfast/http/wire/message.h"
#include "holdfast/version.h"
#include "src/http/exchange_error.h"
#include "src/http/keep_alive.h"
#include "src/http/net/drive.h"
#include "src/http/net/socket.h"
#include "src/http/net/tls_error.h"

namespace holdfast::http::internal {
namespace {

using holdfast::internal::ReadClock;

// As most clients; a server may be without a rule for requests that lack them.
constexpr std::array<wire::Field, 2> kDefaults = {{
    {.name = "Accept", .value = "*/*"},
    {.name = "User-Agent", .value = "holdfast/" HOLDFAST_VERSION},
}};

ExchangeOptions OptionsOf(const TransportOptions& options) {
  ExchangeOptions exchange;
  exchange.upload.defaults = kDefaults;
  exchange.download.limits = {
      .head = options.max_head, .fields = options.max_fields, .body = options.max_body};
  exchange.download.decode = options.decode;
  return exchange;
}

// What a proxy would change, or what is not for the server behind it; empty: nothing. A request
// through a tunnel is the server's alone. Of one with an absolute target a proxy ignores Host
// (RFC 9112, 3.2.2), so that the server would see the origin's without a word.
std::string WhatProxyRefuses(const Route& route, const Headers& headers) {
  if (!route.proxy) return "";
  if (route.tunnels()) {
    return headers.Has("Proxy-Authorization")
               ? "Proxy-Authorization would go to the server, not to the proxy"
               : "";
  }
  const auto host = headers.Find("Host");
  return host && !wire::EqualsIgnoringCase(*host, route.origin.host_header)
             ? "the proxy would replace the header Host with the origin's"
             : "";
}

// What is made of `request` for this route: only the constructor of an Exchange reads the views.
Exchange MakeExchange(const Pool& pool, const Request& request, int attempt) {
  const Route& route = *pool.route();
  ExchangeOptions options = OptionsOf(pool.options());
  options.upload.host = route.origin.host_header;
  std::string target;
  if (route.proxy && !route.tunnels()) {
    // A proxy is told the whole URL (RFC 9112, 3.2.2 and, of the asterisk, 3.2.4).
    target = absl::StrCat(route.origin.url, request.target == "*" ? "" : request.target);
    options.upload.target = target;
  }
  const std::string number = absl::StrCat(attempt);
  const wire::Field field = {.name = pool.options().attempt_header, .value = number};
  if (!field.name.empty()) options.upload.overrides = {&field, 1};
  return Exchange(request, options);
}

DriveLimits BoundsOf(const TransportOptions& options, TimePoint deadline) {
  return {.deadline = deadline,
          .read_timeout = options.read_timeout,
          .write_timeout = options.write_timeout,
          .continue_timeout = options.continue_timeout};
}

KeepAliveHint HintOf(const Response& response) {
  return ParseKeepAlive(response.headers.Find("Keep-Alive").value_or(std::string_view()));
}

}  // namespace

Sending::Sending(Pool& pool, const Request& request, int attempt)
    : pool_(pool), request_(request), exchange_(MakeExchange(pool_, request, attempt)) {}

absl::Status Sending::refusal() {
  const std::string by_proxy = WhatProxyRefuses(*pool_.route(), request_.headers);
  if (!by_proxy.empty()) {
    return WithTransportError(
        absl::InvalidArgumentError(absl::StrCat(pool_.route()->Describe(), ": ", by_proxy)),
        TransportError::kRequest);
  }
  if (!exchange_.done()) return absl::OkStatus();
  return AtPeer(pool_.route()->Describe(), exchange_.TakeResult().status());
}

absl::StatusOr<Response> Sending::Over(Connection connection, const SendLimits& limits) {
  const DriveLimits bounds = BoundsOf(pool_.options(), limits.deadline);
  const TimePoint began = ReadClock(nullptr);
  DriveResult driven;
  do {
    driven = Drive(connection.stream(), exchange_, bounds, limits.stop);
    if (driven.end == DriveEnd::kFailed) {
      return CannotWait(*pool_.route(), driven.error, TransportError::kOutcomeUnknown);
    }
    Interrupt(exchange_, driven.end);
  } while (!exchange_.done());  // an answer may come after a write timeout
  auto response = exchange_.TakeResult();
  if (!response.ok()) {
    const bool ended = driven.end == DriveEnd::kDone || driven.end == DriveEnd::kClosed;
    absl::Status status = response.status();
    if (!ended && PeerIsSilent(connection.stream().descriptor(), ReadClock(nullptr) - began)) {
      pool_.DropIdle(began);  // the host is gone, and they would each cost a timeout
    }
    lost_ = ended && !exchange_.answered() && absl::IsUnavailable(status);
    // With TLS 1.3 a server says only now that it refuses the client's certificate.
    const absl::Status failure = connection.stream().failure();
    if (lost_ && !failure.ok()) status = failure;
    return AtPeer(pool_.route()->Describe(), status);
  }
  if (exchange_.may_keep()) pool_.Keep(std::move(connection), HintOf(*response));
  return response;
}

}  // namespace holdfast::http::internal
