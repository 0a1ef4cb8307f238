#include "holdfast/http/request.h"

namespace holdfast::http::internal {
namespace {

BodySource BodyOf(const Request& request) {
  if (!request.sender) return BodySource::kBytes;
  return request.sender_length ? BodySource::kProvider : BodySource::kStream;
}

}  // namespace

RequestFacts FactsOf(const Request& request) {
  return {.method = request.method,
          .has_idempotency_key = !request.headers.Find("Idempotency-Key").value_or("").empty(),
          .body = BodyOf(request),
          .hands_on = bool(request.receiver),
          .calls_back = bool(request.on_head) || bool(request.on_interim) ||
                        bool(request.on_upload) || bool(request.on_download)};
}

}  // namespace holdfast::http::internal
