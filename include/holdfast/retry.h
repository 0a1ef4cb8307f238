// Retry tries a call again that failed in a way that may pass.
//
//   auto fetch = holdfast::Stack(holdfast::Timeout(10s), holdfast::Retry({.max_attempts = 4}))
//                    .Around(transport);
//
//   auto busy = [](const holdfast::Call&, const Reply& reply) { return reply.code == kBusy; };
//   auto ask = holdfast::Stack(holdfast::Retry({}, busy)).Around(server);
#ifndef HOLDFAST_RETRY_H_
#define HOLDFAST_RETRY_H_

#include <absl/base/attributes.h>
#include <absl/status/status.h>

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "holdfast/backoff.h"
#include "holdfast/call.h"
#include "holdfast/internal/validate.h"
#include "holdfast/result.h"
#include "holdfast/retry_budget.h"
#include "holdfast/verdict.h"

namespace holdfast {

// What a CheckRetry answers.
class RetryDecision {
 public:
  static RetryDecision Stop() { return RetryDecision(false, std::nullopt); }
  // Again, after the backoff's delay or what the backend asked for, whichever is longer.
  static RetryDecision Again() { return RetryDecision(true, std::nullopt); }
  // Again, after exactly `delay`.
  static RetryDecision AgainAfter(Duration delay) { return RetryDecision(true, delay); }

  // So that a CheckRetry may return a bool.
  RetryDecision(std::same_as<bool> auto again)
      : again_(again) {}  // NOLINT(google-explicit-constructor)

  bool again() const { return again_; }
  std::optional<Duration> delay() const { return delay_; }

 private:
  RetryDecision(bool again, std::optional<Duration> delay) : again_(again), delay_(delay) {}

  bool again_;
  std::optional<Duration> delay_;
};

struct RetryOptions {
  // Tries, the first one included; >= 1. What a policy below refuses is one as well.
  int max_attempts = 4;
  Backoff backoff = {};
  // Each retry of what reached the executor spends from it, each success repays; null: none.
  std::shared_ptr<RetryBudget> budget = RetryBudget::Default();
  // No retry starts later than this after the first attempt; >= 0.
  Duration max_elapsed = Duration::max();
};

absl::Status Validate(const RetryOptions& options);

// Retries what is transient: see IsTransient (result.h), or what
// ResultTraits<R>::IsTransient(result) says where a specialisation has that.
struct RetryTransient {
  template <class R>
  bool operator()(const Call&, const R& result) const {
    if constexpr (requires {
                    { ResultTraits<R>::IsTransient(result) } -> std::same_as<bool>;
                  }) {
      return ResultTraits<R>::IsTransient(result);
    } else {
      return IsTransient(ResultTraits<R>::StatusOf(result));
    }
  }
};

namespace internal {

// The part of Retry that knows neither the result nor the check.
class RetryPlan {
 public:
  explicit RetryPlan(RetryOptions options) : options_(Validated(std::move(options))) {}

  struct State {
    int attempts = 0;
    TimePoint began = {};  // kept where max_elapsed asks for it
  };

  void Begin(Call& call, State& state) const {
    if (options_.max_elapsed != Duration::max()) state.began = call.now();
  }
  void Succeeded(Call& call) const {
    RetryBudget* const budget = options_.budget.get();
    if (budget != nullptr && call.MayRepay(budget)) budget->Deposit();
  }
  bool LastAttempt(Call& call, State& state) const;
  // Decides when to try again, or why not. `retry_after` is what the backend asked for.
  Next Again(Call& call, const State& state, std::optional<Duration> delay,
             std::optional<Duration> retry_after) const;

 private:
  RetryOptions options_;
};

}  // namespace internal

// Sends the call down again while the check says so and there are attempts, time and budget left.
// It never waits towards a time that the call can't use, and never asks an open breaker before its
// time. The result that it can't or won't retry is handed on as it is. What the check throws passes
// to the caller.
template <class CheckRetry = RetryTransient>
class Retry {
 public:
  static constexpr std::string_view kName = "Retry";

  // Throws std::invalid_argument with the text of Validate. `check` is called with the call and
  // each result, in as many threads as make calls, and returns a RetryDecision or a bool.
  explicit Retry(RetryOptions options, CheckRetry check = {})
      : plan_(std::move(options)), check_(std::move(check)) {}

  using State = internal::RetryPlan::State;

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Before(Call& call, State& state) const {
    plan_.Begin(call, state);
    return Verdict::Proceed();
  }

  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Next After(Call& call, State& state, R& result) {
    if constexpr (std::same_as<CheckRetry, RetryTransient>) {
      if (ResultTraits<R>::StatusOf(result).ok()) return Succeed(call);
    }
    const RetryDecision decision = check_(std::as_const(call), std::as_const(result));
    if (!decision.again()) {
      return ResultTraits<R>::StatusOf(result).ok() ? Succeed(call) : Next::Done();
    }
    if (plan_.LastAttempt(call, state)) return Next::Done();
    return plan_.Again(call, state, decision.delay(), ResultTraits<R>::RetryAfter(result));
  }

 private:
  ABSL_ATTRIBUTE_ALWAYS_INLINE Next Succeed(Call& call) const {
    plan_.Succeeded(call);
    return Next::Done();
  }

  internal::RetryPlan plan_;
  CheckRetry check_;
};

Retry(RetryOptions) -> Retry<>;
template <class CheckRetry>
Retry(RetryOptions, CheckRetry) -> Retry<CheckRetry>;

}  // namespace holdfast

#endif  // HOLDFAST_RETRY_H_
