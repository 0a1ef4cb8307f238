#include "src/http/sending.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <span>
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
#include "src/http/wire/grammar.h"

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
  exchange.download.limits = {
      .head = options.max_head, .fields = options.max_fields, .body = options.max_body};
  exchange.download.decode = options.decode;
  return exchange;
}

// A line break in a header would begin another one, or a request.
bool HasBreak(const std::string& text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos;
}

std::string WhatIsWrong(const Request& request) {
  if (!wire::IsToken(request.method)) {
    return absl::StrCat("invalid HTTP method \"", absl::CHexEscape(request.method), "\"");
  }
  const bool asterisk = request.method == "OPTIONS" && request.target == "*";
  if (!asterisk && (request.target.empty() || request.target.front() != '/')) {
    return absl::StrCat("the request's target \"", absl::CHexEscape(request.target),
                        "\" must begin with /");
  }
  if (std::any_of(request.target.begin(), request.target.end(),
                  [](unsigned char c) { return c <= ' ' || c == 0x7f; })) {
    return absl::StrCat("the request's target \"", absl::CHexEscape(request.target),
                        "\" must be percent-encoded");
  }
  for (const auto& [name, value] : request.headers) {
    if (!wire::IsToken(name) || HasBreak(value)) {
      return absl::StrCat("the request's header \"", absl::CHexEscape(name), "\" is malformed");
    }
  }
  return "";
}

// What a proxy would change, or what is not for the server behind it; empty: nothing. A request
// through a tunnel, or without the proxy that others go through, is the server's alone. Of one with
// an absolute target a proxy ignores Host (RFC 9112, 3.2.2), so that the server would see the
// origin's without a word.
std::string WhatProxyRefuses(const Route& route, const Headers& headers) {
  if ((route.exempt || route.tunnels()) && headers.Has("Proxy-Authorization")) {
    return "Proxy-Authorization would go to the server, not to the proxy; put user and password "
           "into the URL of the proxy";
  }
  if (!route.proxy || route.tunnels()) return "";
  const auto host = headers.Find("Host");
  return host && !wire::EqualsIgnoringCase(*host, route.origin.host_header)
             ? "the proxy would replace the header Host with the origin's"
             : "";
}

// Instead of fields of the same names. The context that a Tracer made takes the place of what the
// request says; one that the call only came with does not.
class Overrides {
 public:
  Overrides(std::string_view attempt_header, const Request& request, const OfCall& of_call) {
    if (!attempt_header.empty()) {
      attempt_ = absl::StrCat(of_call.attempt);
      fields_[count_++] = {.name = attempt_header, .value = attempt_};
    }
    const bool traces =
        of_call.trace != nullptr && (of_call.traced || !request.headers.Has(kTraceparent));
    if (!traces) return;
    traceparent_ = of_call.trace->traceparent();
    fields_[count_++] = {.name = kTraceparent, .value = traceparent_};
    // Of no other trace, if it is empty.
    fields_[count_++] = {.name = kTracestate, .value = of_call.trace->tracestate()};
  }
  Overrides(const Overrides&) = delete;
  Overrides& operator=(const Overrides&) = delete;

  std::span<const wire::Field> fields() const { return std::span(fields_).first(count_); }

 private:
  static constexpr std::string_view kTraceparent = "traceparent";
  static constexpr std::string_view kTracestate = "tracestate";

  std::string attempt_;
  std::string traceparent_;
  std::array<wire::Field, 3> fields_;
  std::size_t count_ = 0;
};

// What is made of `request` for this route: only the constructor of an Exchange reads the views.
Exchange MakeExchange(const Pool& pool, const Request& request, const OfCall& of_call) {
  const Route& route = *pool.route();
  ExchangeOptions options = OptionsOf(pool.options());
  options.upload.host = route.origin.host_header;
  const std::array<wire::Field, 3> defaults = {
      kDefaults[0],
      kDefaults[1],
      {.name = "Proxy-Authorization", .value = route.authorization()},
  };
  options.upload.defaults = std::span(defaults).first(2);
  std::string target;
  if (route.proxy && !route.tunnels()) {
    if (!route.authorization().empty()) options.upload.defaults = defaults;
    // A proxy is told the whole URL (RFC 9112, 3.2.2 and, of the asterisk, 3.2.4).
    target = absl::StrCat(route.origin.url, request.target == "*" ? "" : request.target);
    options.upload.target = target;
  }
  const Overrides overrides(pool.options().attempt_header, request, of_call);
  options.upload.overrides = overrides.fields();
  return Exchange(request, options);
}

KeepAliveHint HintOf(const Response& response) {
  return ParseKeepAlive(response.headers.Find("Keep-Alive").value_or(std::string_view()));
}

}  // namespace

absl::Status CheckRequest(const Route& route, const Request& request) {
  const std::string wrong = WhatIsWrong(request);
  if (wrong.empty()) return absl::OkStatus();
  return WithTransportError(absl::InvalidArgumentError(absl::StrCat(route.origin.url, ": ", wrong)),
                            TransportError::kRequest);
}

Sending::Sending(Pool& pool, const Request& request, const OfCall& of_call, ExchangeTimer& timer)
    : pool_(pool),
      request_(request),
      timer_(timer),
      exchange_(MakeExchange(pool_, request, of_call)) {}

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
  const DriveLimits within = bounds(limits.deadline);
  const TimePoint began = ReadClock(nullptr);
  DriveResult driven;
  do driven = Drive(connection.stream(), exchange_, within, limits.stop);
  while (!Settle(driven.end));
  return Finish(std::move(connection), driven, began);
}

DriveLimits Sending::bounds(TimePoint deadline) const {
  const TransportOptions& options = pool_.options();
  return {.deadline = deadline,
          .read_timeout = options.read_timeout,
          .write_timeout = options.write_timeout,
          .continue_timeout = options.continue_timeout};
}

bool Sending::Settle(DriveEnd end) {
  if (end == DriveEnd::kFailed) return true;
  Interrupt(exchange_, end);
  return exchange_.done();
}

absl::StatusOr<Response> Sending::Finish(Connection connection, const DriveResult& driven,
                                         TimePoint began) {
  if (driven.end == DriveEnd::kFailed) {
    return CannotWait(*pool_.route(), driven.error, TransportError::kOutcomeUnknown);
  }
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

bool MayGoAgain(const Sending& first, const Repeatability& request) {
  return first.unsent() || MayRunAgain(request, Effect::kUnanswered) == Rerun::kMay;
}

absl::StatusOr<Response> AfterResend(const Sending& first, absl::StatusOr<Response> second) {
  if (second.ok() || first.unsent()) return second;
  // The server may have acted on what it was sent first.
  const auto kind = TransportErrorOf(second.status());
  if (kind == TransportError::kMalformed || kind == TransportError::kPartialResponse) return second;
  return WithTransportError(second.status(), TransportError::kOutcomeUnknown);
}

std::optional<TimePoint> SteadyDeadline(Call& call) {
  if (call.deadline() == TimePoint::max()) return TimePoint::max();
  const Duration left = SaturatingSub(call.deadline(), call.now());
  if (left <= Duration::zero()) return std::nullopt;
  if (call.on_steady_clock()) return call.deadline();
  // The call's clock may be any; the network's is the steady one.
  return SaturatingAdd(holdfast::internal::ReadClock(nullptr), left);
}

}  // namespace holdfast::http::internal
