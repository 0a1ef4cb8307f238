// Cache returns cached results, and lets concurrent calls for one key share one request (single
// flight).
//
//   auto replies = std::make_shared<holdfast::ResultCache<absl::StatusOr<Reply>>>(
//       holdfast::ResultCache<absl::StatusOr<Reply>>::Options{.ttl = 60s, .stale_if_error = 1h});
//   auto ask = holdfast::Stack(
//                  holdfast::Cache(replies, {.key = holdfast::FromRequest<Request>(HostOf)}),
//                  holdfast::Retry({}))
//                  .Around(transport);
#ifndef HOLDFAST_CACHE_CACHE_H_
#define HOLDFAST_CACHE_CACHE_H_

#include <absl/status/status.h>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/refusals.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/base/result.h"
#include "holdfast/base/time.h"
#include "holdfast/cache/result_cache.h"
#include "holdfast/call/call.h"
#include "holdfast/call/collector.h"
#include "holdfast/call/key_function.h"
#include "holdfast/call/policy.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/verdict.h"

namespace holdfast {

struct CacheOptions {
  // The key of a call; null: CallOptions::key. Calls with equal keys get equal results; a call with
  // an empty key bypasses the cache. Its exceptions pass to the caller.
  KeyFunction key = nullptr;
  // How long a call waits for the result of another call for the same key, at most; >= 0, zero: not
  // at all. Then it is rejected with kResourceExhausted. The default is the total time, retries
  // included, of Microsoft's standard resilience handler: a call that takes longer hangs. Waiting
  // calls take no memory of the cache; for each key there are at most as many as come in max_wait.
  TimeSpan max_wait = std::chrono::seconds(30);
};

absl::Status Validate(const CacheOptions& options);

namespace internal {

Verdict AskCache(CacheTable& table, const CacheOptions& options, const Refusals& refusals,
                 Call& call, CacheTable::Place& place);
// Which of the waiting calls share a failure.
CacheTable::For WhoseFailure(Call& call, const absl::Status& outcome);
PolicyInfo InfoOfCache(const CacheTerms& terms, const CacheOptions& options);

}  // namespace internal

// At most one call for each key is below the Cache at a time. Other calls for the key that come
// meanwhile wait for it, until max_wait or their deadline, and get its result or its failure.
// Not every failure is shared. If it is not, one of the waiting calls goes down next: of those with
// the highest priority, the one with the latest deadline.
// - A cancellation, an exception, and a failure at the call's own deadline are not shared.
// - A rejection by a policy below is shared with calls of the same or a lower priority, with the
//   same CallOptions::key, and whose deadline is not later by more than the call took.
// - A failure for lack of time (a Timeout below ran out, a Retry below had no time to try again) is
//   shared with calls whose deadline is not later by more than the call took.
// - Any other failure is shared with all.
//
// What is cached: successes for `ttl`; failures for `negative_ttl`, but no rejection and no
// cancellation. Stale successes (RFC 5861): during stale_while_revalidate, one call goes down and
// waits, and the others get the stale result at once; no thread revalidates in the background.
// During stale_if_error a stale success replaces a failure, including a rejection.
//
// Put it outside of Retry, CircuitBreak and what else guards the service, so that those see real
// requests only. What is below must not make a call for the same key through the same cache: it
// would wait for itself, until max_wait.
//
// Rejections: kResourceExhausted after max_wait, kDeadlineExceeded at the deadline. Thread-safe.
template <class R>
class Cache {
 public:
  static constexpr std::string_view kName = "Cache";
  static constexpr bool kAnswersInstead = true;  // see policy.h

  // Both throw std::invalid_argument with the text of Validate, and for a null cache.
  template <std::same_as<ResultCache<R>> C>
  explicit Cache(std::shared_ptr<C> cache, CacheOptions options = {})
      : cache_(internal::NotNull(std::move(cache), "Cache: the ResultCache")),
        options_(internal::Validated(std::move(options))) {}
  explicit Cache(typename ResultCache<R>::Options cache, CacheOptions options = {})
      : Cache(std::make_shared<ResultCache<R>>(std::move(cache)), std::move(options)) {}

  struct State {
    internal::CacheTable::Place place;
  };

