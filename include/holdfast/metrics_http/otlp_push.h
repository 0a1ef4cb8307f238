// OtlpPush sends what a registry of metrics knows to an OpenTelemetry collector, again and again:
// OTLP over HTTP, in JSON.
//
//   const auto metrics = std::make_shared<holdfast::Metrics>(
//       holdfast::MetricsOptions{.service_name = "shop"});
//   holdfast::OtlpPush push(metrics, {.endpoint = "http://collector:4318/v1/metrics"});
//   absl::Status added = metrics->Add("otlp", push);  // what the push itself counts
//   // ... and at the end of the program:
//   absl::Status last = push.Stop();
#ifndef HOLDFAST_METRICS_HTTP_OTLP_PUSH_H_
#define HOLDFAST_METRICS_HTTP_OTLP_PUSH_H_

#include <absl/status/status.h>

#include <memory>
#include <string>
#include <utility>

#include "holdfast/base/time.h"
#include "holdfast/call/collector.h"
#include "holdfast/http/standard_client.h"
#include "holdfast/metrics/metrics.h"
#include "holdfast/metrics_http/otlp_push_options.h"  // IWYU pragma: export

namespace holdfast {

// A thread of its own pushes at each interval. Pushes never overlap: one that is due while another
// runs is left out, and since counts are cumulative nothing is lost by that. Each is a call through
// a stack:
//
//   Timeout(timeout) > Retry > CircuitBreak > Timeout(of an attempt) > Transport
//
// The rules are those of OTLP 1.5 ("OTLP/HTTP Response", "OTLP/HTTP Throttling"):
//   - 429, 502, 503, 504 and a connection that could not be made, was lost or timed out are
//     retried, after a backoff with jitter (a tenth of `timeout` before the first retry, at most
//     five attempts) or after what Retry-After asks for;
//   - a Retry-After that is longer than this push may take holds the next pushes back as well, for
//     at most 5 min: they are refused until then, without a request;
//   - every other response is final, and so is a part that the receiver rejected (partial_success),
//     which is told and not sent again;
//   - a response of 2xx whose body is not what OTLP says is a success.
// The breaker opens for 30 s after six failures in a row.
//
// Thread-safe, but for the destructor. In a child of fork() there is no thread, ForceFlush and Stop
// return kFailedPrecondition, and the destructor leaks what the parent's thread may have locked.
class OtlpPush {
 public:
  // Throws std::invalid_argument with the text of Validate, and for a null registry;
  // std::system_error if there is no thread.
  explicit OtlpPush(std::shared_ptr<const Metrics> metrics, OtlpPushOptions options = {});

  // The same with `executor` instead of a Transport, for a test: called with an http::Request, and
  // with the Call& if it takes one; returns an absl::StatusOr<http::Response>. It is called by one
  // thread at a time. options.transport is ignored.
  template <class Executor>
    requires http::internal::Serves<Executor>
  OtlpPush(std::shared_ptr<const Metrics> metrics, Executor executor, OtlpPushOptions options = {})
      : OtlpPush(std::move(metrics), http::internal::AsTransport(std::move(executor)),
                 std::move(options), 0) {}

  OtlpPush(const OtlpPush&) = delete;
  OtlpPush& operator=(const OtlpPush&) = delete;

  // Cuts off a push that runs, and makes none.
  ~OtlpPush();

  // Pushes now, in this thread, after a push that runs; returns what OtlpPushResult::status is.
  // Also kDeadlineExceeded and kCancelled if that one did not end in time, and kFailedPrecondition
  // after Stop.
  absl::Status ForceFlush(const WaitOptions& options = {});

  // Ends the thread, cutting off its push, and pushes a last time in this one, as ForceFlush does.
  // Takes no longer than `timeout` if nobody else flushes. After it there are no pushes.
  // kFailedPrecondition if it is stopped already.
  absl::Status Stop(TimePoint deadline = TimePoint::max());

  // For Metrics::Add: what it counts (holdfast.otlp_push.*), its stack, and the objects of that.
  CollectedObjects Objects() const;

  std::string Describe() const;  // Stack::Describe() of its stack

 private:
  class Impl;

  OtlpPush(std::shared_ptr<const Metrics> metrics, http::internal::AttemptFunction attempt,
           OtlpPushOptions options, int);

  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast

#endif  // HOLDFAST_METRICS_HTTP_OTLP_PUSH_H_
