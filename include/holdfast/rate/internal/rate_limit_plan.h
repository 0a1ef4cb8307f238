// What RateLimit and KeyedRateLimit have in common: how a call passes a limit, wherever the tokens
// come from.
#ifndef HOLDFAST_RATE_INTERNAL_RATE_LIMIT_PLAN_H_
#define HOLDFAST_RATE_INTERNAL_RATE_LIMIT_PLAN_H_

#include <absl/base/attributes.h>
#include <absl/container/inlined_vector.h>

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/unset_time.h"
#include "holdfast/base/internal/versions.h"
#include "holdfast/base/settings.h"
#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/call/collector.h"
#include "holdfast/call/internal/patience.h"
#include "holdfast/call/key_function.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/verdict.h"
#include "holdfast/rate/internal/limit_totals.h"
#include "holdfast/rate/reservation.h"
#include "holdfast/rate/token_bucket.h"

namespace holdfast {

struct RateLimitOptions;
struct KeyedRateLimitOptions;

}  // namespace holdfast

namespace holdfast::internal {

// The options that all rate limits have: those of RateLimitOptions and of KeyedRateLimitOptions.
struct RateLimitTerms {
  explicit RateLimitTerms(RateLimitOptions options);
  explicit RateLimitTerms(KeyedRateLimitOptions options);

  Duration max_wait;
  std::function<std::int64_t(const Call&)> cost;
  bool dry_run;
  bool refund_refused;
  KeyFunction key;  // null where there are no keys
};

// Gives the present terms: fixed options, or Settings. Thread-safe.
class TermsSource {
 public:
  using Pin = Versions<RateLimitTerms>::Pin;

  virtual ~TermsSource() = default;
  virtual Pin Read() const = 0;
  virtual RateLimitTerms With(const Changes& changes) const = 0;
  virtual bool changes() const = 0;
};

template <class Options>
class LiveTerms final : public TermsSource {
 public:
  explicit LiveTerms(Live<Options> options) : options_(std::move(options)) {}

  Pin Read() const override { return options_.Read(); }
  RateLimitTerms With(const Changes& changes) const override { return options_.With(changes); }
  bool changes() const override { return options_.changes(); }

 private:
  Live<Options> options_;
};

// Those of one call: usually one.
using Reservations = absl::InlinedVector<Reservation, 1>;

// One bucket, several, or the buckets of keys. Thread-safe.
class TokenSource {
 public:
  struct Answer {
    TimePoint at;                  // when the tokens come
    const CountedRefusals* whose;  // of the object that decides when that is
    bool refused;                  // nothing is taken
    bool impossible = false;       // more tokens than there can ever be
    bool waiting_helps = true;     // false: `at` is when to ask again, and not when tokens come
  };

  virtual ~TokenSource() = default;
  // Takes `n` tokens for a call, if they come within `max_wait`. Adds to `taken` what can be given
  // back: reservations for later, and if `refundable` also tokens that come at once.
  virtual Answer Take(std::string_view key, TimePoint now, std::int64_t n, Duration max_wait,
                      bool refundable, Reservations& taken) = 0;
  // Returns when a call may go that waits for the `n` tokens it has taken; that may be earlier than
  // before. Wakes its waker when the time changes, until TokenWait lets go of `taken`.
  virtual TimePoint Look(Call& call, std::string_view key, std::int64_t n, Reservations& taken) = 0;
  // Takes `n` more tokens, or gives back -n, for a call whose true cost is now known.
  virtual void Settle(std::string_view key, TimePoint now, std::int64_t n) = 0;
  // For Stack::Describe: the text as it is after the changes.
  virtual std::string Describe(const Changes& changes) const = 0;
  // See object_clock.h and collector.h.
  virtual void BindClock(ClockBinder& binder, std::string_view policy) = 0;
  virtual void Objects(CollectedObjects& objects, std::string_view policy) const = 0;
};

// The part of a rate limit that knows neither the result nor where tokens come from.
class RateLimitPlan {
 public:
  // `one`: the one bucket that is all of the source, if it is one.
  RateLimitPlan(std::string_view policy, std::shared_ptr<TokenSource> source,
                std::shared_ptr<const TermsSource> terms, TokenBucket* one = nullptr);

  class State {
   public:
    State() {}  // NOLINT(modernize-use-equals-default): see UnsetTime
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
    void LetGo();
    // Of a call that was let in, with refundable tokens: a policy below refused it, or it was
    // stopped there, before any attempt ran.
    bool RefusedBelow() const {
      return let_in_ && call_->attempt() == attempts_ &&
             (call_->rejected() || call_->abandonment() == Abandonment::kCancelled);
    }

    TermsSource::Pin terms_;        // of a call that has come, unless it was let through at once
    Call* call_ = nullptr;          // null until tokens are taken in advance
    std::string_view key_;          // likewise; empty where there are no keys
    Reservations taken_;            // while their time has not come, or they are refundable
    UnsetTime ready_at_;            // of tokens taken in advance
    const CountedRefusals* whose_;  // likewise: of the object for which the call waits
    std::int64_t cost_ = 1;         // tokens taken; -1 for a dry run's that was not to be
    int attempts_;                  // of the call, before it was let in with refundable tokens
    bool refundable_;               // if they were taken in advance
    bool looked_ = false;           // the source has the call's waker
    bool let_in_ = false;           // with refundable tokens
  };

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Ask(Call& call, State& state) const {
    const bool simple = simple_ && state.call_ == nullptr;
    return simple && call.now() <= call.deadline() && TryAllow(call.now())
               ? Verdict::Proceed()
               : TakeTokens(call, state);
  }
  void Settle(Call& call, const State& state, std::int64_t true_cost) const;

  PolicyInfo Info(const Changes& changes) const;
  void Objects(CollectedObjects& objects) const { source_->Objects(objects, policy_); }
  void BindClock(ClockBinder& binder) const { source_->BindClock(binder, policy_); }

 private:
  bool TryAllow(TimePoint now) const { return one_->TryAllow(now, 1) == true; }
  Verdict TakeTokens(Call& call, State& state) const;
  bool LetsThrough(Call& call, const RateLimitTerms& terms) const;
  Verdict Take(Call& call, State& state) const;
  Verdict Refuse(Call& call, State& state, const TokenSource::Answer& answer,
                 const Patience& patience) const;

  std::string_view policy_;
  std::shared_ptr<TokenSource> source_;
  std::shared_ptr<const TermsSource> terms_;
  TokenBucket* one_;  // the source, where it is one bucket
  bool simple_;       // it is, each call takes one token of it, and that never changes
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

  PolicyInfo Info(const Changes& changes = {}) const { return plan_.Info(changes); }

  void Objects(CollectedObjects& objects) const { plan_.Objects(objects); }

  void BindClock(ClockBinder& binder) const { plan_.BindClock(binder); }

 protected:
  RateLimitPolicy(RateLimitPlan plan, TrueCost true_cost)
      : plan_(std::move(plan)), true_cost_(std::move(true_cost)) {}

 private:
  RateLimitPlan plan_;
  [[no_unique_address]] TrueCost true_cost_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_RATE_INTERNAL_RATE_LIMIT_PLAN_H_
