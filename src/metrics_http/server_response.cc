#include "src/metrics_http/server_response.h"

#include <absl/strings/str_cat.h>

#include "holdfast/base/internal/string_view.h"
#include "holdfast/http/wire/writer.h"

namespace holdfast::internal {
namespace {

namespace wire = http::wire;

std::string_view ReasonOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 421:
      return "Misdirected Request";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "";
  }
}

wire::BodyPlan PlanOf(const ServerResponse& response) {
  if (response.status == 204) return {};
  if (response.stream) return {.framing = wire::Framing::kUntilClose};
  return wire::BodyPlan::Length(response.body == nullptr ? 0 : response.body->size());
}

}  // namespace

ServerResponse SentenceResponse(int status, std::string_view sentence) {
  return {.status = status,
          .body = std::make_shared<const std::string>(absl::StrCat(ToAbsl(sentence), "\n"))};
}

std::string HeadOf(const ServerResponse& response, bool to_head, bool close) {
  std::vector<wire::Field> fields = response.fields;
  fields.push_back({.name = "Content-Type", .value = response.type});
  fields.push_back({.name = "Cache-Control", .value = "no-store"});
  fields.push_back({.name = "X-Content-Type-Options", .value = "nosniff"});
  fields.push_back({.name = "Referrer-Policy", .value = "no-referrer"});
  // No page of another site gets at a response, not even as an image or a script.
  fields.push_back({.name = "Cross-Origin-Resource-Policy", .value = "same-origin"});
  std::string bytes;
  const absl::Status written = wire::WriteHead({.status = response.status,
                                                .reason = ReasonOf(response.status),
                                                .fields = fields,
                                                .body = PlanOf(response),
                                                .close = close || response.stream,
                                                .to_head = to_head},
                                               bytes);
  // All of it is the server's own.
  return written.ok() ? bytes : std::string("HTTP/1.1 500 \r\nContent-Length: 0\r\n\r\n");
}

}  // namespace holdfast::internal
