// The requests of an OtlpPush and what the responses to them mean.
#ifndef HOLDFAST_SRC_METRICS_HTTP_OTLP_PUSH_EXCHANGE_H_
#define HOLDFAST_SRC_METRICS_HTTP_OTLP_PUSH_EXCHANGE_H_

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "holdfast/http/message.h"
#include "holdfast/metrics_http/otlp_push_options.h"

namespace holdfast::internal {

struct OtlpEndpoint {
  std::string origin;  // scheme://host[:port], if the URL has that form
  std::string target;  // "/path?query"
};

OtlpEndpoint SplitEndpoint(std::string_view url);

// A POST with `json` as its body.
http::Request OtlpRequest(const OtlpPushOptions& options, std::string json);

// Whether OTLP has the request sent again after this.
bool IsOtlpRetryable(const absl::StatusOr<http::Response>& answer);

// All but OtlpPushResult::attempts.
OtlpPushResult ReadOtlpAnswer(const absl::StatusOr<http::Response>& answer);

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_HTTP_OTLP_PUSH_EXCHANGE_H_
