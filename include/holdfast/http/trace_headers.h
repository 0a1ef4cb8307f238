// TraceContextOf reads which trace a request belongs to.
//
//   const std::optional<holdfast::TraceContext> parent =
//       holdfast::http::TraceContextOf(request.headers);
//   const holdfast::CallOptions options = {.trace = parent ? &*parent : nullptr};
#ifndef HOLDFAST_HTTP_TRACE_HEADERS_H_
#define HOLDFAST_HTTP_TRACE_HEADERS_H_

#include <optional>

#include "holdfast/call/trace_context.h"
#include "holdfast/http/headers.h"

namespace holdfast::http {

// By TraceContext::Parse. nullopt where there is no traceparent, more than one, or a malformed one.
// All lines of tracestate are read, in their order.
std::optional<TraceContext> TraceContextOf(const Headers& headers);

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_TRACE_HEADERS_H_
