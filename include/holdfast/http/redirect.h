// FollowRedirects follows the redirects of an HTTP executor.
//
//   const holdfast::http::StandardClient client("http://localhost:8080");
//   const auto fetch = holdfast::http::FollowRedirects(client, {.max_redirects = 5});
//   absl::StatusOr<holdfast::http::Response> page = fetch({.target = "/old"});
#ifndef HOLDFAST_HTTP_REDIRECT_H_
#define HOLDFAST_HTTP_REDIRECT_H_

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <concepts>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/driver/blocking_driver.h"
#include "holdfast/http/message.h"

namespace holdfast::http {

struct RedirectOptions {
  int max_redirects = 10;  // of one call, 0 to 100; 0: none is followed
  // The origin by which the executor's server names itself, scheme://host[:port]. Empty: the
  // executor's own, which a Transport and a StandardClient know.
  std::string origin = {};
  // Sends the requests of redirects to other origins; `origin` is scheme://host[:port] in lower
  // case, without the scheme's own port. The server chose it: send to origins that you expect, and
  // return a status for others, which the call then returns. `options` are those of the call, for
  // StandardClient::With and the like. Called in the thread of the call, by several threads at
  // once. Empty: a redirect to another origin is returned as it is.
  std::function<absl::StatusOr<Response>(const std::string& origin, const Request& request,
                                         const CallOptions& options)>
      elsewhere = {};
};

// kInvalidArgument if max_redirects is out of range or `origin` is not empty and no origin. The
// text says which.
absl::Status Validate(const RedirectOptions& options);

namespace internal {

using SendHop = absl::FunctionRef<absl::StatusOr<Response>(const Request&)>;
using SendElsewhere =
    absl::FunctionRef<absl::StatusOr<Response>(const std::string& origin, const Request&)>;

// `options` are what WithOrigin returns. `send_elsewhere` has their `elsewhere` send, where there
// is one.
absl::StatusOr<Response> Follow(const RedirectOptions& options, const Request& request,
                                SendHop send, SendElsewhere send_elsewhere);

// The same of a call with these options.
absl::StatusOr<Response> Follow(const RedirectOptions& options, const Request& request,
                                const CallOptions& call, SendHop send);

// `elsewhere` as an executor.
struct Elsewhere {
  const RedirectOptions& options;
  const std::string& origin;

