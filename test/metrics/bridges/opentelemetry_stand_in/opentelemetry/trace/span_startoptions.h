#pragma once

#include "opentelemetry/nostd/variant.h"
#include "opentelemetry/trace/span_context.h"
#include "opentelemetry/trace/span_metadata.h"

namespace opentelemetry {

namespace context {

class Context {};

}  // namespace context

namespace trace {

struct StartSpanOptions {
  nostd::variant<SpanContext, context::Context> parent = context::Context{};
  SpanKind kind = SpanKind::kInternal;
};

}  // namespace trace
}  // namespace opentelemetry
