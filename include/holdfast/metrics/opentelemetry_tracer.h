// OpenTelemetryTracer makes the spans of a stack with OpenTelemetry's C++ API, for a program that
// has the SDK and its exporters. All of it is in this header, which needs the headers of
// opentelemetry-cpp's API and which holdfast/metrics.h does not include.
//
//   const auto tracing = std::make_shared<holdfast::OpenTelemetryTracer>(tracer);
//   auto fetch = holdfast::Stack(holdfast::Retry({}), holdfast::Timeout(2s))
//                    .Traced("orders", tracing)
//                    .Around(transport);
#ifndef HOLDFAST_METRICS_OPENTELEMETRY_TRACER_H_
#define HOLDFAST_METRICS_OPENTELEMETRY_TRACER_H_

#include <absl/status/status.h>
#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/nostd/span.h>
#include <opentelemetry/nostd/string_view.h>
#include <opentelemetry/trace/span.h>
#include <opentelemetry/trace/span_context.h>
#include <opentelemetry/trace/span_id.h>
#include <opentelemetry/trace/span_metadata.h>
#include <opentelemetry/trace/span_startoptions.h>
#include <opentelemetry/trace/trace_flags.h>
#include <opentelemetry/trace/trace_id.h>
#include <opentelemetry/trace/trace_state.h>
#include <opentelemetry/trace/tracer.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/string_view.h"
#include "holdfast/base/internal/utf8.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/call/internal/attribute_text.h"
#include "holdfast/call/report.h"
#include "holdfast/call/trace_context.h"
#include "holdfast/call/tracer.h"

namespace holdfast {

namespace internal {

namespace otel = opentelemetry::trace;
inline constexpr std::size_t kMostOfText = 256;  // bytes

using OtelText = opentelemetry::nostd::string_view;
using OtelSpan = opentelemetry::nostd::shared_ptr<otel::Span>;
using OtelTracer = opentelemetry::nostd::shared_ptr<otel::Tracer>;

inline OtelText ToOtel(std::string_view text) { return OtelText(text.data(), text.size()); }

inline otel::SpanContext ToOtel(const TraceContext& context, bool is_remote) {
  using opentelemetry::nostd::span;
  return otel::SpanContext(
      otel::TraceId(span<const std::uint8_t, 16>(context.trace_id().data(), 16)),
      otel::SpanId(span<const std::uint8_t, 8>(context.span_id().data(), 8)),
      otel::TraceFlags(context.flags()), is_remote,
      otel::TraceState::FromHeader(ToOtel(context.tracestate())));
}

inline TraceContext FromOtel(const otel::SpanContext& context) {
  TraceId trace = {};
  SpanId span = {};
  const auto trace_bytes = context.trace_id().Id();
  const auto span_bytes = context.span_id().Id();
  std::copy(trace_bytes.data(), trace_bytes.data() + trace.size(), trace.data());
  std::copy(span_bytes.data(), span_bytes.data() + span.size(), span.data());
  TraceContext result(trace, span, context.trace_flags().flags());
  if (context.trace_state().get() != nullptr) {
    (void)result.SetTracestate(context.trace_state()->ToHeader());
  }
  return result;
}

inline void SetText(otel::Span& span, const char* key, std::string_view value) {
  span.SetAttribute(key, ToOtel(value));
}

// How both kinds of spans end.
inline void EndSpan(otel::Span& span, CallOutcome outcome, const absl::Status& status) {
  SetText(span, "holdfast.outcome", ToString(outcome));
  if (!status.ok()) SetText(span, "error.type", absl::StatusCodeToString(status.code()));
  if (outcome != CallOutcome::kSuccess) {
    const std::string message = KeptText(ToStd(status.message()), kMostOfText);
    span.SetStatus(otel::StatusCode::kError, ToOtel(message));
  }
  span.End();
}

class OtelAttemptSpan final : public AttemptSpan {
 public:
  explicit OtelAttemptSpan(OtelSpan span)
      : span_(std::move(span)), context_(FromOtel(span_->GetContext())) {}

