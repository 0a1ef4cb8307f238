// RecentCalls keeps the last calls with their attempts, to be looked at.
//
//   const auto recent = std::make_shared<holdfast::RecentCalls>();
//   auto fetch = holdfast::Stack(holdfast::Retry({})).Traced("orders", recent).Around(transport);
//   result = fetch(request);
//   for (const holdfast::RecentCall& call : recent->Snapshot()) {
//     log(call.stack, holdfast::ToHex(call.trace_id), ToString(call.outcome));
//   }
#ifndef HOLDFAST_CALL_RECENT_CALLS_H_
#define HOLDFAST_CALL_RECENT_CALLS_H_

#include <absl/status/status.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/call/report.h"
#include "holdfast/call/trace_context.h"
#include "holdfast/call/tracer.h"

namespace holdfast {

// Texts are valid UTF-8 of at most RecentCalls::kMostText bytes; an ellipsis ends what is cut.
struct RecentAttempt {
  SpanId span_id = {};
  int resend_count = 0;                         // attempts of the call that had begun before
  Duration start = {};                          // after the call's
  std::optional<Duration> took = std::nullopt;  // nullopt: it has not ended
  // Once it has ended:
  CallOutcome outcome = CallOutcome::kSuccess;
  absl::StatusCode code = absl::StatusCode::kOk;
  std::string message = {};
};
struct RecentCall {
  std::string stack = {};  // the name that Traced was given
  TraceId trace_id = {};
  SpanId span_id = {};
  std::optional<SpanId> parent_id = std::nullopt;  // nullopt: the trace began with this call
  std::chrono::system_clock::time_point at = {};   // when it began
  Duration took = {};
  CallOutcome outcome = CallOutcome::kSuccess;
  EndReason ended_by = EndReason::kSuccess;
  absl::StatusCode code = absl::StatusCode::kOk;
  std::string message = {};
  std::vector<RecentAttempt> attempts = {};  // in the order in which they began
  int more_attempts = 0;                     // that are left out, beyond max_attempts
};

struct RecentCallsOptions {
  std::int64_t capacity = 200;     // calls that are kept, 1 to 100,000
  double sample_ratio = 1;         // the share of traces that begin here and are sampled, 0 to 1
  std::int64_t max_attempts = 16;  // that are kept of a call, 1 to 1,000
  // The time; called in any thread. A test gives its own.
  std::function<std::chrono::system_clock::time_point()> now = &std::chrono::system_clock::now;
};

// OK, or kInvalidArgument that names the option.
absl::Status Validate(const RecentCallsOptions& options);

// A Tracer that keeps the calls that ended last, of all stacks that it is attached to. It keeps
// those that are sampled: a call with a parent is if its parent is, and one without by a draw. It
// gives each call and each attempt a random span id or, where another Tracer of the stack has given
// one, takes that.
//
// Thread-safe. Memory is bounded: a call takes some 300 bytes and its texts, an attempt some 80 and
// its text.
class RecentCalls final : public Tracer {
 public:
  static constexpr std::size_t kMostText = 200;

  // Throws std::invalid_argument with what Validate(options) says unless that is OK.
  explicit RecentCalls(RecentCallsOptions options = {});
  ~RecentCalls() override;

  // Copies, the call that ended last first. An attempt that its call went on without may end after
  // it, and a later snapshot says how.
  std::vector<RecentCall> Snapshot() const;

  std::unique_ptr<CallSpan> StartCall(const CallStart& start) override;
  bool takes_contexts() const override { return true; }

 private:
  class Span;
  class Attempt;
  struct Record;

  void Keep(std::shared_ptr<Record> record);

  const RecentCallsOptions options_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Record>> ring_;  // guarded by mutex_; up to the capacity
  std::size_t next_ = 0;                       // guarded by mutex_; the place of the next
};

}  // namespace holdfast

#endif  // HOLDFAST_CALL_RECENT_CALLS_H_
