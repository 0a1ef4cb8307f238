// A Tracer that writes down each span.
#ifndef HOLDFAST_TEST_SUPPORT_SPAN_BOOK_H_
#define HOLDFAST_TEST_SUPPORT_SPAN_BOOK_H_

#include <absl/status/status.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/call/trace_context.h"
#include "holdfast/call/tracer.h"

namespace holdfast::test {

// As it was told; the end if it has ended.
struct WrittenSpan {
  bool is_call = false;
  std::string stack = {};
  std::string key = {};
  TraceContext context = {};
  std::optional<TraceContext> parent = std::nullopt;  // of an attempt: its call
  int resend_count = 0;
  TimePoint start = {};
  int ends = 0;
  TimePoint end = {};
  absl::Status status = {};
  CallOutcome outcome = CallOutcome::kSuccess;
  EndReason ended_by = EndReason::kSuccess;
  int attempts = 0;
};

// Thread-safe. Ids count up from 1.
class SpanBook final : public Tracer {
 public:
  std::unique_ptr<CallSpan> StartCall(const CallStart& start) override {
    WrittenSpan span = {.is_call = true,
                        .stack = std::string(start.stack),
                        .key = std::string(start.key),
                        .start = start.at};
    if (start.parent != nullptr) span.parent = *start.parent;
    const std::size_t place = Write(std::move(span), [&](const SpanId& id) {
      if (start.given != nullptr) return *start.given;
      if (start.parent != nullptr) return start.parent->WithSpan(id);
      TraceId trace = {};
      for (std::size_t i = 0; i < id.size(); ++i) trace[i] = id[i];
      return TraceContext(trace, id, TraceContext::kSampled);
    });
    return std::make_unique<Call>(*this, place);
  }

  std::vector<WrittenSpan> spans() const {
    const std::lock_guard lock(mutex_);
    return {spans_.begin(), spans_.end()};
  }
  std::vector<WrittenSpan> calls() const { return Those(true); }
  std::vector<WrittenSpan> attempts() const { return Those(false); }

 private:
  class Attempt final : public AttemptSpan {
   public:
    Attempt(SpanBook& book, std::size_t place)
        : book_(book), place_(place), context_(book.ContextAt(place)) {}
    const TraceContext& context() const override { return context_; }
    void End(const AttemptEnd& end) override {
      const std::lock_guard lock(book_.mutex_);
      WrittenSpan& span = book_.spans_[place_];
      ++span.ends;
      span.end = end.at;
      span.status = end.status;
      span.outcome = end.outcome;
    }

   private:
    SpanBook& book_;
    const std::size_t place_;
    const TraceContext context_;
  };

  class Call final : public CallSpan {
   public:
    Call(SpanBook& book, std::size_t place)
        : book_(book), place_(place), context_(book.ContextAt(place)) {}
    const TraceContext& context() const override { return context_; }
    std::unique_ptr<AttemptSpan> StartAttempt(const AttemptStart& start) override {
      const std::size_t place =
          book_.Write({.parent = context_, .resend_count = start.resend_count, .start = start.at},
                      [&](const SpanId& id) {
                        return start.given != nullptr ? *start.given : context_.WithSpan(id);
                      });
      return std::make_unique<Attempt>(book_, place);
    }
    void End(const CallEnd& end) override {
      const std::lock_guard lock(book_.mutex_);
      WrittenSpan& span = book_.spans_[place_];
      ++span.ends;
      span.end = end.at;
      span.status = end.status;
      span.outcome = end.outcome;
      span.ended_by = end.ended_by;
      span.attempts = end.attempts;
    }

   private:
    SpanBook& book_;
    const std::size_t place_;
    const TraceContext context_;
  };

  template <class F>
  std::size_t Write(WrittenSpan span, const F& context_of) {
    const std::lock_guard lock(mutex_);
    SpanId id = {};
    for (std::size_t i = 0; i < 8; ++i) {
      id[i] = static_cast<std::uint8_t>((spans_.size() + 1) >> (8 * (7 - i)));
    }
    span.context = context_of(id);
    spans_.push_back(std::move(span));
    return spans_.size() - 1;
  }
  TraceContext ContextAt(std::size_t place) const {
    const std::lock_guard lock(mutex_);
    return spans_[place].context;
  }
  std::vector<WrittenSpan> Those(bool calls) const {
    std::vector<WrittenSpan> those;
    for (WrittenSpan& span : spans()) {
      if (span.is_call == calls) those.push_back(std::move(span));
    }
    return those;
  }

  mutable std::mutex mutex_;
  std::deque<WrittenSpan> spans_;  // guarded by mutex_
};

inline constexpr std::string_view kNothing;

// What is wrong with spans of calls that have all ended, attempts that were left included, or
// kNothing. Of a trace with no parent outside: each span ended once, each call has one trace id,
// each attempt a span id of its own, and the attempts of a call are counted up from 0.
inline std::string WhatIsWrongWith(const std::vector<WrittenSpan>& spans) {
  for (const WrittenSpan& span : spans) {
    const std::string id = ToHex(span.context.span_id());
    if (span.ends != 1) return "span " + id + " ended " + std::to_string(span.ends) + " times";
    if (!span.context.valid()) return "span " + id + " has no context";
    if (span.parent && span.parent->trace_id() != span.context.trace_id()) {
      return "span " + id + " is of another trace than its parent";
    }
    if (!span.is_call && !span.parent) return "attempt " + id + " is of no call";
    int same = 0;
    int resends = 0;
    for (const WrittenSpan& other : spans) {
      if (other.context.span_id() == span.context.span_id()) ++same;
      const bool sibling = !other.is_call && other.parent && other.parent == span.parent;
      if (sibling && other.resend_count == span.resend_count) ++resends;
    }
    if (same != 1) return "span id " + id + " is there " + std::to_string(same) + " times";
    if (!span.is_call && resends != 1) return "attempt " + id + " has the resend count of another";
  }
  return "";
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_SUPPORT_SPAN_BOOK_H_
