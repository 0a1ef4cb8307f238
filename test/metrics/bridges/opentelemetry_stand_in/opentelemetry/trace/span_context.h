#pragma once

#include <utility>

#include "opentelemetry/nostd/shared_ptr.h"
#include "opentelemetry/trace/span_id.h"
#include "opentelemetry/trace/trace_flags.h"
#include "opentelemetry/trace/trace_id.h"
#include "opentelemetry/trace/trace_state.h"

namespace opentelemetry::trace {

class SpanContext final {
 public:
  SpanContext(TraceId trace_id, SpanId span_id, TraceFlags trace_flags, bool is_remote,
              nostd::shared_ptr<TraceState> trace_state = TraceState::FromHeader("")) noexcept
      : trace_id_(trace_id),
        span_id_(span_id),
        trace_flags_(trace_flags),
        is_remote_(is_remote),
        trace_state_(std::move(trace_state)) {}

  const TraceFlags& trace_flags() const noexcept { return trace_flags_; }
  const TraceId& trace_id() const noexcept { return trace_id_; }
  const SpanId& span_id() const noexcept { return span_id_; }
  const nostd::shared_ptr<TraceState>& trace_state() const noexcept { return trace_state_; }
  bool IsRemote() const noexcept { return is_remote_; }

 private:
  TraceId trace_id_;
  SpanId span_id_;
  TraceFlags trace_flags_;
  bool is_remote_;
  nostd::shared_ptr<TraceState> trace_state_;
};

}  // namespace opentelemetry::trace
