// RateLimit holds calls to a rate: each takes a token on its way down, and waits for it.
//
//   auto bucket = std::make_shared<holdfast::TokenBucket>(
//       holdfast::TokenBucket::Options{.rate = 100, .burst = 20});
//   auto fetch = holdfast::Stack(holdfast::RateLimit(bucket)).Around(transport);
//
//   // Two limits that hold together, and a cost that is known before, or only after, the call.
//   auto both = holdfast::RateLimit(per_second, per_minute);
//   auto by_size = holdfast::RateLimit(
//       bytes, {.cost = holdfast::FromRequest<Request>(&Request::size)},
//       [](const holdfast::Call&, const absl::StatusOr<Reply>& reply) { return SizeOf(reply); });
#ifndef HOLDFAST_RATE_LIMIT_H_
#define HOLDFAST_RATE_LIMIT_H_

#include <absl/base/attributes.h>
#include <absl/container/inlined_vector.h>
#include <absl/status/status.h>

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/call.h"
#include "holdfast/internal/validate.h"
#include "holdfast/token_bucket.h"
#include "holdfast/verdict.h"

namespace holdfast {

struct RateLimitOptions {
  Duration max_wait = Duration::max();  // for tokens; zero: refuse what can't go at once
  // Tokens that a call takes; null: one. A call that costs more than the burst, or less than
  // nothing, is refused with kInvalidArgument. What it throws passes to the caller.
  std::function<std::int64_t(const Call&)> cost = nullptr;
  // Decides, takes tokens, and says in Report::waived what it would have done, but lets all pass.
  bool dry_run = false;
};

absl::Status Validate(const RateLimitOptions& options);

namespace internal {

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
  // `taken`.
  virtual Answer Take(const Call& call, TimePoint now, std::int64_t n, Duration max_wait,
                      Reservations& taken) = 0;
  // Takes `n` more, or gives them back where that is negative, for a call whose cost is known now.
  virtual void Settle(const Call& call, TimePoint now, std::int64_t n) = 0;
};

// The part of a rate limit that knows neither the result nor where tokens come from.
class RateLimitPlan {
 public:
  RateLimitPlan(std::string_view policy, std::shared_ptr<TokenSource> source,
                RateLimitOptions options);
  RateLimitPlan(std::string_view policy, const std::shared_ptr<TokenBucket>& bucket,
                RateLimitOptions options);

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
    void GiveBack();

    Call* call_ = nullptr;  // null until tokens are taken in advance
    Reservations taken_;    // while their time has not come
    TimePoint ready_at_ = {};
    std::int64_t cost_ = 1;  // tokens taken; -1 for a dry run's that was not to be
  };

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Ask(Call& call, State& state) const {
    const bool simple = single_ != nullptr && state.call_ == nullptr;
    return simple && call.now() <= call.deadline() && TryAllow(call.now())
               ? Verdict::Proceed()
               : TakeTokens(call, state);
  }
  void Settle(Call& call, const State& state, std::int64_t true_cost) const;

 private:
  bool TryAllow(TimePoint now) const { return single_->TryAllow(now, 1) == true; }
  Verdict TakeTokens(Call& call, State& state) const;
  Verdict Refuse(Call& call, State& state, const TokenSource::Answer& answer,
                 Duration time_left) const;

  std::string_view policy_;
  std::shared_ptr<TokenSource> source_;
  TokenBucket* single_ = nullptr;  // the source, where each call takes one token of one bucket
  RateLimitOptions options_;
};

// Several buckets at once; throws std::invalid_argument for none, for a null and for one twice.
std::shared_ptr<TokenSource> AllOf(std::vector<std::shared_ptr<TokenBucket>> buckets);

struct CostAsTaken {};

}  // namespace internal

// Tokens for each call below it: outside of Retry that is for a call, inside for an attempt.
// Refuses at once, with nothing taken: kResourceExhausted where the tokens would come later than
// `max_wait` or never, kDeadlineExceeded where they would come after the deadline. A call that is
// abandoned while it waits gives its tokens back.
//
// Of several buckets a call takes tokens in one decision, all or nothing, and for the time at which
// all of them allow it: so each bucket's bound holds, also for those who use it alone.
template <class TrueCost = internal::CostAsTaken>
class RateLimit {
 public:
  static constexpr std::string_view kName = "RateLimit";

  // All throw std::invalid_argument for options that Validate refuses, and for a null bucket.
  //
  // `true_cost(call, result)` says for each result how many tokens it really took, at least zero:
  // the difference is charged, if need be as a debt, or given back. A call that ends without a
  // result keeps its cost.
  explicit RateLimit(const std::shared_ptr<TokenBucket>& bucket, RateLimitOptions options = {},
                     TrueCost true_cost = {})
      : plan_(kName, bucket, std::move(options)), true_cost_(std::move(true_cost)) {}
  explicit RateLimit(TokenBucket::Options bucket, RateLimitOptions options = {},
                     TrueCost true_cost = {})
      : RateLimit(std::make_shared<TokenBucket>(std::move(bucket)), std::move(options),
                  std::move(true_cost)) {}
  explicit RateLimit(std::vector<std::shared_ptr<TokenBucket>> buckets,
                     RateLimitOptions options = {}, TrueCost true_cost = {})
      : plan_(kName, internal::AllOf(std::move(buckets)), std::move(options)),
        true_cost_(std::move(true_cost)) {}
  template <std::same_as<std::shared_ptr<TokenBucket>>... More>
    requires(sizeof...(More) > 0)
  explicit RateLimit(std::shared_ptr<TokenBucket> first, More... more)
      : RateLimit(std::vector{std::move(first), std::move(more)...}) {}

  using State = internal::RateLimitPlan::State;

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Before(Call& call, State& state) const {
    return plan_.Ask(call, state);
  }

  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Next After(Call& call, State& state, R& result) {
    if constexpr (!std::same_as<TrueCost, internal::CostAsTaken>) {
      plan_.Settle(call, state, true_cost_(std::as_const(call), std::as_const(result)));
    }
    return Next::Done();
  }

 private:
  internal::RateLimitPlan plan_;
  [[no_unique_address]] TrueCost true_cost_;
};

RateLimit(std::shared_ptr<TokenBucket>) -> RateLimit<>;
RateLimit(std::shared_ptr<TokenBucket>, RateLimitOptions) -> RateLimit<>;
template <class TrueCost>
RateLimit(std::shared_ptr<TokenBucket>, RateLimitOptions, TrueCost) -> RateLimit<TrueCost>;
template <std::same_as<std::shared_ptr<TokenBucket>>... More>
  requires(sizeof...(More) > 0)
RateLimit(std::shared_ptr<TokenBucket>, More...) -> RateLimit<>;

}  // namespace holdfast

#endif  // HOLDFAST_RATE_LIMIT_H_
