// KeyedRateLimit holds the calls for each key to a rate: for each customer, address or path.
//
//   auto buckets = std::make_shared<holdfast::KeyedTokenBucket>(
//       holdfast::KeyedTokenBucket::Options{.limits = {.rate = 10, .burst = 20}});
//   auto handle = holdfast::Stack(holdfast::KeyedRateLimit(buckets)).Around(executor);
//   auto reply = handle.With({.key = customer}, request);
//
//   // Or by a function of the request.
//   auto by_customer = holdfast::KeyedRateLimit(
//       buckets, {.key = holdfast::FromRequest<Request>(CustomerOf), .max_wait = 0s});
#ifndef HOLDFAST_KEYED_RATE_LIMIT_H_
#define HOLDFAST_KEYED_RATE_LIMIT_H_

#include <absl/status/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

#include "holdfast/call.h"
#include "holdfast/internal/rate_limit_plan.h"
#include "holdfast/key_function.h"
#include "holdfast/keyed_token_bucket.h"

namespace holdfast {

struct KeyedRateLimitOptions {
  // Whom or what a call is for; null: CallOptions::key, which is empty where none was given, and
  // that is a key like any other. It must say the same each time. What it throws passes to the
  // caller.
  KeyFunction key = nullptr;
  // As RateLimitOptions'.
  TimeSpan max_wait = Duration::max();
  std::function<std::int64_t(const Call&)> cost = nullptr;
  bool dry_run = false;
};

absl::Status Validate(const KeyedRateLimitOptions& options);

namespace internal {

RateLimitPlan PlanByKey(std::string_view policy, std::shared_ptr<KeyedTokenBucket> buckets,
                        KeyedRateLimitOptions options);

}  // namespace internal

// Tokens of its key's bucket for each call below it, taken, waited for, settled and refused as by
// RateLimit. A call for which there is no room is treated as KeyedTokenBucket::WhenFull says: it is
// refused, by default, with kResourceExhausted and the earliest time at which there can be room.
template <class TrueCost = internal::CostAsTaken>
class KeyedRateLimit : public internal::RateLimitPolicy<TrueCost> {
 public:
  static constexpr std::string_view kName = "KeyedRateLimit";

  // Both throw std::invalid_argument for options that Validate refuses, and for null buckets.
  // `true_cost` is as RateLimit's.
  explicit KeyedRateLimit(std::shared_ptr<KeyedTokenBucket> buckets,
                          KeyedRateLimitOptions options = {}, TrueCost true_cost = {})
      : Base(internal::PlanByKey(kName, std::move(buckets), std::move(options)),
             std::move(true_cost)) {}
  explicit KeyedRateLimit(KeyedTokenBucket::Options buckets, KeyedRateLimitOptions options = {},
                          TrueCost true_cost = {})
      : KeyedRateLimit(std::make_shared<KeyedTokenBucket>(std::move(buckets)), std::move(options),
                       std::move(true_cost)) {}

 private:
  using Base = internal::RateLimitPolicy<TrueCost>;
};

KeyedRateLimit(std::shared_ptr<KeyedTokenBucket>) -> KeyedRateLimit<>;
KeyedRateLimit(std::shared_ptr<KeyedTokenBucket>, KeyedRateLimitOptions) -> KeyedRateLimit<>;
template <class TrueCost>
KeyedRateLimit(std::shared_ptr<KeyedTokenBucket>, KeyedRateLimitOptions, TrueCost)
    -> KeyedRateLimit<TrueCost>;
KeyedRateLimit(KeyedTokenBucket::Options) -> KeyedRateLimit<>;
KeyedRateLimit(KeyedTokenBucket::Options, KeyedRateLimitOptions) -> KeyedRateLimit<>;
template <class TrueCost>
KeyedRateLimit(KeyedTokenBucket::Options, KeyedRateLimitOptions, TrueCost)
    -> KeyedRateLimit<TrueCost>;

}  // namespace holdfast

#endif  // HOLDFAST_KEYED_RATE_LIMIT_H_
