#include "holdfast/http/trace_headers.h"

#include <string_view>
#include <vector>

#include "holdfast/http/wire/message.h"

namespace holdfast::http {

std::optional<TraceContext> TraceContextOf(const Headers& headers) {
  const auto parent = headers.Find("traceparent");
  if (!parent || headers.Count("traceparent") != 1) return std::nullopt;
  std::vector<std::string_view> states;
  for (const Header& header : headers) {
    if (wire::EqualsIgnoringCase(header.name, "tracestate")) states.push_back(header.value);
  }
  return TraceContext::Parse(*parent, states);
}

}  // namespace holdfast::http
