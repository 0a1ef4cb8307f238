// KeyedRateLimit is a policy that limits the rate of calls for each key: customer, address or path.
//
//   auto buckets = std::make_shared<holdfast::KeyedTokenBucket>(
//       holdfast::KeyedTokenBucket::Options{.limits = {.rate = 10, .burst = 20}});
//   auto handle = holdfast::Stack(holdfast::KeyedRateLimit(buckets)).Around(executor);
//   auto reply = handle.With({.key = customer}, request);
//
//   // The key as a function of the request.
//   auto by_customer = holdfast::KeyedRateLimit(
//       buckets, {.key = holdfast::FromRequest<Request>(CustomerOf), .max_wait = 0s});
//
//   // Together with a limit for all: a call that is over one limit takes tokens of neither.
//   auto both = holdfast::KeyedRateLimit(buckets, for_all, {.max_wait = 0s});
#ifndef HOLDFAST_RATE_KEYED_RATE_LIMIT_H_
#define HOLDFAST_RATE_KEYED_RATE_LIMIT_H_

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
#include "holdfast/call/key_function.h"
#include "holdfast/call/policy.h"
#include "holdfast/rate/internal/no_options.h"
#include "holdfast/rate/internal/rate_limit_plan.h"
#include "holdfast/rate/keyed_token_bucket.h"

namespace holdfast {

struct KeyedRateLimitOptions {
  // Returns the key of a call, the same one each time it is asked. Default (null):
  // CallOptions::key, which is empty where none was given; the empty key is a key like any other.
  // What the function throws passes to the caller.
  KeyFunction key = nullptr;
  // The others are as in RateLimitOptions. max_wait: >= 0, default 1 s; up to rate * max_wait calls
  // of each key may wait, so a server that limits its clients usually gives 0.
  TimeSpan max_wait = std::chrono::seconds(1);
  std::function<std::int64_t(const Call&)> cost = nullptr;
  bool dry_run = false;
  bool refund_refused = false;  // a late refund may be smaller if other keys got refunds meanwhile
};

absl::Status Validate(const KeyedRateLimitOptions& options);

namespace internal {

template <>
struct SettingsPlan<KeyedRateLimitOptions> {
  using type = RateLimitTerms;
  static KeyedRateLimitOptions OptionsOf(const RateLimitTerms& terms);
  static RateLimitTerms After(const RateLimitTerms&, KeyedRateLimitOptions next) {
    return RateLimitTerms(std::move(next));
  }
  static absl::Status Keep(const KeyedRateLimitOptions&, KeyedRateLimitOptions&) {
    return absl::OkStatus();
  }
};

RateLimitPlan PlanByKey(std::string_view policy, std::shared_ptr<KeyedTokenBucket> buckets,
                        Live<KeyedRateLimitOptions> options);
// Also throws for no bucket more, for a null one, and for one twice.
RateLimitPlan PlanByKeyAndAll(std::string_view policy, std::shared_ptr<KeyedTokenBucket> buckets,
                              std::vector<std::shared_ptr<TokenBucket>> more,
                              Live<KeyedRateLimitOptions> options);

}  // namespace internal

// Takes tokens of the bucket of the call's key, and waits, settles and refuses as RateLimit does. A
// call for whose key there is no room is treated as KeyedTokenBucket::WhenFull says: by default it
// is refused with kResourceExhausted and the earliest time at which there can be room.
//
// With more buckets, for all keys, a call takes tokens of all in one decision, all or nothing, as
// RateLimit does: so a customer who is refused takes nothing of what the others share.
template <class TrueCost = internal::CostAsTaken>
class KeyedRateLimit : public internal::RateLimitPolicy<TrueCost> {
 public:
  static constexpr std::string_view kName = "KeyedRateLimit";

