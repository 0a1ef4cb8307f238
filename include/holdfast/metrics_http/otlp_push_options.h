// The options of an OtlpPush, and what it tells of a push.
//
//   holdfast::OtlpPushOptions options{.endpoint = "https://otlp.example.com/v1/metrics",
//                                     .headers = {{"Authorization", "Bearer " + token}}};
//   options.on_push = [](const holdfast::OtlpPushResult& result) {
//     if (!result.status.ok()) std::clog << "metrics: " << result.status << "\n";
//   };
#ifndef HOLDFAST_METRICS_HTTP_OTLP_PUSH_OPTIONS_H_
#define HOLDFAST_METRICS_HTTP_OTLP_PUSH_OPTIONS_H_

#include <absl/status/status.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "holdfast/base/time.h"
#include "holdfast/http/headers.h"
#include "holdfast/http/transport_options.h"

namespace holdfast {

// What came of one push, its retries included.
struct OtlpPushResult {
  // OK: the receiver took all. Otherwise:
  //   kInvalidArgument      it rejected some points for good, or the request (status codes from 300
  //                         up but those below)
  //   kUnauthenticated      401
  //   kPermissionDenied     403
  //   kResourceExhausted    429; or the body is longer than max_body, and was not sent
  //   kUnavailable          the status codes from 500 up; no connection; or a policy refused the
  //                         push: the breaker is open, or the receiver asked for a pause
  //   kDeadlineExceeded     `timeout` or the deadline of the caller has passed
  //   kCancelled            the push was stopped
  //   kInternal             an exception, as of an object that was asked what it counts
  // and what else Transport returns.
  absl::Status status = {};
  int http_status = 0;               // of the last response; 0: there was none
  std::int64_t rejected_points = 0;  // data points that the receiver rejected, >= 0
  std::string message = {};          // what the receiver said, at most 1,000 bytes
  int attempts = 0;                  // requests that were sent, or begun
};

struct OtlpPushOptions {
  // Where to: http[s]://host[:port][/path][?query], used as it is.
  std::string endpoint = "http://localhost:4318/v1/metrics";
  // From the begin of one push to that of the next; >= 100 ms. The first push comes one interval
  // after the start. Duration::max(): only ForceFlush and Stop push, and there is no thread. The
  // default is that of OTEL_METRIC_EXPORT_INTERVAL.
  TimeSpan interval = std::chrono::seconds(60);
  // One push with its retries; >= 10 ms. One attempt gets two fifths of it, and no retry starts
  // after three fifths. The default is that of OTEL_EXPORTER_OTLP_TIMEOUT.
  TimeSpan timeout = std::chrono::seconds(10);
  // Of each request, for example with a credential. Those that describe the body come from here
  // (Content-Type, Content-Encoding, Content-Length, Transfer-Encoding) and are refused.
  http::Headers headers = {};
  bool gzip = false;  // compress the body
  // The longest body in bytes, before it is compressed; >= 1. A longer one is not sent. The default
  // is what an OpenTelemetry collector accepts (confighttp's max_request_body_size).
  std::size_t max_body = std::size_t{20} << 20;
  // Of the connection. A response may be 4 MiB long unless max_body of these says otherwise.
  http::TransportOptions transport = {.max_idle = 1, .max_body = std::uint64_t{4} << 20};
  // Called after each push, in the thread that made it, outside of every lock; what it throws is
  // dropped. It must neither flush, stop nor destroy the OtlpPush.
  std::function<void(const OtlpPushResult&)> on_push = nullptr;
  // Of the intervals and of the policies; the network uses the steady clock. null: SteadyClock().
  Clock* clock = nullptr;
};

// kInvalidArgument if an option is out of range; the text says which.
absl::Status Validate(const OtlpPushOptions& options);

}  // namespace holdfast

#endif  // HOLDFAST_METRICS_HTTP_OTLP_PUSH_OPTIONS_H_
