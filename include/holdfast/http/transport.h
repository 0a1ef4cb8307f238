// Transport sends HTTP requests to one origin over a pool of keep-alive connections. It is an
// executor for the bottom of a stack.
//
//   holdfast::http::Transport transport("http://localhost:8080", {.max_idle = 4});
//   auto fetch = holdfast::Stack(holdfast::Retry({}), holdfast::Timeout(2s)).Around(transport);
//
//   const holdfast::http::Request request = {.method = "GET", .target = "/orders/7"};
//   absl::StatusOr<holdfast::http::Response> response = fetch(request);
#ifndef HOLDFAST_HTTP_TRANSPORT_H_
#define HOLDFAST_HTTP_TRANSPORT_H_

#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "holdfast/call/call.h"
#include "holdfast/call/collector.h"
#include "holdfast/http/message.h"            // IWYU pragma: export
#include "holdfast/http/request.h"            // IWYU pragma: export
#include "holdfast/http/result.h"             // IWYU pragma: export
#include "holdfast/http/transport_error.h"    // IWYU pragma: export
#include "holdfast/http/transport_options.h"  // IWYU pragma: export

namespace holdfast::internal {
template <class T>
class PerProcess;
}

namespace holdfast::http {

// `opened` and `reused` count since the Transport was made; the others are current values.
struct TransportStats {
  std::int64_t opened = 0;  // connections that were opened, TLS included
  std::int64_t reused = 0;  // exchanges that took a connection from an earlier exchange
  std::int64_t idle = 0;    // idle connections
  std::int64_t in_use = 0;  // exchanges that run
  std::int64_t queued = 0;  // calls that wait for a connection
};

namespace internal {
class Pool;
}  // namespace internal

// A handle: copies share the connections. Thread-safe. One exchange uses a connection alone; a new
// connection is opened if none is idle, and is kept if its exchange ended cleanly. If the server
// has closed an idle connection, the request is sent on a new one. If the server closes the
// connection as the request arrives, the request is sent on a new one only if it is idempotent and
// its body can start over (retry.h), because the server may have acted on it. Either closes all
// connections that were idle for longer; so does a timeout if the server's host acknowledged
// nothing of what was sent to it, which is not slow but gone.
//
// The request is sent unchanged: its target, which must be percent-encoded, its headers in their
// order, and its body or what its sender gives. Host, Accept and User-Agent are added if they are
// missing. In a call with a trace context (Call::attempt_trace()) traceparent and tracestate say
// it: instead of those of the request where a Tracer made it, and otherwise if the request has no
// traceparent. Content-Length and Transfer-Encoding come from the body; headers that contradict it
// are refused. multipart.h makes a form with files a body. Redirects are not followed (redirect.h
// does that). Responses are decoded (see decode).
//
// Writing and reading go on at once. If the server answers with a failure before it has the whole
// body, the rest is not sent, the answer is returned, and the connection closed. The request's
// receiver gets the body of an answer; that of a 408, 425, 429 or 5xx but 501, after which the
// request may be sent again, is in Response::body. If the request is sent on a new connection, its
// callbacks run again.
//
// At the call's deadline, and when the call's stop token requests a stop, the exchange is cut off
// and its connection closed, whether it resolves the name, connects, shakes hands, writes or reads,
// and even if the server sends one byte at a time. A name is resolved by one of at most four
// threads of the process, which the call leaves alone at its deadline; with all of them stuck,
// calls fail at once. The addresses of a name are tried as RFC 8305 says.
//
// The calling thread does all else. One more thread, for all Transports, closes idle connections at
// their time, as long as there are some. These threads block all signals. No write raises SIGPIPE.
// A connection uses one file descriptor, and one for each address that is tried while it is opened;
// a call with a stop token uses another.
//
// ca_file, client_cert_file and client_key_file are loaded again once they have changed: new
// connections use what is there then, and what was there before as long as that can't be loaded.
//
// A Transport may be used on both sides of a fork(), at any time. In the child it starts with no
// connections and no thread; the parent's connections stay with the parent, and the child closes
// its copies of their descriptors when it first uses the Transport or destroys its last copy. A
// callback of a request that forks must not return in the child, because the exchange belongs to
// the parent. It may throw there, if no other thread used the Transport when it forked.
//
// Errors. Each message names the origin, the proxy or the unix socket where there is one, and the
// reason, and never a user or password; each status carries a TransportError:
//   kInvalidArgument     the origin is no URL; or the environment names a proxy by what is none; or
//                        the request's method, target or headers are invalid or not for a proxy
//   kUnavailable         the host can't be resolved or reached; the connection is refused, times
//                        out or is lost; or the TLS handshake fails
//   kFailedPrecondition  the certificate is not trusted or not for this host; a file of the options
//                        can't be read; or a proxy wants a password for a tunnel that it was not
//                        given, or another one (407)
//   kResourceExhausted   this process has no file descriptor or local port left
//   kDeadlineExceeded    the call's deadline or total_timeout has passed; with kConnect or kTls if
//                        that was before the request was sent
//   kCancelled           the call's stop token requested a stop, or a callback of the request
//                        returned false
//   kDataLoss            the response is malformed or beyond a bound of the options
//
// An HTTP status is not an error here; result.h says which ones policies treat as failures. An
// exception of a request's callback passes through, and the connection is closed.
class Transport {
 public:
  // `origin` is scheme://host[:port], with the scheme http or https and an IPv6 address in
  // brackets. An invalid origin does not throw, as it usually comes from a configuration: every
  // call then returns kInvalidArgument. Throws std::invalid_argument, with the text of Validate,
  // for invalid options.
  explicit Transport(std::string_view origin, TransportOptions options = {});

  static constexpr bool kTakesCall = true;  // a stack calls the first of these two: see stack.h
  absl::StatusOr<Response> operator()(const Request& request, Call& call) const;

  // Without a deadline.
  absl::StatusOr<Response> operator()(const Request& request) const;

  // The same for a request of another type (MessageTraits, message.h), for example of cpp-httplib.
  template <HasMessageTraits T>
  absl::StatusOr<typename MessageTraits<T>::Response> operator()(const T& request,
                                                                 Call& call) const {
    return internal::SendForeign(request, [&](const Request& own) { return (*this)(own, call); });
  }
  template <HasMessageTraits T>
  absl::StatusOr<typename MessageTraits<T>::Response> operator()(const T& request) const {
    return internal::SendForeign(request, *this);
  }

  TransportStats stats() const;

  // For a registry of metrics: metrics.Add("orders_http", transport), or Add(transport), which
  // takes the origin for a name. Copies count together; a child of fork() counts from zero. The
  // registry has exchanges measured from then on (MetricsOptions::durations): each reads the clock
  // once more. docs/http.md has the metrics. A transport has at most 64 series of
  // http.client.request.duration, and two more, of successes and of failures, for what has other
  // attributes than they: there http.request.method is "_OTHER" and no status is told.
  std::string_view name() const;  // origin(); lives as long as the Transport
  void Collect(Collector& collector) const;
  CollectedObject Collected() const;

  // scheme://host[:port] in lower case, without the scheme's own port; empty if the origin, or the
  // environment's proxy, is invalid.
  std::string origin() const;

 private:
  std::shared_ptr<holdfast::internal::PerProcess<internal::Pool>> pool_;
};

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_TRANSPORT_H_