  Verdict Before(Call& call, State& state) const {
    return internal::AskCache(cache_->table_, options_, cache_->refusals_, call, state.place);
  }

  // For the machine, after Verdict::ShortCircuit.
  template <class T>
  T Result(Call&, State& state) const {
    return *static_cast<const T*>(state.place.answer().get());
  }

  template <class Result>
  Next After(Call& call, State& state, Result& result) const {
    static_assert(std::same_as<Result, R>,
                  "Cache<R> is for an executor that returns an R: give it a ResultCache of the "
                  "executor's own result");
    if (state.place.asks()) Settle(call, state.place, result);
    return Next::Done();
  }

  PolicyInfo Info(const internal::Changes& changes = {}) const {
    const typename ResultCache<R>::Options* const next = changes.Of(*cache_);
    const auto now = cache_->options_.Read();
    return internal::InfoOfCache(
        ResultCache<R>::Terms(next == nullptr ? *now : *next, cache_->name_), options_);
  }

  void BindClock(internal::ClockBinder& binder) const { cache_->BindClock(binder, kName); }
  void Objects(CollectedObjects& objects) const { objects.Add(cache_, kName); }

 private:
  using CacheSettings = typename ResultCache<R>::Options;

  void Settle(Call& call, internal::CacheTable::Place& place, R& result) const {
    const absl::Status outcome = ResultTraits<R>::StatusOf(result);
    const TimePoint now = call.now();
    if (!outcome.ok()) return Fail(call, place, result, outcome);
    const auto value = std::make_shared<const R>(result);
    const auto options = cache_->options_.Read();
    const Duration ttl = TtlOf(*options, call, *value, true);
    cache_->table_.Settle(place, {.now = now,
                                  .value = value,
                                  .ttl = ttl,
                                  .bytes = BytesOf(*options, call, *value, ttl),
                                  .success = true});
  }

  void Fail(Call& call, internal::CacheTable::Place& place, R& result,
            const absl::Status& outcome) const {
    const TimePoint now = call.now();
    const auto options = cache_->options_.Read();
    internal::CacheTable::Ending ending{
        .now = now, .value = nullptr, .whom = internal::WhoseFailure(call, outcome)};
    // Rejections, and failures that nobody shares, are not the service's.
    const bool of_service = ending.whom == internal::CacheTable::For::kAll ||
                            ending.whom == internal::CacheTable::For::kAsHurried;
    const auto stand_in = absl::IsCancelled(outcome) ? nullptr : place.StandIn(now);
    if (stand_in != nullptr) {
      result = *static_cast<const R*>(stand_in.get());
      ending.stands_in = true;
      ending.value = stand_in;
      if (of_service) ending.ttl = options->negative_ttl;
    } else if (ending.whom != internal::CacheTable::For::kNobody) {
      const auto value = std::make_shared<const R>(result);
      if (of_service) ending.ttl = TtlOf(*options, call, *value, false);
      ending.bytes = BytesOf(*options, call, *value, ending.ttl);
      ending.value = value;
    }
    cache_->table_.Settle(place, ending);
  }

  std::int64_t BytesOf(const CacheSettings& options, const Call& call, const R& result,
                       Duration ttl) const {
    return ttl > Duration::zero() ? ResultCache<R>::SizeOf(options, KeyOf(call), result) : 0;
  }

  static Duration TtlOf(const CacheSettings& options, const Call& call, const R& result, bool ok) {
    if (options.ttl_of) return options.ttl_of(call, result);
    return ok ? options.ttl : options.negative_ttl;
  }
  std::string_view KeyOf(const Call& call) const { return options_.key(call); }

  std::shared_ptr<ResultCache<R>> cache_;
  CacheOptions options_;
};

template <class R>
Cache(std::shared_ptr<ResultCache<R>>) -> Cache<R>;
template <class R>
Cache(std::shared_ptr<ResultCache<R>>, CacheOptions) -> Cache<R>;

// Stack(results) means Stack(Cache(results)).
template <class R>
struct PolicyOf<ResultCache<R>> {
  using type = Cache<R>;
};

}  // namespace holdfast

#endif  // HOLDFAST_CACHE_CACHE_H_
