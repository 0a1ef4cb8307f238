#pragma once

namespace opentelemetry::trace {

enum class SpanKind { kInternal, kServer, kClient, kProducer, kConsumer };

enum class StatusCode { kUnset, kOk, kError };

struct EndSpanOptions {};

}  // namespace opentelemetry::trace
