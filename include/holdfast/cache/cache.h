// Cache answers calls by what an earlier call got: for what changes rarely and is asked for often.
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
#include "holdfast/call/key_function.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/verdict.h"

namespace holdfast {

struct CacheOptions {
  // What a call asks for; null: CallOptions::key. Calls with the same key get the same answers, and
  // those with an empty one pass by. What it throws passes to the caller.
  KeyFunction key = nullptr;
  // How long a call waits for the result of another call for the same key, at most; >= 0, zero:
  // not at all. Then it is refused with kResourceExhausted. The default is the total time that
  // Microsoft's standard resilience handler gives a request with its retries (30 s): a call that
  // takes longer hangs. Waiting calls take no memory of the cache, and their number is bounded by
  // max_wait times the calls per second for the key.
  TimeSpan max_wait = std::chrono::seconds(30);
};

absl::Status Validate(const CacheOptions& options);

namespace internal {

Verdict AskCache(CacheTable& table, const CacheOptions& options, const Refusals& refusals,
                 Call& call, CacheTable::Place& place);
// Whom a failure below says something: nobody else, where it is this call's own end.
CacheTable::For WhoseFailure(Call& call, const absl::Status& outcome);
PolicyInfo InfoOfCache(const CacheTerms& terms, const CacheOptions& options);

}  // namespace internal

// One call for each key is below it at once; the others that come meanwhile wait for it, until
// their deadline, and get its result or its error. What is its own they don't get: if it is
// cancelled, throws, or ends by its own deadline, another of them asks: of the most important the
// one with the most time left. So it is after a refusal by a policy below, for those who matter
// more (CallOptions::priority) or are for somebody else (CallOptions::key), and after that or a
// failure for which it had no time to try again, for those whose deadline is later by more than it
// took; the others get it. There is still one below at a time.
//
// Failures are kept for negative_ttl, but for refusals and cancellations. While a stale answer may
// be given, one call asks anew and waits for that, and the others get the stale one at once; a
// stale answer stands in for a failure, refusals included, when it may. There is no thread that
// asks in the background.
//
// It belongs outside of Retry, CircuitBreak and what else guards the service: those see what is
// really asked. What is below must not ask the same cache for the same key: it would wait for
// itself.
template <class R>
class Cache {
 public:
  static constexpr std::string_view kName = "Cache";
  static constexpr bool kAnswersInstead = true;  // see policy.h

  // Both throw std::invalid_argument for options that Validate refuses, and for a null cache.
  template <std::same_as<ResultCache<R>> C>
  explicit Cache(std::shared_ptr<C> cache, CacheOptions options = {})
      : cache_(internal::NotNull(std::move(cache))),
        options_(internal::Validated(std::move(options))) {}
  explicit Cache(typename ResultCache<R>::Options cache, CacheOptions options = {})
      : Cache(std::make_shared<ResultCache<R>>(std::move(cache)), std::move(options)) {}

  struct State {
    internal::CacheTable::Place place;
  };

  Verdict Before(Call& call, State& state) const {
    return internal::AskCache(cache_->table_, options_, cache_->refusals_, call, state.place);
  }

  // For the machine, after a verdict that says so.
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
    // A refusal, and what is nobody else's, says nothing of the service.
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

}  // namespace holdfast

#endif  // HOLDFAST_CACHE_CACHE_H_
