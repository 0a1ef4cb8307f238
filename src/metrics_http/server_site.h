// What is to be had from a server of metrics, by path.
#ifndef HOLDFAST_SRC_METRICS_HTTP_SERVER_SITE_H_
#define HOLDFAST_SRC_METRICS_HTTP_SERVER_SITE_H_

#include <cstddef>
#include <optional>
#include <string>

#include "holdfast/base/time.h"
#include "holdfast/http/wire/reader.h"
#include "holdfast/metrics_http/metrics_server.h"
#include "src/metrics_http/flow_history.h"
#include "src/metrics_http/server_response.h"

namespace holdfast::internal {

// Used by one thread. What an object of the registry throws becomes a response with 500.
class ServerSite {
 public:
  // Both must outlive it.
  ServerSite(const Metrics& metrics, const MetricsServerOptions& options);

  // `streams`: how many there are.
  ServerResponse Answer(const http::wire::RequestReader& request, std::size_t streams);

  // A server-sent event with what /snapshot.json has; null where an object throws.
  SharedText StreamText();

  TimePoint NextSample() const { return next_sample_; }
  // A step of the history, if it is time for one.
  void Sample(TimePoint now);

 private:
  ServerResponse AnswerPath(std::string_view path, std::size_t streams);
  ServerResponse Page() const;
  ServerResponse Events(std::size_t streams);
  std::string Snapshot();

  const Metrics& metrics_;
  const MetricsServerOptions& options_;
  const Duration step_;
  std::optional<FlowHistory> history_;
  TimePoint next_sample_;
  const SharedText page_;
  const std::string policy_;  // of the page: Content-Security-Policy
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_HTTP_SERVER_SITE_H_
