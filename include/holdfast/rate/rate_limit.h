// RateLimit is a policy that limits the rate of calls: each call takes a token from a bucket, and
// waits for it if need be.
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

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/base/settings.h"
#include "holdfast/call/call.h"
#include "holdfast/call/from_request.h"  // IWYU pragma: export
#include "holdfast/call/policy.h"
#include "holdfast/rate/internal/no_options.h"
#include "holdfast/rate/internal/rate_limit_plan.h"
#include "holdfast/rate/token_bucket.h"

namespace holdfast {

struct RateLimitOptions {
  // The longest time that a call waits for its tokens, >= 0; default 1 s. Zero refuses every call
  // that cannot go at once. A call waits less where its deadline, or the Timeout below, leaves less
  // time.
  //
  // Finite, because under overload every admitted call waits as long as it may. So max_wait is what
  // a limit adds to the latency then, it is how old the calls are that go first once an outage is
  // over, and rate * max_wait is how many calls wait, each with its memory and, when it blocks, its
  // thread. One second smooths what arrives unevenly, and stays below the usual timeout of an
  // attempt. Other libraries: resilience4j 5 s; Envoy's local rate limit and .NET's limiters under
  // Polly refuse at once. A batch job that may wait gives a longer one.
  TimeSpan max_wait = std::chrono::seconds(1);
  // Returns how many tokens a call takes; default (null): one. A call whose cost is negative or
  // more than the burst is refused with kInvalidArgument. What the function throws passes to the
  // caller.
  std::function<std::int64_t(const Call&)> cost = nullptr;
  // Default false. If true, the limit takes tokens and decides as usual, and records in
  // Report::dry_run what it would have done, but lets every call through at once.
  bool dry_run = false;
  // Default false. If true, a call gives its tokens back when a policy inside refuses it, or the
  // caller stops it there, before any attempt ran; an attempt that ran keeps them. The bucket takes
  // back as many tokens as it would certainly have if they had never been taken, so the bound on
  // what passes holds and promises are kept. A bucket that is nearly full may take back fewer.
  //
  // False makes the limit bound what reaches the policies inside, too: while a breaker is open,
  // clients that keep asking are held to the rate, and have no full bucket to spend at once on a
  // service that has just recovered. True bounds only what the policies inside let through: for a
  // quota that somebody else counts, and where calls refused inside, as by a KeyedRateLimit, would
  // use up what others need. If both are rate limits, one KeyedRateLimit with both buckets costs
  // less.
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

// Takes tokens for each call that passes: outside of Retry once per call, inside once per attempt.
// Refuses at once, with nothing taken:
//   kResourceExhausted  the tokens would come later than `max_wait` from now, or never
//   kDeadlineExceeded   the tokens would come after the call's deadline
//   kInvalidArgument    the cost is negative or more than the burst
// A call that is abandoned while it waits gives its tokens back.
//
// With several buckets a call takes tokens of all in one decision, all or nothing, for the time at
// which all of them have enough: so each bucket's bound holds, also for callers that use it alone.
template <class TrueCost = internal::CostAsTaken>
class RateLimit : public internal::RateLimitPolicy<TrueCost> {
 public:
  static constexpr std::string_view kName = "RateLimit";

  // All throw std::invalid_argument for options that Validate refuses, and for a null bucket.
  //
  // `true_cost(call, result)` returns how many tokens the call really took, at least zero: the
  // difference to its cost is charged, as debt if need be, or given back. A call that ends without
  // a result keeps its cost.
  //
  // Those that take a pointer or a vector are templates, so that options in braces are never taken
  // for one.
  template <std::same_as<TokenBucket> B>
  explicit RateLimit(const std::shared_ptr<B>& bucket, RateLimitOptions options = {},
                     TrueCost true_cost = {})
      : Base(internal::PlanFor(kName, bucket, Live(std::move(options))), std::move(true_cost)) {}
  explicit RateLimit(TokenBucket::Options bucket, RateLimitOptions options = {},
                     TrueCost true_cost = {})
      : RateLimit(std::make_shared<TokenBucket>(std::move(bucket)), std::move(options),
                  std::move(true_cost)) {}
  template <std::same_as<std::vector<std::shared_ptr<TokenBucket>>> Buckets>
  explicit RateLimit(Buckets buckets, RateLimitOptions options = {}, TrueCost true_cost = {})
      : Base(internal::PlanForAll(kName, std::move(buckets), Live(std::move(options))),
             std::move(true_cost)) {}
  // The same with options that can change at run time; they throw for null settings.
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
  // RateLimit({}) does not compile.
  template <class T = void>
  explicit RateLimit(internal::NoOptions) : RateLimit(TokenBucket::Options{}) {
    static_assert(
        internal::kGiven<T>,
        "RateLimit({}) has no rate: write RateLimit({.rate = 100}), in tokens per second");
  }

 private:
  using Base = internal::RateLimitPolicy<TrueCost>;
  using Live = internal::Live<RateLimitOptions>;
};

RateLimit(internal::NoOptions) -> RateLimit<>;
RateLimit(TokenBucket::Options) -> RateLimit<>;
RateLimit(TokenBucket::Options, RateLimitOptions) -> RateLimit<>;
template <class TrueCost>
RateLimit(TokenBucket::Options, RateLimitOptions, TrueCost) -> RateLimit<TrueCost>;
template <std::same_as<TokenBucket> B>
RateLimit(std::shared_ptr<B>) -> RateLimit<>;
template <std::same_as<TokenBucket> B>
RateLimit(std::shared_ptr<B>, RateLimitOptions) -> RateLimit<>;
template <std::same_as<TokenBucket> B, class TrueCost>
RateLimit(std::shared_ptr<B>, RateLimitOptions, TrueCost) -> RateLimit<TrueCost>;
template <std::same_as<std::vector<std::shared_ptr<TokenBucket>>> Buckets>
RateLimit(Buckets) -> RateLimit<>;
template <std::same_as<std::vector<std::shared_ptr<TokenBucket>>> Buckets>
RateLimit(Buckets, RateLimitOptions) -> RateLimit<>;
template <std::same_as<std::vector<std::shared_ptr<TokenBucket>>> Buckets, class TrueCost>
RateLimit(Buckets, RateLimitOptions, TrueCost) -> RateLimit<TrueCost>;
template <std::same_as<std::shared_ptr<TokenBucket>>... More>
  requires(sizeof...(More) > 0)
RateLimit(std::shared_ptr<TokenBucket>, More...) -> RateLimit<>;
template <std::same_as<Settings<RateLimitOptions>> S>
RateLimit(std::shared_ptr<TokenBucket>, std::shared_ptr<S>) -> RateLimit<>;
template <std::same_as<Settings<RateLimitOptions>> S, class TrueCost>
RateLimit(std::shared_ptr<TokenBucket>, std::shared_ptr<S>, TrueCost) -> RateLimit<TrueCost>;
template <std::same_as<Settings<RateLimitOptions>> S>
RateLimit(std::vector<std::shared_ptr<TokenBucket>>, std::shared_ptr<S>) -> RateLimit<>;

// Stack(bucket) means Stack(RateLimit(bucket)).
template <>
struct PolicyOf<TokenBucket> {
  using type = RateLimit<>;
};

}  // namespace holdfast

#endif  // HOLDFAST_RATE_RATE_LIMIT_H_
