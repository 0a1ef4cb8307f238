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
#ifndef HOLDFAST_RATE_RATE_LIMIT_H_
#define HOLDFAST_RATE_RATE_LIMIT_H_

#include <absl/status/status.h>

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/base/settings.h"
#include "holdfast/call/call.h"
#include "holdfast/rate/internal/rate_limit_plan.h"
#include "holdfast/rate/token_bucket.h"

namespace holdfast {

struct RateLimitOptions {
  TimeSpan max_wait = Duration::max();  // for tokens; zero: refuse what can't go at once
  // Tokens that a call takes; null: one. A call that costs more than the burst, or less than
  // nothing, is refused with kInvalidArgument. What it throws passes to the caller.
  std::function<std::int64_t(const Call&)> cost = nullptr;
  // Decides, takes tokens, and says in Report::dry_run what it would have done, but lets all pass.
  bool dry_run = false;
  // Gives a call's tokens back where a policy inside of this one refuses it, or it is stopped
  // there, before any attempt ran; an attempt that ran keeps them. As many as the bucket would
  // certainly have if they had never been taken: so what passes stays within the bound, and
  // promises are kept. Of a bucket that is nearly full less may come back than was taken.
  //
  // Off, since a limit then bounds what comes to the policies inside as well: while a breaker is
  // open, a fleet that keeps asking is held to the rate, and has no full bucket to spend at once on
  // a service that has just come back. On, it bounds only what the policies inside let through: for
  // a quota that somebody else counts, and where those who are refused inside, as by a
  // KeyedRateLimit, would use up what others need. Where both are limits, one KeyedRateLimit with
  // both buckets is cheaper than a refund.
  bool refund_refused = false;
};

absl::Status Validate(const RateLimitOptions& options);

namespace internal {

template <>
struct SettingsPlan<RateLimitOptions> {
  using type = RateLimitTerms;
  static RateLimitOptions OptionsOf(const RateLimitTerms& terms);
  static RateLimitTerms After(const RateLimitTerms&, RateLimitOptions next) {
    return RateLimitTerms(std::move(next));
  }
  static absl::Status Keep(const RateLimitOptions&, RateLimitOptions&) { return absl::OkStatus(); }
};

// Both throw std::invalid_argument for a null bucket; the second also for none, and for one twice.
RateLimitPlan PlanFor(std::string_view policy, const std::shared_ptr<TokenBucket>& bucket,
                      Live<RateLimitOptions> options);
RateLimitPlan PlanForAll(std::string_view policy, std::vector<std::shared_ptr<TokenBucket>> buckets,
                         Live<RateLimitOptions> options);

}  // namespace internal

// Tokens for each call below it: outside of Retry that is for a call, inside for an attempt.
// Refuses at once, with nothing taken: kResourceExhausted where the tokens would come later than
// `max_wait` or never, kDeadlineExceeded where they would come after the deadline. A call that is
// abandoned while it waits gives its tokens back.
//
// Of several buckets a call takes tokens in one decision, all or nothing, and for the time at which
// all of them allow it: so each bucket's bound holds, also for those who use it alone.
template <class TrueCost = internal::CostAsTaken>
class RateLimit : public internal::RateLimitPolicy<TrueCost> {
 public:
  static constexpr std::string_view kName = "RateLimit";

  // All throw std::invalid_argument for options that Validate refuses, and for a null bucket.
  //
  // `true_cost(call, result)` says for each result how many tokens it really took, at least zero:
  // the difference is charged, if need be as a debt, or given back. A call that ends without a
  // result keeps its cost.
  explicit RateLimit(const std::shared_ptr<TokenBucket>& bucket, RateLimitOptions options = {},
                     TrueCost true_cost = {})
      : Base(internal::PlanFor(kName, bucket, Live(std::move(options))), std::move(true_cost)) {}
  explicit RateLimit(TokenBucket::Options bucket, RateLimitOptions options = {},
                     TrueCost true_cost = {})
      : RateLimit(std::make_shared<TokenBucket>(std::move(bucket)), std::move(options),
                  std::move(true_cost)) {}
  explicit RateLimit(std::vector<std::shared_ptr<TokenBucket>> buckets,
                     RateLimitOptions options = {}, TrueCost true_cost = {})
      : Base(internal::PlanForAll(kName, std::move(buckets), Live(std::move(options))),
             std::move(true_cost)) {}
  // The same with options that change; they throw for null settings. Templates, so that {} means
  // default options.
  template <std::same_as<Settings<RateLimitOptions>> S>
  RateLimit(const std::shared_ptr<TokenBucket>& bucket, std::shared_ptr<S> settings,
            TrueCost true_cost = {})
      : Base(internal::PlanFor(kName, bucket, Live(std::move(settings))), std::move(true_cost)) {}
  template <std::same_as<Settings<RateLimitOptions>> S>
  RateLimit(std::vector<std::shared_ptr<TokenBucket>> buckets, std::shared_ptr<S> settings,
            TrueCost true_cost = {})
      : Base(internal::PlanForAll(kName, std::move(buckets), Live(std::move(settings))),
             std::move(true_cost)) {}
  template <std::same_as<std::shared_ptr<TokenBucket>>... More>
    requires(sizeof...(More) > 0)
  explicit RateLimit(std::shared_ptr<TokenBucket> first, More... more)
      : RateLimit(std::vector{std::move(first), std::move(more)...}) {}

 private:
  using Base = internal::RateLimitPolicy<TrueCost>;
  using Live = internal::Live<RateLimitOptions>;
};

RateLimit(std::shared_ptr<TokenBucket>) -> RateLimit<>;
RateLimit(std::shared_ptr<TokenBucket>, RateLimitOptions) -> RateLimit<>;
template <class TrueCost>
RateLimit(std::shared_ptr<TokenBucket>, RateLimitOptions, TrueCost) -> RateLimit<TrueCost>;
template <std::same_as<std::shared_ptr<TokenBucket>>... More>
  requires(sizeof...(More) > 0)
RateLimit(std::shared_ptr<TokenBucket>, More...) -> RateLimit<>;
template <std::same_as<Settings<RateLimitOptions>> S>
RateLimit(std::shared_ptr<TokenBucket>, std::shared_ptr<S>) -> RateLimit<>;
template <std::same_as<Settings<RateLimitOptions>> S, class TrueCost>
RateLimit(std::shared_ptr<TokenBucket>, std::shared_ptr<S>, TrueCost) -> RateLimit<TrueCost>;
template <std::same_as<Settings<RateLimitOptions>> S>
RateLimit(std::vector<std::shared_ptr<TokenBucket>>, std::shared_ptr<S>) -> RateLimit<>;

}  // namespace holdfast

#endif  // HOLDFAST_RATE_RATE_LIMIT_H_
