#include "holdfast/http/redirect.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string_view>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/string_view.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/call/repeatability.h"
#include "holdfast/http/request.h"
#include "holdfast/http/transport_error.h"
#include "holdfast/http/wire/message.h"
#include "src/http/location.h"
#include "src/http/origin.h"

namespace holdfast::http {
namespace {

using holdfast::internal::ToAbsl;
using internal::Url;

bool IsRedirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool DropsBody(int status, std::string_view method) {
  return status == 303 || (method == "POST" && (status == 301 || status == 302));
}

bool IsOneOf(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::ranges::any_of(
      names, [name](std::string_view other) { return wire::EqualsIgnoringCase(name, other); });
}

// Of a body, and those that say what the request waits for before it sends one.
bool DescribesBody(std::string_view name) {
  return absl::StartsWithIgnoreCase(ToAbsl(name), "Content-") ||
         IsOneOf(name, {"Transfer-Encoding", "Trailer", "Expect", "Digest", "Last-Modified"});
}

bool IsForOneOrigin(std::string_view name) {
  return IsOneOf(name, {"Authorization", "Cookie", "Cookie2", "Proxy-Authorization", "Host"});
}

// One request of a call.
struct Hop {
  std::string home;  // the executor's origin; empty: unknown
  bool leaves_home;  // there is somebody for other origins
  Url url;
  std::string method = {};
  bool may_repeat_body = true;

  Hop& Of(const Request& request) {
    method = request.method;
    may_repeat_body = !request.sender || request.sender_length.has_value();
    return *this;
  }