  // All throw std::invalid_argument for options that Validate refuses, and for null buckets.
  // `true_cost` is as RateLimit's. Templates are what takes a pointer or a vector, so that options
  // in braces are never taken for one.
  template <std::same_as<KeyedTokenBucket> B>
  explicit KeyedRateLimit(std::shared_ptr<B> buckets, KeyedRateLimitOptions options = {},
                          TrueCost true_cost = {})
      : Base(internal::PlanByKey(kName, std::move(buckets), Live(std::move(options))),
             std::move(true_cost)) {}
  explicit KeyedRateLimit(KeyedTokenBucket::Options buckets, KeyedRateLimitOptions options = {},
                          TrueCost true_cost = {})
      : KeyedRateLimit(std::make_shared<KeyedTokenBucket>(std::move(buckets)), std::move(options),
                       std::move(true_cost)) {}
  // With buckets for all keys: at least one, none null and none twice.
  template <std::same_as<std::vector<std::shared_ptr<TokenBucket>>> Buckets>
  KeyedRateLimit(std::shared_ptr<KeyedTokenBucket> buckets, Buckets for_all,
                 KeyedRateLimitOptions options = {}, TrueCost true_cost = {})
      : Base(internal::PlanByKeyAndAll(kName, std::move(buckets), std::move(for_all),
                                       Live(std::move(options))),
             std::move(true_cost)) {}
  KeyedRateLimit(std::shared_ptr<KeyedTokenBucket> buckets, std::shared_ptr<TokenBucket> for_all,
                 KeyedRateLimitOptions options = {}, TrueCost true_cost = {})
      : KeyedRateLimit(std::move(buckets), std::vector{std::move(for_all)}, std::move(options),
                       std::move(true_cost)) {}
  // The same with options that can change at run time, among them the key of later calls; they
  // throw for null settings.
  template <std::same_as<Settings<KeyedRateLimitOptions>> S>
  KeyedRateLimit(std::shared_ptr<KeyedTokenBucket> buckets, std::shared_ptr<S> settings,
                 TrueCost true_cost = {})
      : Base(internal::PlanByKey(kName, std::move(buckets), Live(std::move(settings))),
             std::move(true_cost)) {}
  template <std::same_as<Settings<KeyedRateLimitOptions>> S>
  KeyedRateLimit(std::shared_ptr<KeyedTokenBucket> buckets,
                 std::vector<std::shared_ptr<TokenBucket>> for_all, std::shared_ptr<S> settings,
                 TrueCost true_cost = {})
      : Base(internal::PlanByKeyAndAll(kName, std::move(buckets), std::move(for_all),
                                       Live(std::move(settings))),
             std::move(true_cost)) {}
  // KeyedRateLimit({}) does not compile.
  template <class T = void>
  explicit KeyedRateLimit(internal::NoOptions) : KeyedRateLimit(KeyedTokenBucket::Options{}) {
    static_assert(
        internal::kGiven<T>,
        "KeyedRateLimit({}) has no rate: write KeyedRateLimit({.limits = {.rate = 100}}), "
        "in tokens per second for each key");
  }

 private:
  using Base = internal::RateLimitPolicy<TrueCost>;
  using Live = internal::Live<KeyedRateLimitOptions>;
};

KeyedRateLimit(internal::NoOptions) -> KeyedRateLimit<>;
template <std::same_as<KeyedTokenBucket> B>
KeyedRateLimit(std::shared_ptr<B>) -> KeyedRateLimit<>;
template <std::same_as<KeyedTokenBucket> B>
KeyedRateLimit(std::shared_ptr<B>, KeyedRateLimitOptions) -> KeyedRateLimit<>;
template <std::same_as<KeyedTokenBucket> B, class TrueCost>
KeyedRateLimit(std::shared_ptr<B>, KeyedRateLimitOptions, TrueCost) -> KeyedRateLimit<TrueCost>;
template <std::same_as<std::vector<std::shared_ptr<TokenBucket>>> Buckets>
KeyedRateLimit(std::shared_ptr<KeyedTokenBucket>, Buckets) -> KeyedRateLimit<>;
template <std::same_as<std::vector<std::shared_ptr<TokenBucket>>> Buckets>
KeyedRateLimit(std::shared_ptr<KeyedTokenBucket>, Buckets, KeyedRateLimitOptions)
    -> KeyedRateLimit<>;
template <std::same_as<std::vector<std::shared_ptr<TokenBucket>>> Buckets, class TrueCost>
KeyedRateLimit(std::shared_ptr<KeyedTokenBucket>, Buckets, KeyedRateLimitOptions, TrueCost)
    -> KeyedRateLimit<TrueCost>;
KeyedRateLimit(std::shared_ptr<KeyedTokenBucket>, std::shared_ptr<TokenBucket>) -> KeyedRateLimit<>;
KeyedRateLimit(std::shared_ptr<KeyedTokenBucket>, std::shared_ptr<TokenBucket>,
               KeyedRateLimitOptions) -> KeyedRateLimit<>;
template <class TrueCost>
KeyedRateLimit(std::shared_ptr<KeyedTokenBucket>, std::shared_ptr<TokenBucket>,
               KeyedRateLimitOptions, TrueCost) -> KeyedRateLimit<TrueCost>;
template <std::same_as<Settings<KeyedRateLimitOptions>> S>
KeyedRateLimit(std::shared_ptr<KeyedTokenBucket>, std::shared_ptr<S>) -> KeyedRateLimit<>;
template <std::same_as<Settings<KeyedRateLimitOptions>> S, class TrueCost>
KeyedRateLimit(std::shared_ptr<KeyedTokenBucket>, std::shared_ptr<S>, TrueCost)
    -> KeyedRateLimit<TrueCost>;
template <std::same_as<Settings<KeyedRateLimitOptions>> S>
KeyedRateLimit(std::shared_ptr<KeyedTokenBucket>, std::vector<std::shared_ptr<TokenBucket>>,
               std::shared_ptr<S>) -> KeyedRateLimit<>;
KeyedRateLimit(KeyedTokenBucket::Options) -> KeyedRateLimit<>;
KeyedRateLimit(KeyedTokenBucket::Options, KeyedRateLimitOptions) -> KeyedRateLimit<>;
template <class TrueCost>
KeyedRateLimit(KeyedTokenBucket::Options, KeyedRateLimitOptions, TrueCost)
    -> KeyedRateLimit<TrueCost>;

// Stack(buckets) means Stack(KeyedRateLimit(buckets)).
template <>
struct PolicyOf<KeyedTokenBucket> {
  using type = KeyedRateLimit<>;
};

}  // namespace holdfast

#endif  // HOLDFAST_RATE_KEYED_RATE_LIMIT_H_
