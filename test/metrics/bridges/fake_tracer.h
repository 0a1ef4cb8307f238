#ifndef HOLDFAST_TEST_METRICS_BRIDGES_FAKE_TRACER_H_
#define HOLDFAST_TEST_METRICS_BRIDGES_FAKE_TRACER_H_

// A Tracer of OpenTelemetry's API, or of the stand-in for it, that keeps its spans.

#include <opentelemetry/common/attribute_value.h>
#include <opentelemetry/nostd/shared_ptr.h>
#include <opentelemetry/nostd/variant.h>
#include <opentelemetry/trace/span.h>
#include <opentelemetry/trace/tracer.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/metrics/opentelemetry_tracer.h"

namespace holdfast::test {

namespace trace = opentelemetry::trace;

struct KeptSpan {
  std::string name;
  bool client;
  std::string parent;   // its traceparent; empty: that of the thread
  bool remote = false;  // the parent is told to be of another process
  std::string state;    // the parent's tracestate
  TraceContext context;
  std::map<std::string, std::string> attributes = {};
  bool failed = false;
  std::string description = {};
  int ends = 0;
};

// Thread-safe.
class FakeTracer final : public trace::Tracer {
 public:
  using Text = opentelemetry::nostd::string_view;
  using SpanPtr = opentelemetry::nostd::shared_ptr<trace::Span>;

#ifdef HOLDFAST_OPENTELEMETRY_TRACE_STAND_IN
  SpanPtr StartSpan(Text name, const trace::StartSpanOptions& options) noexcept override {
    return Start(name, options);
  }
#else
  using trace::Tracer::StartSpan;
  SpanPtr StartSpan(Text name, const opentelemetry::common::KeyValueIterable&,
                    const trace::SpanContextKeyValueIterable&,
                    const trace::StartSpanOptions& options) noexcept override {
    return Start(name, options);
  }
#if OPENTELEMETRY_ABI_VERSION_NO == 1
  void ForceFlushWithMicroseconds(std::uint64_t) noexcept override {}
  void CloseWithMicroseconds(std::uint64_t) noexcept override {}
#endif
#endif

  std::vector<KeptSpan> spans() const {
    const std::lock_guard lock(kept_->mutex);
    return kept_->spans;
  }

 private:
  struct Kept {
    std::mutex mutex;
    std::vector<KeptSpan> spans;
  };

  class Span final : public trace::Span {
   public:
    Span(std::shared_ptr<Kept> kept, std::size_t number, trace::SpanContext context)
        : kept_(std::move(kept)), number_(number), context_(std::move(context)) {}

    void SetAttribute(Text key,
                      const opentelemetry::common::AttributeValue& value) noexcept override {
      std::string text;
      if (opentelemetry::nostd::holds_alternative<std::int64_t>(value)) {
        text = std::to_string(opentelemetry::nostd::get<std::int64_t>(value)) + "i";
      } else {
        const auto& string = opentelemetry::nostd::get<Text>(value);
        text.assign(string.data(), string.size());
      }
      const std::lock_guard lock(kept_->mutex);
      kept_->spans[number_].attributes[std::string(key.data(), key.size())] = text;
    }
    void SetStatus(trace::StatusCode code, Text description) noexcept override {
      const std::lock_guard lock(kept_->mutex);
      kept_->spans[number_].failed = code == trace::StatusCode::kError;
      kept_->spans[number_].description.assign(description.data(), description.size());
    }
    void End(const trace::EndSpanOptions&) noexcept override {
      const std::lock_guard lock(kept_->mutex);
      ++kept_->spans[number_].ends;
    }
    trace::SpanContext GetContext() const noexcept override { return context_; }
#ifndef HOLDFAST_OPENTELEMETRY_TRACE_STAND_IN
    void AddEvent(Text) noexcept override {}
    void AddEvent(Text, opentelemetry::common::SystemTimestamp) noexcept override {}
    void AddEvent(Text, opentelemetry::common::SystemTimestamp,
                  const opentelemetry::common::KeyValueIterable&) noexcept override {}
    void UpdateName(Text) noexcept override {}
    bool IsRecording() const noexcept override { return true; }
#endif

   private:
    std::shared_ptr<Kept> kept_;
    std::size_t number_;
    trace::SpanContext context_;
  };

  // The ids of a span are 0...0n, but for the trace of a parent.
  SpanPtr Start(Text name, const trace::StartSpanOptions& options) {
    const std::lock_guard lock(kept_->mutex);
    const std::size_t number = kept_->spans.size();
    SpanId span = {};
    span.back() = static_cast<std::uint8_t>(number + 1);
    TraceId trace_id = {};
    trace_id.back() = static_cast<std::uint8_t>(number + 1);
    KeptSpan kept = {.name = std::string(name.data(), name.size()),
                     .client = options.kind == trace::SpanKind::kClient,
                     .parent = "",
                     .state = "",
                     .context = TraceContext(trace_id, span, TraceContext::kSampled)};
    if (opentelemetry::nostd::holds_alternative<trace::SpanContext>(options.parent)) {
      const auto& context = opentelemetry::nostd::get<trace::SpanContext>(options.parent);
      const TraceContext parent = internal::FromOtel(context);
      kept.remote = context.IsRemote();
      kept.parent = parent.traceparent();
      kept.state = parent.tracestate();
      kept.context = parent.WithSpan(span);
    }
    trace::SpanContext context = internal::ToOtel(kept.context, /*is_remote=*/false);
    kept_->spans.push_back(std::move(kept));
    return SpanPtr(
        std::shared_ptr<trace::Span>(std::make_shared<Span>(kept_, number, std::move(context))));
  }

  std::shared_ptr<Kept> kept_ = std::make_shared<Kept>();
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_METRICS_BRIDGES_FAKE_TRACER_H_
