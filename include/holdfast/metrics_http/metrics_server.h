// A MetricsServer shows a registry of metrics to people and to Prometheus, over HTTP.
//
//   const auto events = std::make_shared<holdfast::RecentEvents>();
//   holdfast::Metrics metrics({.service_name = "shop", .observer = events});
//   absl::Status added = metrics.Add("orders", stack);
//   auto server = holdfast::MetricsServer::Start(metrics, {.port = 9464, .events = events});
//   if (server.ok()) std::cout << (*server)->url() << "\n";  // http://127.0.0.1:9464/
#ifndef HOLDFAST_METRICS_HTTP_METRICS_SERVER_H_
#define HOLDFAST_METRICS_HTTP_METRICS_SERVER_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/metrics/metrics.h"
#include "holdfast/metrics/recent_events.h"

namespace holdfast {

struct MetricsServerOptions {
  std::string address = "127.0.0.1";  // to listen on: a literal of IPv4, or of IPv6 in no brackets
  int port = 0;                       // 0 to 65535; 0: a free one
  // What requests must bring, but for /healthz, as "Authorization: Bearer <token>" or as the
  // password of a Basic one, for which a browser asks: 16 to 256 visible ASCII characters. Needed
  // where `address` is no loopback address. It travels as plain text: put TLS in front where the
  // network is not your own.
  std::string token = {};
  // Names by which the server is reached, beside localhost and literal addresses, without a port.
  // A request for another Host is refused, as a page of another site sends one whose name was made
  // to lead here (DNS rebinding).
  std::vector<std::string> hosts = {};
  // Open connections, 2 to 10,000. A further one takes the place of the one that has waited longest
  // for a request, or is answered 503 where there is none.
  int max_connections = 64;
  // Pages that are told changes over a stream (/events), 0 to 1,000 and less than max_connections.
  // Further ones ask every `refresh`. A browser opens six connections to a server at most, so that
  // more than four streams would leave its other pages waiting.
  int max_streams = 4;
  std::size_t max_request = 8192;  // bytes of a request, 256 to 2^20
  // From the time at which a request can come to its last byte, and for a response from its first
  // to its last; 10 ms to 10 min. A stream whose reader takes nothing for the latter ends.
  TimeSpan read_timeout = std::chrono::seconds(10);
  TimeSpan write_timeout = std::chrono::seconds(10);
  TimeSpan refresh = std::chrono::seconds(1);  // how often pages change, 100 ms to 1 min
  // How far back the charts of the page go: 10 s to 1 h, in up to 150 steps, or 0: none. The
  // registry is looked at for each step, whether a page is open or not.
  TimeSpan history = std::chrono::minutes(5);
  std::shared_ptr<const RecentEvents> events = nullptr;  // null: the page shows none
};

// OK, or kInvalidArgument that names the option.
absl::Status Validate(const MetricsServerOptions& options);

// Serves these, to GET and HEAD alone:
//
//   /               the page, one document that asks for nothing but what is below
//   /metrics        Metrics::Text()
//   /snapshot.json  what the page shows; docs/dashboard.md says what is in it
//   /events         the same as server-sent events, one every `refresh`
//   /healthz        "ok"
//
// One thread serves all of it and looks at the registry, and so calls Collect and Info of its
// objects; one of yours that blocks there keeps the page and /metrics waiting. Each connection
// holds a request of at most max_request bytes and one response at a time; a stream that its reader
// does not keep up with leaves out what came between.
//
// Thread-safe. In a child of fork() there is no thread: Stop does nothing, the destructor leaks,
// and the sockets stay open until the child ends, or calls exec.
class MetricsServer {
 public:
  // Listens and serves until Stop. `metrics` must outlive the server and stay where it is.
  // kInvalidArgument for options that Validate refuses and for an address that this machine does
  // not have, kAlreadyExists where another program listens there, kPermissionDenied,
  // kResourceExhausted where there is no descriptor or thread to be had, kUnavailable otherwise.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Start(const Metrics& metrics,
                                                              MetricsServerOptions options = {});
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;
  ~MetricsServer();  // as Stop

  const std::string& url() const;  // of the page: "http://127.0.0.1:9464/"
  int port() const;

  // Ends the streams, lets the responses that are on their way go on for up to half a second, and
  // closes all connections. Returns when that is done; may be called more than once, but not from
  // an object that is being looked at.
  void Stop();

 private:
  struct Impl;

  explicit MetricsServer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast

#endif  // HOLDFAST_METRICS_HTTP_METRICS_SERVER_H_
