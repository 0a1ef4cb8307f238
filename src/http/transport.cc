#include "holdfast/http/transport.h"

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <stop_token>
#include <utility>

#include "holdfast/http/transport_error.h"
#include "holdfast/internal/validate.h"
#include "origin.h"
#include "pool.h"
#include "sigpipe.h"
#include "watchdog.h"

namespace holdfast::http {
namespace {

using internal::Interruption;

// A token of RFC 9110, 5.6.2.
bool IsToken(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

// cpp-httplib writes headers as they are: a line break in one would begin another, or a request.
bool HasBreak(const std::string& text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos;
}

// Not every release of cpp-httplib has them here.
template <class Request>
bool HasFiles(const Request& request) {
  if constexpr (requires { request.files.empty(); }) {
    return !request.files.empty();
  } else {
    return false;
  }
}

std::string WhatIsWrong(const httplib::Request& request) {
  if (!IsToken(request.method)) {
    return absl::StrCat("the request's method \"", absl::CHexEscape(request.method), "\" is none");
  }
  const bool asterisk = request.method == "OPTIONS" && request.path == "*";
  if (!asterisk && (request.path.empty() || request.path.front() != '/')) {
    return absl::StrCat("the request's path \"", absl::CHexEscape(request.path),
                        "\" must begin with /");
  }
  if (std::any_of(request.path.begin(), request.path.end(),
                  [](unsigned char c) { return c <= ' ' || c == 0x7f; })) {
    return absl::StrCat("the request's path \"", absl::CHexEscape(request.path),
                        "\" must be encoded");
  }
  if (!request.params.empty() || HasFiles(request)) {
    return "the request's params and files are for servers: use its path and body";
  }
  for (const auto& [name, value] : request.headers) {
    if (!IsToken(name) || HasBreak(value)) {
      return absl::StrCat("the request's header \"", absl::CHexEscape(name), "\" is malformed");
    }
  }
  return "";
}

absl::Status DeadlineExceeded(const internal::Origin& origin, TransportError kind) {
  return WithTransportError(absl::DeadlineExceededError(
                                absl::StrCat(origin.url, ": no answer before the call's deadline")),
                            kind);
}

absl::Status Cancelled(const internal::Origin& origin, TransportError kind) {
  return WithTransportError(
      absl::CancelledError(absl::StrCat(origin.url, ": the caller stopped the call")), kind);
}

absl::Status Check(const absl::StatusOr<internal::Origin>& origin,
                   const httplib::Request& request) {
  if (!origin.ok()) return origin.status();
  const std::string wrong = WhatIsWrong(request);
  if (wrong.empty()) return absl::OkStatus();
  return WithTransportError(absl::InvalidArgumentError(absl::StrCat(origin->url, ": ", wrong)),
                            TransportError::kRequest);
}

// What is sent in the attempt of that number; cpp-httplib adds more to it.
httplib::Request Prepared(const internal::Pool& pool, const httplib::Request& request,
                          int attempt) {
  httplib::Request copy = request;
  if (!copy.has_header("Host")) copy.headers.emplace("Host", pool.origin()->host_header);
  if (const std::string& header = pool.options().attempt_header; !header.empty()) {
    copy.headers.erase(header);
    copy.headers.emplace(header, absl::StrCat(attempt));
  }
  return copy;
}

// `deadline` is on the steady clock.
absl::StatusOr<httplib::Response> Exchange(internal::Pool& pool, httplib::Request request,
                                           TimePoint deadline, const std::stop_token& stop) {
  const internal::Origin& origin = *pool.origin();
  httplib::Response response;
  absl::Status status;

  const internal::SigpipeGuard guard;
  internal::Pool::Lease connection(pool);
  {
    const std::stop_callback cancel(stop, [&] { connection->Interrupt(Interruption::kCancelled); });
    const internal::Watchdog::Watch watch(pool.watchdog(), deadline, *connection);
    status = connection->Send(request, response);
  }
  using Fate = internal::Pool::Fate;
  // Authorities that could not be loaded are not loaded again by the same client.
  connection.Decide(absl::IsFailedPrecondition(status) ? Fate::kDestroy : Fate::kClose);
  // An interrupted exchange may look complete: a body may end with its connection.
  const auto how_far = [&] { return TransportErrorOf(status).value_or(TransportError::kLost); };
  switch (connection->interruption()) {
    case Interruption::kDeadline:
      return DeadlineExceeded(origin, how_far());
    case Interruption::kCancelled:
      return Cancelled(origin, how_far());
    case Interruption::kNone:
      break;
  }
  if (!status.ok()) return status;
  // What follows a response that is not final is not the response to the next request.
  if (response.status >= 200 && connection->Quiet()) connection.Decide(Fate::kKeep);
  return response;
}

}  // namespace

absl::Status Validate(const TransportOptions& options) {
  const auto wrong = [](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("Transport: ", what));
  };
  if (options.max_idle < 0) return wrong("max_idle must be >= 0");
  if (options.idle_timeout <= Duration::zero()) return wrong("idle_timeout must be > 0");
  if (options.connect_timeout <= Duration::zero()) return wrong("connect_timeout must be > 0");
  if (options.read_timeout <= Duration::zero()) return wrong("read_timeout must be > 0");
  if (options.write_timeout <= Duration::zero()) return wrong("write_timeout must be > 0");
  if (!options.attempt_header.empty() && !IsToken(options.attempt_header)) {
    return wrong("attempt_header must be the name of a header, or empty");
  }
  return absl::OkStatus();
}

Transport::Transport(std::string_view origin, TransportOptions options)
    : pool_(std::make_shared<internal::Pool>(internal::ParseOrigin(origin),
                                             holdfast::internal::Validated(std::move(options)))) {}

absl::StatusOr<httplib::Response> Transport::operator()(const httplib::Request& request,
                                                        Call& call) const {
  if (absl::Status wrong = Check(pool_->origin(), request); !wrong.ok()) return wrong;
  const internal::Origin& origin = *pool_->origin();
  if (call.stop().stop_requested()) return Cancelled(origin, TransportError::kConnect);
  TimePoint deadline = TimePoint::max();
  if (call.deadline() != TimePoint::max()) {
    // The call's clock may be any; the network's is the steady one.
    const Duration left = SaturatingSub(call.deadline(), call.now());
    if (left <= Duration::zero()) return DeadlineExceeded(origin, TransportError::kConnect);
    deadline = SaturatingAdd(holdfast::internal::ReadClock(nullptr), left);
  }
  return Exchange(*pool_, Prepared(*pool_, request, call.attempt()), deadline, call.stop());
}

absl::StatusOr<httplib::Response> Transport::operator()(const httplib::Request& request) const {
  if (absl::Status wrong = Check(pool_->origin(), request); !wrong.ok()) return wrong;
  return Exchange(*pool_, Prepared(*pool_, request, 1), TimePoint::max(), {});
}

TransportStats Transport::stats() const { return pool_->stats(); }

}  // namespace holdfast::http
