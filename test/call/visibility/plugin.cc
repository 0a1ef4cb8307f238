#include "test/call/visibility/request.h"

namespace holdfast::visibility {

KeyFunction HostOfRequest() {
  return FromRequest<Request>(
      [](const Request& request) -> std::string_view { return request.host; });
}

KeyFunction Text() {
  return FromRequest<std::string>([](const std::string& text) -> std::string_view { return text; });
}

const void* MarkOfRequest() { return &internal::request_type<Request>; }

}  // namespace holdfast::visibility
