#include "holdfast/http/request.h"

namespace holdfast::http::internal {
namespace {

// Not every release of cpp-httplib has the same callbacks of progress.
template <class Request>
bool TellsProgress(const Request& request) {
  if constexpr (requires { bool(request.progress); }) {
    return bool(request.progress);
  } else if constexpr (requires {
                         bool(request.download_progress) || bool(request.upload_progress);
                       }) {
    return bool(request.download_progress) || bool(request.upload_progress);
  } else {
    return false;
  }
}

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
          .calls_back = bool(request.response_handler) || TellsProgress(request)};
}

}  // namespace holdfast::http::internal
