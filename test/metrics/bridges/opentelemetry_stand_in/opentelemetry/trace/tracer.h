#pragma once

#include "opentelemetry/nostd/shared_ptr.h"
#include "opentelemetry/nostd/string_view.h"
#include "opentelemetry/trace/span.h"
#include "opentelemetry/trace/span_startoptions.h"

#define HOLDFAST_OPENTELEMETRY_TRACE_STAND_IN 1

namespace opentelemetry::trace {

class Tracer {
 public:
  virtual ~Tracer() = default;
  virtual nostd::shared_ptr<Span> StartSpan(nostd::string_view name,
                                            const StartSpanOptions& options = {}) noexcept = 0;
};

}  // namespace opentelemetry::trace
