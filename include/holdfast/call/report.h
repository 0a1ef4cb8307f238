// What happened to one call: how often it was tried, what it waited for, and why it stopped.
//
//   holdfast::Report report;
//   auto result = fetch.With({.report = &report}, request);
//   log(report.attempts, " attempts, ended: ", ToString(report.ended_by));
#ifndef HOLDFAST_CALL_REPORT_H_
#define HOLDFAST_CALL_REPORT_H_

#include <absl/status/status.h>

#include <string_view>
#include <vector>

#include "holdfast/base/time.h"

namespace holdfast {

enum class EndReason : signed char {
  kSuccess,
  kNotRetryable,      // a failure that no policy wanted to try again; also an exception
  kAttempts,          // as many attempts as Retry allows
  kElapsed,           // as long as Retry allows
  kDeadline,          // the call's deadline, or a Timeout's
  kBudget,            // the retry budget is spent
  kRejected,          // a policy refused
  kCancelled,         // the caller's stop token
  kNotRepeatable,     // the request is used up: its stream, or its receiver of the answer
  kRetryAfterTooFar,  // the backend asked to be left alone for longer than Retry's max_retry_after
};

std::string_view ToString(EndReason reason);

// One run of the executor.
struct Attempt {
  TimePoint start = {};
  Duration delay = {};        // slept before it, since the attempt before or the call's start
  absl::Status outcome = {};  // kUnknown while it has not returned, so also when it threw
};

// What a policy that only tries itself out (a dry run) let pass.
struct DryRunFinding {
  std::string_view policy = {};
  absl::Status refusal = {};           // OK where it would only have waited
  TimePoint until = TimePoint::min();  // the end of the wait, or when a retry could succeed
};

// Filled only when asked for, by CallOptions::report; it is cleared when the call starts.
struct Report {
  int attempts = 0;
  EndReason ended_by = EndReason::kNotRetryable;
  Duration waited = {};                   // in all policies together
  TimePoint retry_at = TimePoint::min();  // the earliest time another try can succeed; min: any
  std::vector<Attempt> history = {};
  std::vector<DryRunFinding> dry_run = {};
};

}  // namespace holdfast

#endif  // HOLDFAST_CALL_REPORT_H_
