// RetryOptions: how often a Retry repeats a call, when, and which hooks it calls.
//
//   holdfast::RetryOptions options{.max_attempts = 3};
//   options.on_retry = [&](const holdfast::Call&, const holdfast::RetryEvent& event) {
//     std::clog << "retry in " << event.delay.count() << "ns: " << event.outcome << "\n";
//   };
#ifndef HOLDFAST_RETRY_RETRY_OPTIONS_H_
#define HOLDFAST_RETRY_RETRY_OPTIONS_H_

#include <absl/status/status.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "holdfast/base/backoff.h"
#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/call/report.h"
#include "holdfast/retry/retry_budget.h"
#include "holdfast/retry/retry_pause.h"

namespace holdfast {

namespace internal {

// A result of any type.
class ResultView {
 public:
  ResultView() = default;
  template <class R>
  explicit ResultView(const R& result) : result_(&result), type_(&type<R>) {}

  template <class R>
  const R* As() const {
    return type_ == &type<R> ? static_cast<const R*>(result_) : nullptr;
  }

 private:
  // Its address identifies the type. Not const: a linker may merge equal constants.
  template <class R>
  static inline constinit char type = 0;

  const void* result_ = nullptr;
  const void* type_ = nullptr;
};

}  // namespace internal

// What a hook is told about an attempt.
struct RetryEvent {
  int attempt;                  // its number in this Retry, from 1; rejected attempts count
  const absl::Status& outcome;  // of the attempt; OK for a success, and in before_attempt
  Duration took{0};             // since it began, including waits in policies below
  Duration delay{0};            // on_retry: the wait before the next attempt
  EndReason ended_by = EndReason::kSuccess;  // on_give_up: why there is no retry
  internal::ResultView any_result = {};

  // The result, if it is an R; null for any other R, and in before_attempt.
  template <class R>
  const R* result() const {
    return any_result.As<R>();
  }
};

// Called in the thread that makes the call, by several threads at once. Exceptions are dropped.
using RetryHook = std::function<void(const Call&, const RetryEvent&)>;

struct RetryOptions {
  // Attempts at most, the first included; >= 1. With wait_for_refusals, attempts that a policy
  // below rejected count as well.
  int max_attempts = 4;
  // The wait before each retry. Default: exponential, 100 ms doubling up to 10 s, full jitter.
  Backoff backoff = {};
  // Each retry of an attempt that reached the executor withdraws from it, each success deposits. A
  // retry whose executor does not run is refunded: one that the caller cancels, or a policy below
  // rejects. Null: this Retry makes a budget with default options, which its copies share; so make
  // one Retry per backend, not one per call. RetryBudget::Unlimited(): no budget.
  std::shared_ptr<RetryBudget> budget = nullptr;
  // What to do about a call that a policy below rejects (an open breaker, a limit). False: return
  // the rejection at once; Report::retry_at has the earliest time at which a retry can succeed.
  // True, for batch work: wait until that time and try again, if a whole attempt fits in the time
  // that remains. Those who wait are spread at random over eight times as long as the breaker was
  // open, so that they do not all come back when it closes; over twice as long each time it opens
  // anew while they do. Each rejection is one of the max_attempts, which bounds the waits.
  bool wait_for_refusals = false;
  // The longest Retry-After of a backend that Retry waits for; >= 0. For a longer one it returns
  // the result at once, with EndReason::kRetryAfterTooFar, and Report::retry_at has the time. The
  // default is Envoy's (RateLimitedRetryBackOff.max_interval).
  TimeSpan max_retry_after = std::chrono::minutes(5);
  // Shares the Retry-After of one call with all calls whose Retry has the same pause, for at most
  // max_retry_after. Until it is over no retry is sent, and new calls are rejected with
  // kUnavailable; with wait_for_refusals they wait, until the latest time at which an attempt still
  // fits before their deadline. Null: a Retry-After concerns the call that got it alone.
  std::shared_ptr<RetryPause> pause = nullptr;
  // No retry starts later than this after the call came to this Retry; >= 0. The default is no
  // limit, because max_attempts, backoff and max_retry_after already bound the waits: with their
  // defaults, to 3 times 10 s, or 3 times 5 min where the backend asks for that. Put a Timeout
  // outside to bound the call as a whole.
  TimeSpan max_elapsed = Duration::max();
  // Seed of the jitter, for reproducible runs; a child of fork() then repeats its parent's.
  // nullopt: a random seed.
  std::optional<std::uint64_t> seed = std::nullopt;

  // An attempt calls before_attempt when it begins, and on_attempt or on_refused when it ends;
  // neither of these two if the call is cancelled, the executor throws, or a policy below returned
  // a result without running the executor (a Cache).
  RetryHook before_attempt = {};
  RetryHook on_attempt = {};  // the executor ran: called as often as the service was
  RetryHook on_refused = {};  // it did not run: a policy below rejected, or had no time for it
  RetryHook on_retry = {};    // before the wait for the next attempt
  RetryHook on_give_up = {};  // before a failure is returned; not for a cancelled call

  // As hashicorp/go-retryablehttp by default: 4 retries, 1 s before the first, doubling up to 30 s,
  // without jitter and without a budget.
  static RetryOptions Retryablehttp();
};

absl::Status Validate(const RetryOptions& options);

}  // namespace holdfast

#endif  // HOLDFAST_RETRY_RETRY_OPTIONS_H_
