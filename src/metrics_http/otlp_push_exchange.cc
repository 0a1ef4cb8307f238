#include "src/metrics_http/otlp_push_exchange.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>

#include "holdfast/http/transport_error.h"
#include "src/metrics_http/gzip.h"

namespace holdfast::internal {
namespace {

using nlohmann::json;

// The member of an object; null if there is none or it is no object.
json Member(const json& object, const char* name) {
  if (!object.is_object()) return {};
  const auto found = object.find(name);
  return found == object.end() ? json() : *found;
}

std::string TextOf(const json& value) {
  constexpr std::size_t kMost = 1000;
  if (!value.is_string()) return "";
  return value.get<std::string>().substr(0, kMost);
}

// An int64 is a string in proto3's JSON mapping, and may be a number. Below zero it means nothing.
std::int64_t CountOf(const json& value) {
  std::int64_t count = 0;
  if (value.is_string()) {
    if (!absl::SimpleAtoi(value.get<std::string>(), &count)) return 0;
  } else if (value.is_number_integer()) {
    count = value.get<std::int64_t>();
  }
  return std::max<std::int64_t>(count, 0);
}

absl::StatusCode CodeOfStatus(int status) {
  if (status == 401) return absl::StatusCode::kUnauthenticated;
  if (status == 403) return absl::StatusCode::kPermissionDenied;
  if (status == 429) return absl::StatusCode::kResourceExhausted;
  return status >= 500 ? absl::StatusCode::kUnavailable : absl::StatusCode::kInvalidArgument;
}

// An ExportMetricsServiceResponse.
void ReadAccepted(const json& body, OtlpPushResult& result) {
  const json partial = Member(body, "partialSuccess");
  result.message = TextOf(Member(partial, "errorMessage"));
  result.rejected_points = CountOf(Member(partial, "rejectedDataPoints"));
  if (result.rejected_points > 0) {
    result.status = absl::InvalidArgumentError(absl::StrCat(
        "the receiver rejected ", result.rejected_points, " data points: ", result.message));
  }
}

// A google.rpc.Status.
void ReadRefused(const json& body, OtlpPushResult& result) {
  result.message = TextOf(Member(body, "message"));
  result.status = absl::Status(CodeOfStatus(result.http_status),
                               absl::StrCat("HTTP ", result.http_status,
                                            result.message.empty() ? "" : ": ", result.message));
}

}  // namespace

OtlpEndpoint SplitEndpoint(std::string_view url) {
  const auto scheme = url.find("://");
  const auto end = url.find_first_of("/?#", scheme == std::string_view::npos ? 0 : scheme + 3);
  if (end == std::string_view::npos) return {.origin = std::string(url), .target = "/"};
  const std::string_view rest = url.substr(end);
  return {.origin = std::string(url.substr(0, end)),
          .target = std::string(rest.starts_with('/') ? "" : "/").append(rest)};
}

http::Request OtlpRequest(const OtlpPushOptions& options, std::string json) {
  http::Request request = {.method = "POST",
                           .target = SplitEndpoint(options.endpoint).target,
                           .headers = options.headers};
  request.headers.Set("Content-Type", "application/json");
  if (options.gzip) {
    request.headers.Set("Content-Encoding", "gzip");
    request.body = Gzip(json);
  } else {
    request.body = std::move(json);
  }
  return request;
}

bool IsOtlpRetryable(const absl::StatusOr<http::Response>& answer) {
  if (answer.ok()) {
    const int status = answer->status;
    return status == 429 || status == 502 || status == 503 || status == 504;
  }
  if (absl::IsCancelled(answer.status())) return false;
  const auto error = http::TransportErrorOf(answer.status());
  // Without one it is of an executor that is no transport.
  if (!error)
    return absl::IsUnavailable(answer.status()) || absl::IsDeadlineExceeded(answer.status());
  return error == http::TransportError::kConnect || error == http::TransportError::kTls ||
         error == http::TransportError::kOutcomeUnknown;
}

OtlpPushResult ReadOtlpAnswer(const absl::StatusOr<http::Response>& answer) {
  OtlpPushResult result;
  if (!answer.ok()) {
    result.status = answer.status();
    return result;
  }
  result.http_status = answer->status;
  const json body = json::parse(answer->body, nullptr, /*allow_exceptions=*/false);
  if (answer->status >= 200 && answer->status < 300) {
    ReadAccepted(body, result);
  } else {
    ReadRefused(body, result);
  }
  return result;
}

}  // namespace holdfast::internal
