// Serves all connections of a server of metrics in one thread.
#ifndef HOLDFAST_SRC_METRICS_HTTP_SERVER_LOOP_H_
#define HOLDFAST_SRC_METRICS_HTTP_SERVER_LOOP_H_

#include <poll.h>

#include <cstddef>
#include <list>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/metrics_http/metrics_server.h"
#include "src/http/net/waiting.h"
#include "src/metrics_http/listening.h"
#include "src/metrics_http/server_connection.h"
#include "src/metrics_http/server_site.h"

namespace holdfast::internal {

// poll() is enough for as few connections as there may be. Used by one thread.
class ServerLoop {
 public:
  ServerLoop(const MetricsServerOptions& options, ServerSite& site, Listening listening);

  // Returns soon after the stop.
  void Run(const http::internal::StopSignal& stop);

 private:
  using Connections = std::list<ServerConnection>;

  // What to poll: the connections in their order, and behind them the listening socket.
  std::vector<pollfd> Polled() const;
  TimePoint NextTime(TimePoint now) const;
  bool Round(const http::internal::StopSignal& stop);
  void Serve(const std::vector<pollfd>& polled);
  void Accept(TimePoint now);
  bool MakeRoom();
  void Tick(TimePoint now);
  void Drain(TimePoint until);
  void DropClosed();
  std::size_t Streams() const;

  const MetricsServerOptions& options_;
  ServerSite& site_;
  Listening listening_;
  Connections connections_;
  TimePoint next_stream_ = TimePoint::min();  // when streams are told the next time
  TimePoint accepts_from_ = TimePoint::min();
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_HTTP_SERVER_LOOP_H_