  // Where a response with this head leads to; nullopt: it is the call's.
  std::optional<Url> Next(const Response& head) const {
    if (!IsRedirect(head.status) || method == "CONNECT") return std::nullopt;
    if (!may_repeat_body && !DropsBody(head.status, method)) return std::nullopt;
    const std::string_view location = head.headers.Find("Location").value_or(std::string_view());
    if (location.empty() || head.headers.Count("Location") != 1) return std::nullopt;
    std::optional<Url> next = internal::Resolve(url, location);
    if (!next || (next->origin != home && !leaves_home)) return std::nullopt;
    const bool loses_tls = url.origin.starts_with("https:") && !next->origin.starts_with("https:");
    if (loses_tls) return std::nullopt;
    return next;
  }
};

// What its caller does not see of a response that leads on.
struct Screen {
  bool passes = true;  // it does not lead on
  Response head = {};
  std::size_t dropped = 0;  // of the body
  bool cut = false;         // there is too much of it
};

// More of the body of a redirect is not waited for; less leaves a connection that can be kept.
constexpr std::size_t kMostDropped = std::size_t{64} << 10;

// Sends it so that its caller sees the head and the body of the last response only. A copy of what
// is sent may outlive the call, but one with a receiver does not.
absl::StatusOr<Response> SendScreened(const Request& request, const Hop& hop,
                                      internal::SendHop send) {
  if (!request.receiver && !request.on_head) return send(request);
  const auto screen = std::make_shared<Screen>();
  Request screened = request;
  screened.on_head = [screen, hop, on_head = request.on_head](const Response& head) {
    *screen = {.passes = !hop.Next(head)};
    if (screen->passes) return !on_head || on_head(head);
    screen->head = head;
    return true;
  };
  if (!request.receiver) return send(screened);
  screened.receiver = [screen, receiver = request.receiver](std::string_view part) -> BodyAnswer {
    if (screen->passes) return receiver(part);
    screen->dropped += part.size();
    screen->cut = screen->dropped > kMostDropped;
    return !screen->cut;
  };
  absl::StatusOr<Response> response = send(screened);
  // Nobody wants the rest of that body, so it does not matter what became of it.
  const bool lost_body =
      !response.ok() && TransportErrorOf(response.status()) == TransportError::kPartialResponse;
  if (lost_body && !screen->passes && (screen->cut || !absl::IsCancelled(response.status()))) {
    return screen->head;
  }
  return response;
}

// Of a later hop: it says how far that one came. Where a request before it may have had an effect,
// the call must not look as if it had none.
absl::Status AfterEffect(const absl::Status& status) {
  const std::optional<TransportError> kind = TransportErrorOf(status);
  if (kind == TransportError::kMalformed || kind == TransportError::kPartialResponse ||
      kind == TransportError::kRedirect) {
    return status;
  }
  return WithTransportError(absl::Status(status.code(), status.message()),
                            TransportError::kOutcomeUnknown);
}

Request Redirected(const Request& from, int status, const Url& at, const Url& to) {
  const bool drops_body = DropsBody(status, from.method);
  const bool moves = to.origin != at.origin;
  Request next = {.method = drops_body && from.method != "HEAD" ? "GET" : from.method,
                  .target = to.target,
                  .receiver = from.receiver,
                  .on_head = from.on_head,
                  .on_interim = from.on_interim,
                  .on_upload = from.on_upload,
                  .on_download = from.on_download};
  for (const auto& [name, value] : from.headers) {
    if ((drops_body && DescribesBody(name)) || (moves && IsForOneOrigin(name))) continue;
    next.headers.Add(name, value);
  }
  if (drops_body) return next;
  next.body = from.body;
  next.sender = from.sender;
  next.sender_length = from.sender_length;
  next.trailers = from.trailers;
  return next;
}

absl::Status TooMany(const RedirectOptions& options) {
  return WithTransportError(
      absl::FailedPreconditionError(absl::StrCat(
          options.origin, options.origin.empty() ? "" : ": ", "more than ", options.max_redirects,
          options.max_redirects == 1 ? " redirect" : " redirects")),
      TransportError::kRedirect);
}

}  // namespace

absl::Status Validate(const RedirectOptions& options) {
  holdfast::internal::OptionsChecker check("FollowRedirects");
  check(options.max_redirects >= 0 && options.max_redirects <= 100,
        "max_redirects must be from 0 to 100, not ", options.max_redirects);
  if (!options.origin.empty()) {
    const auto origin = internal::ParseOrigin(options.origin);
    check(origin.ok(), "origin: ", origin.status().message());
  }
  return check.status();
}

namespace internal {

RedirectOptions WithOrigin(RedirectOptions options, const std::optional<std::string>& of_executor) {
  options = holdfast::internal::Validated(std::move(options));
  if (options.origin.empty()) {
    if (!of_executor) {
      throw std::invalid_argument(
          "FollowRedirects: origin is missing; set it to scheme://host[:port] of the executor");
    }
    options.origin = *of_executor;
    options = holdfast::internal::Validated(std::move(options));
  }
  options.origin = OriginText(options.origin);
  return options;
}

absl::StatusOr<Response> Follow(const RedirectOptions& options, const Request& request,
                                const CallOptions& call, SendHop send) {
  return Follow(options, request, send, [&](const std::string& origin, const Request& hop) {
    return Elsewhere{options, origin}.With(call, hop);
  });
}

absl::StatusOr<Response> Follow(const RedirectOptions& options, const Request& request,
                                SendHop send, SendElsewhere send_elsewhere) {
  if (options.max_redirects == 0) return send(request);
  Hop hop = {.home = options.origin,
             .leaves_home = bool(options.elsewhere),
             .url = UrlOf(options.origin, request.target)};
  const auto send_there = [&](const Request& one) { return send_elsewhere(hop.url.origin, one); };
  const Request* current = &request;
  Request own;  // of the later hops
  bool acted = false;
  for (int followed = 0;; ++followed) {
    const bool home = followed == 0 || hop.url.origin == options.origin;
    absl::StatusOr<Response> response =
        SendScreened(*current, hop.Of(*current), home ? send : SendHop(send_there));
    if (!response.ok()) return acted ? AfterEffect(response.status()) : response;
    std::optional<Url> next = hop.Next(*response);
    if (!next) return response;
    if (followed == options.max_redirects) return TooMany(options);
    acted = acted || !RequestTraits<Request>::RepeatabilityOf(*current).idempotent;
    own = Redirected(*current, response->status, hop.url, *next);
    current = &own;
    hop.url = *std::move(next);
  }
}

}  // namespace internal
}  // namespace holdfast::http
