// A Report says what happened to one call: its attempts, how long it waited, and why it ended.
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
  kNotRetryable,      // a failure that no policy retries, or an exception
  kAttempts,          // Retry made max_attempts attempts
  kElapsed,           // Retry's max_elapsed has passed
  kDeadline,          // the deadline of the call or of a Timeout
  kBudget,            // the retry budget is spent
  kRejected,          // a policy refused the call
  kCancelled,         // the caller requested a stop
  kNotRepeatable,     // the request can't be sent again: its stream, or the receiver, is used up
  kRetryAfterTooFar,  // the backend's Retry-After is longer than Retry's max_retry_after
};

std::string_view ToString(EndReason reason);

// One run of the executor.
struct Attempt {
  TimePoint start = {};
  Duration delay = {};        // waited before it, since the previous attempt or the call's start
  absl::Status outcome = {};  // kUnknown until the attempt has returned, and if it threw
};

// What a policy in a dry run would have refused or delayed, but let pass.
struct DryRunFinding {
  std::string_view policy = {};
  absl::Status refusal = {};           // OK if the call would only have waited
  TimePoint until = TimePoint::min();  // the end of the wait, or when a retry could succeed
};

// Filled if CallOptions::report points to it. It is cleared when the call starts.
struct Report {
  int attempts = 0;
  EndReason ended_by = EndReason::kNotRetryable;
  Duration waited = {};  // total time of waits, in all policies
  TimePoint retry_at =
      TimePoint::min();  // earliest time at which another try can succeed; min: any
  std::vector<Attempt> history = {};
  std::vector<DryRunFinding> dry_run = {};
};

}  // namespace holdfast

#endif  // HOLDFAST_CALL_REPORT_H_
