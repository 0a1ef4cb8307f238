// RetryOptions says how often a Retry tries again, when, and whom it tells.
//
//   holdfast::RetryOptions options{.max_attempts = 3};
//   options.on_retry = [&](const holdfast::Call&, const holdfast::RetryEvent& event) {
//     std::clog << "again in " << event.delay.count() << "ns: " << event.outcome << "\n";
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

// An attempt's result, whatever its type.
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
  // Its address stands for the type. Not const: a linker may fold constants that are equal.
  template <class R>
  static inline constinit char type = 0;

  const void* result_ = nullptr;
  const void* type_ = nullptr;
};

}  // namespace internal

// An attempt, as a Retry sees it.
struct RetryEvent {
  int attempt;                  // of this Retry, from 1; those that were refused count
  const absl::Status& outcome;  // OK for a success, and before the attempt
  Duration took{0};             // since it began, with what it waited in policies below
  Duration delay{0};            // on_retry: before the next attempt
  EndReason ended_by = EndReason::kSuccess;  // on_give_up: why there is none
  internal::ResultView any_result = {};

  // The result, where it is an R; null before the attempt, and for any other R.
  template <class R>
  const R* result() const {
    return any_result.As<R>();
  }
};

// For a log, or a count. Called in the thread that makes the call, in as many at once as make
// calls; what it throws is dropped.
using RetryHook = std::function<void(const Call&, const RetryEvent&)>;

struct RetryOptions {
  // Tries, the first one included; >= 1. With wait_for_refusals, what a policy below refuses is one
  // as well.
  int max_attempts = 4;
  Backoff backoff = {};
  // Each retry of what reached the executor spends from it, each success repays. One that never
  // comes to the executor, as the caller stops it or a policy below refuses it, is free. Null: one
  // of this Retry's own, with default options, which its copies share; so make a Retry once for
  // each origin, not for each call. RetryBudget::Unlimited(): none.
  std::shared_ptr<RetryBudget> budget = nullptr;
  // What becomes of a call that a policy below refuses (an open breaker, a limit): false, the
  // refusal is final and handed on, with the time at which another try can succeed in
  // Report::retry_at. True, for batch work that nobody waits for: it waits for that time and tries
  // again, where after the wait there is time for a whole attempt. Those who wait are spread over
  // eight times as long as the breaker was open, so that they do not come as a herd when it closes.
  bool wait_for_refusals = false;
  // A backend that asks to be left alone (Retry-After) is, for so long; >= 0. Where it asks for
  // more, the result is handed on at once, and Report::retry_at has the time: to ask again before
  // that would be in vain. Five minutes is what Envoy puts up with by default
  // (RateLimitedRetryBackOff.max_interval).
  TimeSpan max_retry_after = std::chrono::minutes(5);
  // Where what a backend asked one call is kept for all others that have the same pause, for
  // max_retry_after at most: until then those that come are refused with kUnavailable, or wait with
  // wait_for_refusals, and no retry is sent. Null: it concerns that call alone.
  std::shared_ptr<RetryPause> pause = nullptr;
  // No retry starts later than this after the call came to this Retry; >= 0.
  TimeSpan max_elapsed = Duration::max();
  // Of the jitter, for runs that repeat themselves, as children of fork() then do; nullopt: at
  // random.
  std::optional<std::uint64_t> seed = std::nullopt;

  // An attempt begins, and ends in one of the next two, if the call is not stopped and nothing
  // throws. What a policy below answers (a Cache) ends in neither: nobody was asked.
  RetryHook before_attempt = {};
  RetryHook on_attempt = {};  // it ran: as often as this the service was called
  RetryHook on_refused = {};  // it never left: a policy below refused it, or had no time for it
  RetryHook on_retry = {};    // before the wait for the next one
  RetryHook on_give_up = {};  // where a failure is handed on; not for a call that was cancelled

  // What hashicorp/go-retryablehttp does: 4 retries, 1 s before the first and up to 30 s, without
  // jitter and without a budget.
  static RetryOptions Retryablehttp();
};

absl::Status Validate(const RetryOptions& options);

}  // namespace holdfast

#endif  // HOLDFAST_RETRY_RETRY_OPTIONS_H_
