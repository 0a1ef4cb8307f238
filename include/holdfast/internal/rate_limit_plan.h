// What RateLimit and KeyedRateLimit have in common: a call's way through a limit, whatever has the
// tokens.
#ifndef HOLDFAST_INTERNAL_RATE_LIMIT_PLAN_H_
#define HOLDFAST_INTERNAL_RATE_LIMIT_PLAN_H_

#include <absl/base/attributes.h>
#include <absl/container/inlined_vector.h>

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/call.h"
#include "holdfast/internal/object_clock.h"
#include "holdfast/internal/refusals.h"
#include "holdfast/internal/unset_time.h"
#include "holdfast/policy_facts.h"
#include "holdfast/reservation.h"
#include "holdfast/time.h"
#include "holdfast/token_bucket.h"
#include "holdfast/verdict.h"

namespace holdfast::internal {

// Of one call; of most it is one.
using Reservations = absl::InlinedVector<Reservation, 1>;

// Where tokens come from. Thread-safe.
class TokenSource {
 public:
  struct Answer {
    TimePoint at;               // when they come
    const Refusals* refused;    // null where they are taken
    bool impossible = false;    // more than there can ever be
    bool waiting_helps = true;  // `at` is when tokens come, and not when to ask again
  };

  virtual ~TokenSource() = default;
  // Takes `n` tokens for a call, if they come within `max_wait`; what can be given back is added to
  // `taken`, also what comes at once where it is a source of refundable tokens.
  virtual Answer Take(const Call& call, TimePoint now, std::int64_t n, Duration max_wait,
                      Reservations& taken) = 0;
  // When a call may go that waits for the `n` tokens it has taken, which may be earlier by now; its
  // waker is rung where that changes, until TokenWait lets go of `taken`.
  virtual TimePoint Look(Call& call, std::int64_t n, Reservations& taken) = 0;
  // Takes `n` more, or gives them back where that is negative, for a call whose cost is known now.
  virtual void Settle(const Call& call, TimePoint now, std::int64_t n) = 0;
  // In words, for Stack::Describe.
  virtual std::string Describe() const = 0;
  // See object_clock.h.
  virtual void BindClock(ClockBinder& binder, std::string_view policy) = 0;
};

// The options that every rate limit has, as RateLimitOptions says them; known to be valid.
struct RateLimitTerms {
  Duration max_wait;
  std::function<std::int64_t(const Call&)> cost;
  bool dry_run;
  bool refund_refused;
};

// The part of a rate limit that knows neither the result nor where tokens come from.
class RateLimitPlan {
 public:
  // `single`: the one bucket that is all of the source, if it is one.
  RateLimitPlan(std::string_view policy, std::shared_ptr<TokenSource> source, RateLimitTerms terms,
                TokenBucket* single = nullptr);

  class State {
   public:
    State() = default;
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() {
      if (!taken_.empty()) GiveBack();
    }

   private:
    friend class RateLimitPlan;
    template <class TrueCost>
    friend class RateLimitPolicy;
    void GiveBack();
    void LetGo(bool refundable);
    // Of a call that was let in, with refundable tokens: a policy below refused it, or it was
    // stopped there, before any attempt ran.
    bool RefusedBelow() const {
      return let_in_ && call_->attempt() == attempts_ &&
             (call_->rejected() || call_->abandonment() == Abandonment::kCancelled);
    }

    Call* call_ = nullptr;   // null until tokens are taken in advance
    Reservations taken_;     // while their time has not come, or they are refundable
    UnsetTime ready_at_;     // of tokens taken in advance
    std::int64_t cost_ = 1;  // tokens taken; -1 for a dry run's that was not to be
    int attempts_;           // of the call, before it was let in with refundable tokens
    bool looked_ = false;    // the source has the call's waker
    bool let_in_ = false;    // with refundable tokens
  };

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Ask(Call& call, State& state) const {
    const bool simple = single_ != nullptr && state.call_ == nullptr;
    return simple && call.now() <= call.deadline() && TryAllow(call.now())
               ? Verdict::Proceed()
               : TakeTokens(call, state);
  }
  void Settle(Call& call, const State& state, std::int64_t true_cost) const;

  PolicyFacts Facts() const;
  void BindClock(ClockBinder& binder) const { source_->BindClock(binder, policy_); }

 private:
  bool TryAllow(TimePoint now) const { return single_->TryAllow(now, 1) == true; }
  Verdict TakeTokens(Call& call, State& state) const;
  Verdict Refuse(Call& call, State& state, const TokenSource::Answer& answer,
                 Duration time_left) const;

  std::string_view policy_;
  std::shared_ptr<TokenSource> source_;
  TokenBucket* single_;  // the source, where each call takes one token of one bucket
  RateLimitTerms terms_;
};

struct CostAsTaken {};

// What the stack asks of a rate limit. TrueCost says what a call really took, given its result.
template <class TrueCost>
class RateLimitPolicy {
 public:
  using State = RateLimitPlan::State;

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Before(Call& call, State& state) const {
    return plan_.Ask(call, state);
  }

  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Next After(Call& call, State& state, R& result) {
    if constexpr (!std::same_as<TrueCost, CostAsTaken>) {
      if (!state.RefusedBelow()) {
        plan_.Settle(call, state, true_cost_(std::as_const(call), std::as_const(result)));
      }
    }
    return Next::Done();
  }

  PolicyFacts Facts() const { return plan_.Facts(); }

  void BindClock(ClockBinder& binder) const { plan_.BindClock(binder); }

 protected:
  RateLimitPolicy(RateLimitPlan plan, TrueCost true_cost)
      : plan_(std::move(plan)), true_cost_(std::move(true_cost)) {}

 private:
  RateLimitPlan plan_;
  [[no_unique_address]] TrueCost true_cost_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_INTERNAL_RATE_LIMIT_PLAN_H_
