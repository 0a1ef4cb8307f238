#include "holdfast/http/transport.h"

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <stop_token>
#include <utility>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/process.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/call/repeatability.h"
#include "holdfast/http/request.h"
#include "holdfast/http/transport_error.h"
#include "src/http/httplib_names.h"
#include "src/http/origin.h"
#include "src/http/pool.h"
#include "src/http/sigpipe.h"
#include "src/http/watchdog.h"

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

std::string WhatIsWrong(const httplib::Request& request) {
  if (!IsToken(request.method)) {
    return absl::StrCat("invalid HTTP method \"", absl::CHexEscape(request.method), "\"");
  }
  const bool asterisk = request.method == "OPTIONS" && request.path == "*";
  if (!asterisk && (request.path.empty() || request.path.front() != '/')) {
    return absl::StrCat("the request's path \"", absl::CHexEscape(request.path),
                        "\" must begin with /");
  }
  if (std::any_of(request.path.begin(), request.path.end(),
                  [](unsigned char c) { return c <= ' ' || c == 0x7f; })) {
    return absl::StrCat("the request's path \"", absl::CHexEscape(request.path),
                        "\" must be percent-encoded");
  }
  if (!request.params.empty() || internal::HasForm(request)) {
    return "the request has params or a form, which only servers read; put them into its path and "
           "body "
           "(SetMultipart)";
  }
  for (const auto& [name, value] : request.headers) {
    if (!IsToken(name) || HasBreak(value)) {
      return absl::StrCat("the request's header \"", absl::CHexEscape(name), "\" is malformed");
    }
  }
  return "";
}

absl::Status DeadlineExceeded(const internal::Route& route, TransportError kind) {
  return WithTransportError(absl::DeadlineExceededError(absl::StrCat(
                                route.Describe(), ": no answer before the call's deadline")),
                            kind);
}

absl::Status Cancelled(const internal::Route& route, TransportError kind) {
  return WithTransportError(
      absl::CancelledError(absl::StrCat(route.Describe(), ": the caller stopped the call")), kind);
}

absl::Status Check(const absl::StatusOr<internal::Route>& route, const httplib::Request& request) {
  if (!route.ok()) return route.status();
  const std::string wrong = WhatIsWrong(request);
  if (wrong.empty()) return absl::OkStatus();
  return WithTransportError(
      absl::InvalidArgumentError(absl::StrCat(route->origin.url, ": ", wrong)),
      TransportError::kRequest);
}

// What is sent in the attempt of that number; cpp-httplib adds more to it.
httplib::Request Prepared(const internal::Pool& pool, const httplib::Request& request,
                          int attempt) {
  const internal::Route& route = *pool.route();
  httplib::Request copy = request;
  if (!copy.has_header("Host")) copy.headers.emplace("Host", route.origin.host_header);
  if (route.proxy && !route.tunnels()) {
    // A proxy is told the whole URL (RFC 9112, 3.2.2 and, of the asterisk, 3.2.4).
    copy.path = route.origin.url + (copy.path == "*" ? "" : copy.path);
  }
  if (const std::string& header = pool.options().attempt_header; !header.empty()) {
    copy.headers.erase(header);
    copy.headers.emplace(header, absl::StrCat(attempt));
  }
  return copy;
}

// Lets a request's content_receiver have what is an answer. The body of a failure, which another
// attempt may follow, goes where it goes without a receiver.
class Receiving {
 public:
  // Until it ends, `request` is to stay where it is.
  explicit Receiving(httplib::Request& request) {
    if (!request.content_receiver) return;
    request.response_handler =
        [this, handler = std::move(request.response_handler)](const httplib::Response& response) {
          failed_ = internal::IsFailure(response.status);
          return !handler || handler(response);
        };
    request.content_receiver = [this, receiver = std::move(request.content_receiver)](
                                   const char* data, std::size_t size, std::uint64_t offset,
                                   std::uint64_t total) {
      if (failed_) {
        body_.append(data, size);
        return true;
      }
      begun_ = true;
      return receiver(data, size, offset, total);
    };
  }
  Receiving(const Receiving&) = delete;
  Receiving& operator=(const Receiving&) = delete;

  bool begun() const { return begun_; }
  void Finish(httplib::Response& response) {
    if (failed_) response.body = std::move(body_);
  }

 private:
  bool failed_ = false;
  bool begun_ = false;
  std::string body_;
};

// What bounds an exchange; the deadline is on the steady clock.
struct Limits {
  TimePoint deadline;
  const std::stop_token& stop;
};

// One that was interrupted may look complete: a body may end with its connection.
absl::StatusOr<httplib::Response> ExchangeOn(internal::Pool::Lease& connection,
                                             internal::Pool& pool, httplib::Request request,
                                             const Limits& limits) {
  Receiving receiving(request);
  httplib::Response response;
  absl::Status status;
  {
    const std::stop_callback cancel(limits.stop,
                                    [&] { connection->Interrupt(Interruption::kCancelled); });
    const internal::Watchdog::Watch watch(pool.watchdog(), limits.deadline, *connection);
    status = connection->Send(request, response);
  }
  if (!status.ok() && receiving.begun()) {
    status = WithTransportError(std::move(status), TransportError::kPartialResponse);
  }
  using Fate = internal::Pool::Fate;
  // Authorities that could not be loaded are not loaded again by the same client.
  connection.Decide(absl::IsFailedPrecondition(status) ? Fate::kDestroy : Fate::kClose);
  const auto how_far = [&] {
    return TransportErrorOf(status).value_or(receiving.begun() ? TransportError::kPartialResponse
                                                               : TransportError::kOutcomeUnknown);
  };
  switch (connection->interruption()) {
    case Interruption::kDeadline:
      return DeadlineExceeded(*pool.route(), how_far());
    case Interruption::kCancelled:
      return Cancelled(*pool.route(), how_far());
    case Interruption::kNone:
      break;
  }
  if (!status.ok()) return status;
  receiving.Finish(response);
  // What follows a response that is not final is not the response to the next request.
  if (response.status >= 200 && connection->Quiet()) connection.Decide(Fate::kKeep);
  return response;
}

