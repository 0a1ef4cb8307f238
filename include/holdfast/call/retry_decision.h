// RetryDecision says whether a call is retried. A CheckRetry returns one, and so may the
// IsTransient of ResultTraits.
//
//   auto check = [](const holdfast::Call&, const Reply& reply) {
//     if (reply.code == kBusy) return holdfast::RetryDecision::AgainAfter(1s);
//     return holdfast::RetryDecision::Stop();
//   };
#ifndef HOLDFAST_CALL_RETRY_DECISION_H_
#define HOLDFAST_CALL_RETRY_DECISION_H_

#include <concepts>
#include <optional>

#include "holdfast/base/time.h"
#include "holdfast/call/report.h"

namespace holdfast {

// A value.
class RetryDecision {
 public:
  // Do not retry; Report::ended_by is `why`.
  static RetryDecision Stop(EndReason why = EndReason::kNotRetryable) {
    RetryDecision stop(false);
    stop.why_ = why;
    return stop;
  }
  // Retry after the backoff's delay or the backend's Retry-After, whichever is longer.
  static RetryDecision Again() { return RetryDecision(true, std::nullopt); }
  // Retry after exactly `delay`.
  static RetryDecision AgainAfter(TimeSpan delay) { return RetryDecision(true, delay); }

  // So that a CheckRetry may return a bool.
  RetryDecision(std::same_as<bool> auto again)
      : again_(again) {}  // NOLINT(google-explicit-constructor)

  bool again() const { return again_; }
  std::optional<Duration> delay() const { return delay_; }
  EndReason why() const { return why_; }  // requires !again()

 private:
  RetryDecision(bool again, std::optional<Duration> delay) : again_(again), delay_(delay) {}

  bool again_;
  EndReason why_ = EndReason::kNotRetryable;
  std::optional<Duration> delay_;
};

}  // namespace holdfast

#endif  // HOLDFAST_CALL_RETRY_DECISION_H_