  absl::StatusOr<Response> With(const CallOptions& call, const Request& request) const {
    return options.elsewhere(origin, request, call);
  }
};

// With `origin` in lower case, and that of the executor where the options have none; if neither has
// one, it stays empty. Throws std::invalid_argument for invalid options, and for an executor that
// can't say its origin (nullopt) if the options do not either.
RedirectOptions WithOrigin(RedirectOptions options, const std::optional<std::string>& of_executor);

template <class Executor>
std::optional<std::string> OriginOf(const Executor& executor) {
  if constexpr (requires {
                  { executor.origin() } -> std::convertible_to<std::string>;
                }) {
    return executor.origin();
  } else {
    return std::nullopt;
  }
}

// An executor for requests of our own, with or without a Call& at the end.
template <class Executor>
concept Fetches =
    holdfast::internal::Executes<Executor, const Request&> &&
    std::same_as<typename holdfast::internal::AttemptResult<Executor, const Request&>::type,
                 absl::StatusOr<Response>>;

}  // namespace internal

// Wraps an executor that takes a const http::Request& and returns an absl::StatusOr<http::Response>
// (a Transport, a StandardClient, a stack around one). Each hop is one call of it, so that a stack
// inside of FollowRedirects bounds, counts and retries each hop by itself.
//
// Put Retry inside of it. Outside, Retry would repeat the first request for a failure of a later
// hop: a POST a second time whose 303 led to a page that answers 503. A Timeout outside bounds all
// hops together; a Timeout inside bounds each.
//
// Which responses are followed (RFC 9110, 15.4; methods as in the Fetch standard, HTTP-redirect
// fetch):
//   301, 302   a POST becomes a GET; other methods stay
//   303        a HEAD stays, every other method becomes a GET
//   307, 308   method and body stay
// What becomes a GET, and any request after a 303, has no body, no trailers, and no Content-*,
// Transfer-Encoding, Trailer, Digest, Last-Modified and Expect. 300, 304, 305 and 306 are not
// followed, and no answer to CONNECT is.
//
// Location is resolved as RFC 3986, 5.2, says, dot segments removed; its fragment is dropped. A
// redirect is returned as it is, as the response of the call, where
//   - Location is missing, empty, there twice or malformed; or has a user or a password, a scheme
//     that is neither http nor https, a byte that is no visible ASCII character, or a backslash,
//     about which readers disagree;
//   - it leads from https to http, or to another origin without `elsewhere`, or its origin can't be
//     compared because that of the executor is not known;
//   - the body has to be sent again and can't start over: a sender without a length.
//
// Authorization, Cookie, Cookie2, Proxy-Authorization and Host are not sent to another origin, nor
// after that.
//
// The receiver and on_head get only the response that is returned; the bodies of others go nowhere,
// and of one that has more than 64 KiB, or is lost, the rest is not waited for.
// on_interim, on_upload and on_download are called for each hop.
//
// Errors: those of the executor and of `elsewhere`; and kFailedPrecondition with
// TransportError::kRedirect, which Retry does not repeat, when the call was redirected more than
// max_redirects times. Behind a request that is not idempotent, a later hop that fails has
// kOutcomeUnknown instead of a kind by which nothing was sent, or of a rejection, since the request
// may have acted. Exceptions pass through.
//
// Thread-safe if the executor and `elsewhere` are. The first request is sent from where it is; one
// with a receiver or on_head, and every later one, is a copy.
template <class Executor>
class FollowRedirects {
 public:
  // Throws std::invalid_argument, with the text of Validate, for invalid options; and if neither
  // the options nor the executor say the origin.
  explicit FollowRedirects(Executor executor, RedirectOptions options = {})
    requires internal::Fetches<Executor>
      : options_(internal::WithOrigin(std::move(options), internal::OriginOf(executor))),
        executor_(std::move(executor)) {}

  absl::StatusOr<Response> operator()(const Request& request) const
    requires holdfast::internal::CallableWith<Executor, const Request&>
  {
    return internal::Follow(options_, request, CallOptions(),
                            [this](const Request& hop) { return std::invoke(executor_, hop); });
  }

  // For a stack around it. The deadline and the stop token of the call are those of each hop.
  static constexpr bool kTakesCall = true;
  absl::StatusOr<Response> operator()(const Request& request, Call& call) const {
    return internal::Follow(
        options_, request,
        [&](const Request& hop) {
          return holdfast::internal::Attempt<const Request&>(executor_, call, hop);
        },
        [&](const std::string& origin, const Request& hop) {
          const internal::Elsewhere elsewhere{options_, origin};
          return holdfast::internal::Attempt<const Request&>(elsewhere, call, hop);
        });
  }

  // Around a stack or a StandardClient. options.deadline bounds all hops together; options.report
  // is that of the last one.
  absl::StatusOr<Response> With(const CallOptions& options, const Request& request) const
    requires holdfast::internal::TakesOptions<Executor, const Request&>
  {
    return internal::Follow(options_, request, options,
                            [&](const Request& hop) { return executor_.With(options, hop); });
  }

  // The clock of the executor, for a stack around this.
  Clock* StackClock() const
    requires requires(const Executor& executor) {
      { executor.StackClock() } -> std::convertible_to<Clock*>;
    }
  {
    return executor_.StackClock();
  }

 private:
  RedirectOptions options_;
  mutable Executor executor_;  // as in a stack: it guards what it keeps
};

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_REDIRECT_H_