// Whether a failed exchange met a connection that the server had given up, and the request may be
// sent over another one: RFC 9112, 9.3.1. One that failed by a timeout met a server that is there.
bool WasStale(internal::Pool::Lease& connection, const absl::Status& failure, Duration took,
              const TransportOptions& options) {
  return connection->reused() && !connection->answered() &&
         connection->interruption() == Interruption::kNone &&
         TransportErrorOf(failure) == TransportError::kOutcomeUnknown &&
         absl::IsUnavailable(failure) &&
         took < std::min(options.read_timeout, options.write_timeout);
}

absl::StatusOr<httplib::Response> Exchange(internal::Pool& pool, const httplib::Request& request,
                                           int attempt, TimePoint deadline,
                                           const std::stop_token& stop) {
  const TimePoint began = holdfast::internal::ReadClock(nullptr);
  const Limits limits{
      .deadline = std::min(deadline, SaturatingAdd(began, pool.options().total_timeout)),
      .stop = stop};
  const auto permit = pool.Admit(limits.deadline, stop);
  if (!permit.ok()) {
    return absl::IsCancelled(permit.status())
               ? Cancelled(*pool.route(), TransportError::kConnect)
               : DeadlineExceeded(*pool.route(), TransportError::kConnect);
  }
  internal::SigpipeGuard guard;
  {
    internal::Pool::Lease connection(pool, /*fresh=*/false);
    const TimePoint taken = connection.taken();
    auto response = ExchangeOn(connection, pool, Prepared(pool, request, attempt), limits);
    // This exchange had one socket, and one to which a write has failed is not quiet; of those that
    // are closed meanwhile only TLS writes to its own.
    if (connection.kept() && connection->reused() && !pool.route()->origin.tls) guard.NoneCame();
    const auto took = [taken] { return holdfast::internal::ReadClock(nullptr) - taken; };
    const bool again = !response.ok() &&
                       WasStale(connection, response.status(), took(), pool.options()) &&
                       MayRunAgain(RequestTraits<httplib::Request>::RepeatabilityOf(request),
                                   Effect::kUnanswered) == Rerun::kMay;
    if (!again) return response;
  }
  internal::Pool::Lease connection(pool, /*fresh=*/true);
  return ExchangeOn(connection, pool, Prepared(pool, request, attempt), limits);
}

}  // namespace

absl::Status Validate(const TransportOptions& options) {
  constexpr Duration kZero = Duration::zero();
  holdfast::internal::OptionsChecker check("Transport");
  check(options.max_connections >= 1, "max_connections must be >= 1");
  check(options.max_idle >= 0, "max_idle must be >= 0");
  check(options.idle_timeout > kZero, "idle_timeout must be > 0");
  check(options.connect_timeout > kZero, "connect_timeout must be > 0");
  check(options.read_timeout > kZero, "read_timeout must be > 0");
  check(options.write_timeout > kZero, "write_timeout must be > 0");
  check(options.total_timeout > kZero, "total_timeout must be > 0");
  check(options.client_cert_file.empty() == options.client_key_file.empty(),
        "client_cert_file and client_key_file go together");
  check(options.attempt_header.empty() || IsToken(options.attempt_header),
        "attempt_header must be the name of a header, or empty");
  if (!options.proxy.empty()) {
    const auto proxy = internal::ParseProxy(options.proxy);
    check(proxy.ok(), "proxy: ", proxy.status().message());
  }
  return check.status();
}

std::shared_ptr<internal::Pool> Transport::MakePool(std::string_view origin,
                                                    TransportOptions options) {
  options = holdfast::internal::Validated(std::move(options));
  auto route = internal::ParseRoute(origin, options.proxy);
  return std::make_shared<internal::Pool>(std::move(route), std::move(options));
}

Transport::Transport(std::string_view origin, TransportOptions options)
    : pool_(std::make_shared<holdfast::internal::PerProcess<internal::Pool>>(
          MakePool(origin, std::move(options)))) {}

absl::StatusOr<httplib::Response> Transport::operator()(const httplib::Request& request,
                                                        Call& call) const {
  internal::Pool& pool = *pool_->Get();
  if (absl::Status wrong = Check(pool.route(), request); !wrong.ok()) return wrong;
  const internal::Route& route = *pool.route();
  if (call.stop().stop_requested()) return Cancelled(route, TransportError::kConnect);
  TimePoint deadline = TimePoint::max();
  if (call.deadline() != TimePoint::max()) {
    // The call's clock may be any; the network's is the steady one.
    const Duration left = SaturatingSub(call.deadline(), call.now());
    if (left <= Duration::zero()) return DeadlineExceeded(route, TransportError::kConnect);
    deadline = SaturatingAdd(holdfast::internal::ReadClock(nullptr), left);
  }
  return Exchange(pool, request, call.attempt(), deadline, call.stop());
}

absl::StatusOr<httplib::Response> Transport::operator()(const httplib::Request& request) const {
  internal::Pool& pool = *pool_->Get();
  if (absl::Status wrong = Check(pool.route(), request); !wrong.ok()) return wrong;
  return Exchange(pool, request, 1, TimePoint::max(), {});
}

TransportStats Transport::stats() const { return pool_->Get()->stats(); }

}  // namespace holdfast::http