  const TraceContext& context() const override { return context_; }
  void End(const AttemptEnd& end) override { EndSpan(*span_, end.outcome, end.status); }

 private:
  const OtelSpan span_;
  const TraceContext context_;
};

class OtelCallSpan final : public CallSpan {
 public:
  OtelCallSpan(OtelTracer tracer, OtelSpan span, std::string stack)
      : tracer_(std::move(tracer)),
        span_(std::move(span)),
        context_(FromOtel(span_->GetContext())),
        stack_(std::move(stack)) {}

  const TraceContext& context() const override { return context_; }

  std::unique_ptr<AttemptSpan> StartAttempt(const AttemptStart& start) override {
    otel::StartSpanOptions options;
    options.kind = otel::SpanKind::kClient;
    options.parent = span_->GetContext();
    OtelSpan span = tracer_->StartSpan(ToOtel(stack_ + " attempt"), options);
    if (span.get() == nullptr) return nullptr;
    SetText(*span, "holdfast.stack", stack_);
    if (start.resend_count > 0) {
      span->SetAttribute("http.request.resend_count", std::int64_t{start.resend_count});
    }
    return std::make_unique<OtelAttemptSpan>(std::move(span));
  }

  void End(const CallEnd& end) override {
    span_->SetAttribute("holdfast.attempts", std::int64_t{end.attempts});
    if (end.outcome != CallOutcome::kSuccess) {
      SetText(*span_, "holdfast.reason", AttributeText(ToString(end.ended_by)));
    }
    EndSpan(*span_, end.outcome, end.status);
  }

 private:
  const OtelTracer tracer_;
  const OtelSpan span_;
  const TraceContext context_;
  const std::string stack_;
};

}  // namespace internal

// Each call is a span of the kind internal with the name of the stack, and each attempt a span of
// the kind client below it, with the name of the stack and " attempt". The parent of a call is
// CallOptions::trace or the attempt of an outer stack; without, it is the span that is active in
// the thread that calls. The context of the attempt is what a Transport sends.
//
// Attributes: holdfast.stack (of attempts), http.request.resend_count where it is more than 0,
// holdfast.attempts, holdfast.outcome, and of what failed holdfast.reason and error.type, which is
// the name of the status code. What failed has the status kError with the status's message. Texts
// are valid UTF-8 of at most 256 bytes, as OTLP needs. A call's key and its request are not told.
//
// Times are those of OpenTelemetry, when a span begins and ends, whatever the clock of the stack.
// The SDK decides what is sampled. Thread-safe, as an opentelemetry::trace::Tracer is.
class OpenTelemetryTracer final : public Tracer {
 public:
  // Throws std::invalid_argument for a null tracer.
  explicit OpenTelemetryTracer(internal::OtelTracer tracer) : tracer_(std::move(tracer)) {
    if (tracer_.get() == nullptr) internal::ThrowNull("OpenTelemetryTracer: the Tracer");
  }

  std::unique_ptr<CallSpan> StartCall(const CallStart& start) override {
    internal::otel::StartSpanOptions options;
    options.kind = internal::otel::SpanKind::kInternal;
    if (start.parent != nullptr) {
      options.parent = internal::ToOtel(*start.parent, !start.parent_is_local);
    }
    std::string stack = internal::KeptText(start.stack, internal::kMostOfText);
    internal::OtelSpan span = tracer_->StartSpan(internal::ToOtel(stack), options);
    if (span.get() == nullptr) return nullptr;
    return std::make_unique<internal::OtelCallSpan>(tracer_, std::move(span), std::move(stack));
  }

 private:
  const internal::OtelTracer tracer_;
};

}  // namespace holdfast

#endif  // HOLDFAST_METRICS_OPENTELEMETRY_TRACER_H_
