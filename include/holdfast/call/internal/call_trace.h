// The spans of a call.
#ifndef HOLDFAST_CALL_INTERNAL_CALL_TRACE_H_
#define HOLDFAST_CALL_INTERNAL_CALL_TRACE_H_

#include <atomic>
#include <memory>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/call/internal/watches.h"
#include "holdfast/call/trace_context.h"
#include "holdfast/call/tracer.h"

namespace holdfast::internal {

// What a call and its branches, which may outlive it, have in common. Thread-safe, but for End. The
// count of attempts is a value by itself, so its order is relaxed.
class CallTrace {
 public:
  // Of a call that nobody traces, and that hands on what it came with; `made`: by a Tracer.
  CallTrace(const TraceContext& passed_on, bool made) : context_(passed_on), made_(made) {}

  // A span of each Tracer of `watch`; null where none of them wants one.
  static std::shared_ptr<CallTrace> Begin(const Watch& watch, CallStart start);

  bool traced() const { return !spans_.empty(); }
  // Of the call; not valid() if nobody gave it one. And whether a Tracer did.
  const TraceContext& context() const { return context_; }
  bool made() const { return made_; }

  // By the call itself, once.
  void End(const CallEnd& end);
  bool ended() const { return ended_; }

 private:
  friend class CallSpans;

  struct Traced {
    std::shared_ptr<Tracer> tracer;  // a span may use it
    std::unique_ptr<CallSpan> span;
  };

  std::vector<Traced> spans_;
  TraceContext context_;
  bool made_;
  bool ended_ = false;
  std::atomic<int> attempts_{0};
};

// What a call, or a branch of one, has of it: its present attempt.
class CallSpans {
 public:
  explicit CallSpans(std::shared_ptr<CallTrace> call)
      : call_(std::move(call)), context_(call_->context()), made_(call_->made()) {}

  const std::shared_ptr<CallTrace>& call() const { return call_; }
  // Of the present attempt, or the one before.
  const TraceContext& context() const { return context_; }
  bool made() const { return made_; }

  void BeginAttempt(TimePoint at);
  void EndAttempt(const AttemptEnd& end);  // if there is one
  bool in_attempt() const { return !attempt_.empty(); }

 private:
  const std::shared_ptr<CallTrace> call_;
  std::vector<std::unique_ptr<AttemptSpan>> attempt_;
  TraceContext context_;
  bool made_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_CALL_INTERNAL_CALL_TRACE_H_
