// Timeout bounds how long what is below it may take: the whole call where it stands outside of
// Retry, one attempt where it stands inside.
//
//   auto fetch = holdfast::Stack(holdfast::Timeout(10s),  // in all
//                                holdfast::Retry({}),
//                                holdfast::Timeout(2s))   // each attempt
//                    .Around(transport);
//   auto pool = std::make_shared<holdfast::ThreadPool>(holdfast::ThreadPool::Options{});
//   auto ask = holdfast::Stack(holdfast::Timeout(2s, pool)).Around(stubborn);  // walks away
#ifndef HOLDFAST_TIMEOUT_TIMEOUT_H_
#define HOLDFAST_TIMEOUT_TIMEOUT_H_

#include <absl/base/attributes.h>
#include <absl/base/optimization.h>
#include <absl/status/status.h>

#include <algorithm>
#include <concepts>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/unset_time.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/base/settings.h"
#include "holdfast/base/thread_pool.h"
#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/verdict.h"

namespace holdfast {

struct TimeoutOptions {
  TimeSpan limit{0};  // > 0
};

absl::Status Validate(const TimeoutOptions& options);

namespace internal {
PolicyInfo TimeoutFacts(const TimeoutOptions& options, bool walks_away);
}  // namespace internal

// Cooperative: it brings call.deadline() forward, no wait below it may end later, and the executor
// reads it to know when to give up. An executor that does not look runs on, and what it returns
// stands, late as it is: a success is worth having.
//
// Given a thread pool it walks away instead: what is below it runs in the pool, the call goes on at
// the deadline with kDeadlineExceeded, and the attempt finishes into the void. What the attempt was
// admitted with (a Bulkhead's permit) goes back when it has really ended. The arguments of the call
// are copied for it (what a view or a pointer among them points to is not), and the executor lives
// as long as it, as the clock must. Where the pool is full, the call is
// refused with kResourceExhausted. What a request says can't be shared (repeatability.h: a body
// that streams, a receiver of the answer) is awaited all the same: it is not to be used once the
// call has returned, nor by two attempts at once.
//
// The asynchronous driver cancels the attempt; with a pool (which it does not use) it does not
// await the end of that.
template <bool kWalksAway = false>
class Timeout {
 public:
  static constexpr std::string_view kName = "Timeout";

  // They throw std::invalid_argument unless `limit` > 0, and for a null pool or null settings.
  explicit Timeout(TimeSpan limit)
    requires(!kWalksAway)
      : options_(TimeoutOptions{limit}) {}
  Timeout(TimeSpan limit, std::shared_ptr<ThreadPool> pool)
    requires kWalksAway
      : options_(TimeoutOptions{limit}), pool_(internal::NotNull(std::move(pool))) {}
  template <std::same_as<Settings<TimeoutOptions>> S>
  explicit Timeout(std::shared_ptr<S> settings)
    requires(!kWalksAway)
      : options_(std::move(settings)) {}
  template <std::same_as<Settings<TimeoutOptions>> S>
  Timeout(std::shared_ptr<S> settings, std::shared_ptr<ThreadPool> pool)
    requires(kWalksAway)
      : options_(std::move(settings)), pool_(internal::NotNull(std::move(pool))) {}

  class State {
   public:
    State() {}  // NOLINT(modernize-use-equals-default): see UnsetTime
    ~State() {
      if (call_ != nullptr) call_->set_deadline(*outer_);
    }

   private:
    friend class Timeout;
    Call* call_ = nullptr;
    internal::UnsetTime outer_;  // the deadline to put back
  };

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Before(Call& call, State& state) const {
    state.call_ = &call;
    state.outer_ = call.deadline();
    call.set_deadline(std::min(call.deadline(), SaturatingAdd(call.now(), limit())));
    return Verdict::Proceed();
  }

  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Next After(Call&, State&, R&) const {
    return Next::Done();
  }

  Duration LimitAt(TimePoint) const { return limit(); }

  PolicyInfo Info(const internal::Changes& changes = {}) const {
    if constexpr (kWalksAway) changes.Of(*pool_);  // which says nothing of the stack
    return internal::TimeoutFacts(options_.With(changes), kWalksAway);
  }

  // For drivers: one branch, which the call leaves at its deadline (fork.h).
  ThreadPool* pool() const
    requires kWalksAway
  {
    return pool_.get();
  }
  TimePoint NextBranch(TimePoint, int) const { return TimePoint::max(); }
  bool MayBranch(const Call&) const { return false; }
  bool TakeBranch(TimePoint) const { return false; }
  void ReturnBranch() const {}

 private:
  struct NoPool {};

  ABSL_ATTRIBUTE_ALWAYS_INLINE Duration limit() const {
    if (ABSL_PREDICT_FALSE(options_.changes())) return PresentLimit();
    return options_.first().limit;
  }
  ABSL_ATTRIBUTE_NOINLINE Duration PresentLimit() const { return options_.Read()->limit; }

  internal::Live<TimeoutOptions> options_;
  [[no_unique_address]] std::conditional_t<kWalksAway, std::shared_ptr<ThreadPool>, NoPool> pool_;
};

Timeout(TimeSpan) -> Timeout<>;
Timeout(TimeSpan, std::shared_ptr<ThreadPool>) -> Timeout<true>;
template <std::same_as<Settings<TimeoutOptions>> S>
Timeout(std::shared_ptr<S>) -> Timeout<>;
template <std::same_as<Settings<TimeoutOptions>> S>
Timeout(std::shared_ptr<S>, std::shared_ptr<ThreadPool>) -> Timeout<true>;

}  // namespace holdfast

#endif  // HOLDFAST_TIMEOUT_TIMEOUT_H_
