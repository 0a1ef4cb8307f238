#include <absl/strings/cord.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "holdfast/http/httplib.h"
#include "holdfast/http/transport_error.h"
#include "src/http/httplib/error.h"
#include "src/http/httplib/names.h"

namespace holdfast::http::internal {
namespace {

// Where an empty httplib::Result carries the status that it was made from. Its request headers are
// the only place for text in one, and of no other use where no request was sent.
constexpr char kCodeHeader[] = "Holdfast-Status";
constexpr char kMessageHeader[] = "Holdfast-Message";
constexpr char kPayloadUrlHeader[] = "Holdfast-Payload-Url";  // the nth of these belongs to
constexpr char kPayloadHeader[] = "Holdfast-Payload";         // the nth of those

// Of a status that no transport made.
httplib::Error NearestError(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kCancelled:
      return httplib::Error::Canceled;
    case absl::StatusCode::kDeadlineExceeded:
      return httplib::Error::ConnectionTimeout;
    default:
      return httplib::Error::Connection;
  }
}

httplib::Error NearestError(const absl::Status& status) {
  const std::optional<TransportError> kind = TransportErrorOf(status);
  if (!kind || absl::IsCancelled(status)) return NearestError(status.code());
  switch (*kind) {
    case TransportError::kConnect:
      return NearestError(status.code());
    case TransportError::kTls:
      return httplib::Error::SSLConnection;
    case TransportError::kCertificate:
      return httplib::Error::SSLServerVerification;
    case TransportError::kRedirect:
      return httplib::Error::ExceedRedirectCount;
    case TransportError::kOutcomeUnknown:
    case TransportError::kPartialResponse:
    case TransportError::kMalformed:
      return httplib::Error::Read;
    case TransportError::kRequest:
      break;
  }
  return httplib::Error::Unknown;
}

BodySource BodyOf(const httplib::Request& request) {
  if (!request.content_provider_) return BodySource::kBytes;
  // One without a length.
  return request.is_chunked_content_provider_ ? BodySource::kStream : BodySource::kProvider;
}

}  // namespace

RequestFacts FactsOf(const httplib::Request& request) {
  return {.method = request.method,
          .has_idempotency_key = !request.get_header_value("Idempotency-Key").empty(),
          .body = BodyOf(request),
          .hands_on = bool(request.content_receiver),
          .calls_back = bool(request.response_handler) || HasProgress(request)};
}

httplib::Result EmptyResult(const absl::Status& status) {
  httplib::Headers headers;
  headers.emplace(kCodeHeader, absl::StrCat(status.raw_code()));
  headers.emplace(kMessageHeader, std::string(status.message()));
  status.ForEachPayload([&headers](absl::string_view url, const absl::Cord& payload) {
    headers.emplace(kPayloadUrlHeader, std::string(url));
    headers.emplace(kPayloadHeader, std::string(payload));
  });
  return httplib::Result(nullptr, NearestError(status), std::move(headers));
}

absl::Status StatusOfEmpty(const httplib::Result& result) {
  int code = 0;
  if (!result.has_request_header(kCodeHeader) ||
      !absl::SimpleAtoi(RequestHeaderOf(result, kCodeHeader), &code) || code == 0) {
    return StatusOfError(result.error());
  }
  absl::Status status(static_cast<absl::StatusCode>(code), RequestHeaderOf(result, kMessageHeader));
  const std::size_t payloads = result.get_request_header_value_count(kPayloadUrlHeader);
  for (std::size_t i = 0; i < payloads; ++i) {
    const std::string payload = RequestHeaderOf(result, kPayloadHeader, i);
    status.SetPayload(RequestHeaderOf(result, kPayloadUrlHeader, i),
                      absl::Cord(absl::string_view(payload)));
  }
  return status;
}

}  // namespace holdfast::http::internal
