// A Transport makes HTTP requests to one origin over connections that it keeps: the executor at the
// bottom of a stack.
//
//   holdfast::http::Transport transport("http://localhost:8080", {.max_idle = 4});
//   auto fetch = holdfast::Stack(holdfast::Retry({}), holdfast::Timeout(2s)).Around(transport);
//
//   httplib::Request request;
//   request.method = "GET";
//   request.path = "/orders/7";
//   absl::StatusOr<httplib::Response> response = fetch(request);
#ifndef HOLDFAST_HTTP_TRANSPORT_H_
#define HOLDFAST_HTTP_TRANSPORT_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <httplib.h>

#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>

#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/http/result.h"           // IWYU pragma: export
#include "holdfast/http/transport_error.h"  // IWYU pragma: export

namespace holdfast::internal {
template <class T>
class PerProcess;
}

namespace holdfast::http {

// Of the timeouts the total one bounds an exchange, as the call's deadline does; the others bound
// one step each, to the millisecond and up to a day. A signal that the calling thread handles
// meanwhile begins its step's time anew (cpp-httplib polls again), and puts off neither the total
// timeout nor the deadline: bound calls by those where signals are frequent, as with a profiler.
struct TransportOptions {
  // Open at once, >= 1; who finds none free waits its turn, first come, first served.
  std::int64_t max_connections = std::numeric_limits<std::int64_t>::max();
  std::int64_t max_idle = 16;                          // connections kept between calls; >= 0
  TimeSpan idle_timeout = std::chrono::seconds(30);    // an older idle one is not used again
  TimeSpan connect_timeout = std::chrono::seconds(5);  // to connect; the same for each TLS step
  TimeSpan read_timeout = std::chrono::seconds(30);    // of silence while an answer is awaited
  TimeSpan write_timeout = std::chrono::seconds(30);   // in which nothing can be sent
  TimeSpan total_timeout = Duration::max();            // the wait for a connection included
  std::string ca_file = {};                            // PEM; empty: the system's authorities
  bool verify = true;                                  // the certificate and the host name in it
  std::string client_cert_file = {};                   // PEM, for a server that asks who is there;
  std::string client_key_file = {};                    // both or none
  // http://host[:port]; empty: none. It gets requests for http, and tunnels (CONNECT) for https.
  // Nothing is read from the environment, and the proxy is not given a user or password.
  std::string proxy = {};
  // Tells the server which attempt of its call a request is, from 1: "X-Attempt", say. Takes the
  // place of one that the request has; empty: no such header.
  std::string attempt_header = {};
};

// Says which of these is out of range, or no proxy's URL, or no header's name (RFC 9110, 5.6.2).
absl::Status Validate(const TransportOptions& options);

// Counted when an exchange ends.
struct TransportStats {
  std::int64_t opened = 0;  // connections
  std::int64_t reused = 0;  // exchanges over one that an earlier exchange had opened
  std::int64_t idle = 0;    // connections, now
  std::int64_t in_use = 0;  // exchanges, now
  std::int64_t queued = 0;  // calls that wait for a connection, now
};

namespace internal {
class Pool;
}  // namespace internal

// A handle: copies share the connections, and all of them may be used by all threads at once. One
// exchange has a connection to itself; a new one is opened if none is idle, and one is kept if its
// exchange ended cleanly. One that the server closed while it was idle is replaced without notice,
// and so is one that it closes as a request arrives, if that request is idempotent and its body can
// start over (retry.h): the server may have acted on it.
//
// The request is sent as it is, each time: its path, which must be encoded, its headers, and its
// body or content provider; cpp-httplib adds Host, Accept and User-Agent where they are missing. A
// form with files is a body as well: see multipart.h. Redirects are not followed. Responses are
// decompressed. What Retry sends again depends on the method and on how far the request came: see
// retry.h.
//
// At the call's deadline, and at once when its stop token is asked to stop, the exchange is cut off
// whatever it is doing and its connection closed: while it connects, shakes hands, writes or
// reads, however slowly the server drips. Only the system's name resolution runs to its own end,
// and so does the second connect, of at most 100 ms, that finds out why a first one failed. One
// thread per Transport watches the deadlines; the first call that has one starts it. A connection
// takes two file descriptors, one of them for that. SIGPIPE is kept from the program, and what the
// program does about it is left alone, as all signals are: the thread blocks them.
//
// A Transport may be used on both sides of a fork(), at any time. In the child it begins anew, with
// connections and a thread of its own; those of the parent are left to the parent, and their
// descriptors are closed when the child first uses it or destroys its last copy. A callback of a
// request that forks must not return in the child: the exchange that it is part of is the parent's.
//
// Errors, each with a message that names the origin and says which, and with its TransportError:
//   kInvalidArgument     the origin is no URL, or the request has no valid method, path or headers
//   kUnavailable         the host can't be resolved or reached, the connection is refused, times
//                        out or is lost, or the TLS handshake fails
//   kFailedPrecondition  the certificate is not trusted or not for this host; or a file of the
//                        options can't be read
//   kResourceExhausted   this process has no file descriptor or local port left
//   kDeadlineExceeded    the call's deadline, or total_timeout, has passed; kConnect or kTls where
//                        it did before the request was on its way
//   kCancelled           the call was asked to stop, or a callback of the request refused to go on
// Throws std::system_error where the system has no thread left for the watch.
//
// An HTTP status is no error here: see result.h for those that policies count as failures. What a
// callback of the request throws passes through, and the connection is closed.
class Transport {
 public:
  // `origin` is scheme://host[:port], with http or https and IPv6 in brackets. As it usually comes
  // from a configuration, a wrong one does not throw: every call then says what is wrong with it.
  // Throws std::invalid_argument with the text of Validate for the options.
  explicit Transport(std::string_view origin, TransportOptions options = {});

  absl::StatusOr<httplib::Response> operator()(const httplib::Request& request, Call& call) const;

  // Without a deadline.
  absl::StatusOr<httplib::Response> operator()(const httplib::Request& request) const;

  TransportStats stats() const;

 private:
  static std::shared_ptr<internal::Pool> MakePool(std::string_view origin,
                                                  TransportOptions options);

  std::shared_ptr<holdfast::internal::PerProcess<internal::Pool>> pool_;
};

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_TRANSPORT_H_
