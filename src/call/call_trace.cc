// Spans: what a call says to those who trace it, however little memory there is, and whatever they
// throw.
#include "holdfast/call/internal/call_trace.h"

#include <array>
#include <type_traits>
#include <utility>

#include "holdfast/call/call.h"

namespace holdfast {
namespace {

// What `f` returns, or nothing if it throws: what traces a call must not change it.
template <class F>
auto IfItCan(const F& f) -> decltype(f()) {
  try {
    return f();
  } catch (...) {
    return decltype(f())();
  }
}

// The context of a span; null if it has none.
template <class Span>
const TraceContext* ContextOf(const Span& span) {
  const TraceContext* const context = IfItCan([&] { return &span.context(); });
  return context != nullptr && context->valid() ? context : nullptr;
}

template <class Span, class End>
void EndSpan(Span& span, const End& end) {
  IfItCan([&] { span.End(end); });
}

}  // namespace

namespace internal {

std::shared_ptr<CallTrace> CallTrace::Begin(const Watch& watch, CallStart start) {
  const TraceContext parent = start.parent == nullptr ? TraceContext() : *start.parent;
  auto trace = std::make_shared<CallTrace>(parent, start.parent_is_local);
  trace->spans_.reserve(watch.tracers.size());  // so that a span that was started is kept
  for (const Watch::Traced& traced : watch.tracers) {
    start.stack = traced.name;
    auto span = IfItCan([&] { return traced.tracer->StartCall(start); });
    if (span == nullptr) continue;
    trace->spans_.push_back({traced.tracer, std::move(span)});
    if (start.given != nullptr) continue;
    const TraceContext* const given = ContextOf(*trace->spans_.back().span);
    if (given == nullptr) continue;
    trace->context_ = *given;
    trace->made_ = true;
    start.given = &trace->context_;
  }
  return trace->traced() ? trace : nullptr;
}

void CallTrace::End(const CallEnd& end) {
  if (std::exchange(ended_, true)) return;
  for (const Traced& traced : spans_) EndSpan(*traced.span, end);
}

void CallSpans::BeginAttempt(TimePoint at) {
  context_ = call_->context();
  made_ = call_->made();
  if (!call_->traced()) return;
  AttemptStart start = {.at = at,
                        .resend_count = call_->attempts_.fetch_add(1, std::memory_order_relaxed)};
  attempt_.reserve(call_->spans_.size());
  for (const CallTrace::Traced& traced : call_->spans_) {
    auto span = IfItCan([&] { return traced.span->StartAttempt(start); });
    if (span == nullptr) continue;
    attempt_.push_back(std::move(span));
    if (start.given != nullptr) continue;
    const TraceContext* const given = ContextOf(*attempt_.back());
    if (given == nullptr) continue;
    context_ = *given;
    made_ = true;
    start.given = &context_;
  }
}

void CallSpans::EndAttempt(const AttemptEnd& end) {
  for (const auto& span : attempt_) EndSpan(*span, end);
  attempt_.clear();
}

}  // namespace internal

std::string_view ToString(CallOutcome outcome) {
  constexpr std::array<std::string_view, kCallOutcomes> kNames = {"success", "failure", "rejected",
                                                                  "cancelled", "exception"};
  return kNames[static_cast<std::size_t>(outcome)];
}

const TraceContext* Call::attempt_trace() const {
  if (spans_ != nullptr && spans_->context().valid()) return &spans_->context();
  return ParentTrace();
}

bool Call::traced() const {
  if (spans_ != nullptr && spans_->context().valid()) return spans_->made();
  return ParentTraceMade();
}

const TraceContext* Call::ParentTrace() const {
  if (options_.trace != nullptr && options_.trace->valid()) return options_.trace;
  return options_.outer == nullptr ? nullptr : options_.outer->attempt_trace();
}

bool Call::ParentTraceMade() const {
  if (options_.trace != nullptr && options_.trace->valid()) return options_.trace_is_local;
  return options_.outer != nullptr && options_.outer->traced();
}

void Call::BeginTrace(const internal::Watch& watch) {
  const CallStart start = {
      .key = key(), .at = *began_, .parent = ParentTrace(), .parent_is_local = ParentTraceMade()};
  JoinTrace(IfItCan([&] { return internal::CallTrace::Begin(watch, start); }));
}

void Call::JoinTrace(const std::shared_ptr<internal::CallTrace>& trace) {
  if (trace == nullptr) return;
  spans_ = IfItCan([&] { return new internal::CallSpans(trace); });
  if (spans_ == nullptr) return;
  holds_ |= kTrace;
  watched_ = true;
}

std::shared_ptr<internal::CallTrace> Call::TraceForBranch() const {
  if (spans_ != nullptr) return spans_->call();
  const TraceContext* const passed_on = attempt_trace();
  if (passed_on == nullptr) return nullptr;
  return IfItCan([&] { return std::make_shared<internal::CallTrace>(*passed_on, traced()); });
}

// A policy that forks sends branches in the place of this attempt: their attempts have spans.
void Call::TraceAttempt() {
  if (!forked_) IfItCan([&] { spans_->BeginAttempt(now()); });
}

void Call::TraceAttemptEnd(const absl::Status& status, CallOutcome outcome) {
  if (spans_ == nullptr || !spans_->in_attempt()) return;
  spans_->EndAttempt({.at = now(), .status = status, .outcome = outcome});
}

void Call::TraceEnd(const absl::Status& status, CallOutcome outcome, EndReason why) {
  if (spans_ == nullptr || branch_) return;
  spans_->call()->End(
      {.at = now(), .status = status, .outcome = outcome, .ended_by = why, .attempts = attempts_});
}

// Of a call that its driver let go of before it began.
void Call::DropTrace() {
  const absl::Status status = absl::CancelledError();
  TraceAttemptEnd(status, CallOutcome::kCancelled);
  if (!branch_ && !spans_->call()->ended()) {
    TraceEnd(status, CallOutcome::kCancelled, EndReason::kNotRetryable);
  }
  delete std::exchange(spans_, nullptr);
}

}  // namespace holdfast
