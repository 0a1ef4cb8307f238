#include "holdfast/http/request.h"

#include "src/http/httplib_names.h"

namespace holdfast::http::internal {
namespace {

BodySource BodyOf(const httplib::Request& request) {
  if (!request.content_provider_) return BodySource::kBytes;
  // One without a length.
  return request.is_chunked_content_provider_ ? BodySource::kStream : BodySource::kProvider;
}

}  // namespace

RequestFacts InfoOf(const httplib::Request& request) {
  return {.method = request.method,
          .has_idempotency_key = !request.get_header_value("Idempotency-Key").empty(),
          .body = BodyOf(request),
          .hands_on = bool(request.content_receiver),
          .calls_back = bool(request.response_handler) || HasProgress(request)};
}

}  // namespace holdfast::http::internal
