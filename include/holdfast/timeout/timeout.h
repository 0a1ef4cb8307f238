// Timeout limits the time of what is below it: outside of Retry the whole call, inside of it each
// attempt.
//
//   auto fetch = holdfast::Stack(holdfast::Timeout(10s),  // the whole call
//                                holdfast::Retry({}),
//                                holdfast::Timeout(2s))   // one attempt
//                    .Around(transport);
//   auto pool = std::make_shared<holdfast::ThreadPool>(holdfast::ThreadPool::Options{});
//   auto ask = holdfast::Stack(holdfast::Timeout(2s, pool)).Around(stubborn);  // abandons
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
#include "holdfast/call/collector.h"
#include "holdfast/call/internal/collect_pool.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/verdict.h"

namespace holdfast {

struct TimeoutOptions {
  TimeSpan limit{0};  // from when the call comes to this policy; > 0, required
};

absl::Status Validate(const TimeoutOptions& options);

namespace internal {
PolicyInfo TimeoutInfo(const TimeoutOptions& options, bool abandons);
void CollectLimit(const Settings<TimeoutOptions>& settings, Collector& collector);
}  // namespace internal

// A Timeout is cooperative: it moves call.deadline() to `limit` from now, if that is earlier. No
// policy below waits longer. The executor must check call.deadline() itself and give up then. If it
// does not, it runs on, and its result is returned, however late. A wait below that would end after
// the deadline is rejected at once with kDeadlineExceeded; a Retry returns the result that it has.
//
// With a thread pool, the Timeout abandons an attempt that ignores its deadline: what is below runs
// in the pool, the call returns kDeadlineExceeded at the deadline, and the attempt's result is
// dropped when it ends.
// - What the attempt holds (a Bulkhead's permit) is returned when it has really ended. So abandoned
//   attempts are bounded by the pool's threads, and by a Bulkhead inside or outside.
// - The call is rejected with kResourceExhausted when the pool is full.
// - The arguments of the call are copied, but not what a view or a pointer among them points to.
//   The executor lives as long as the attempt; the clock must live as long, too.
// - A request that cannot be shared (repeatability.h: a streamed body, a receiver of the answer) is
//   never abandoned: the call waits for its attempt beyond the deadline, since the request must not
//   be used once the call has returned, nor by two attempts at once.
//
// The asynchronous driver cancels the attempt at the deadline and waits until it has ended. With a
// pool, which that driver does not use for anything else, it does not wait for that.
//
// Thread-safe.
template <bool kAbandons = false>
class Timeout {
 public:
  static constexpr std::string_view kName = "Timeout";

  // All throw std::invalid_argument with the text of Validate, and for a null pool or null
  // settings. Settings are options that change while calls run.
  explicit Timeout(TimeSpan limit)
    requires(!kAbandons)
      : options_(TimeoutOptions{limit}) {}
  Timeout(TimeSpan limit, std::shared_ptr<ThreadPool> pool)
    requires kAbandons
      : options_(TimeoutOptions{limit}),
        pool_(internal::NotNull(std::move(pool), "Timeout: the ThreadPool")) {}
  template <std::same_as<Settings<TimeoutOptions>> S>
  explicit Timeout(std::shared_ptr<S> settings)
    requires(!kAbandons)
      : options_(std::move(settings)) {}
  template <std::same_as<Settings<TimeoutOptions>> S>
  Timeout(std::shared_ptr<S> settings, std::shared_ptr<ThreadPool> pool)
    requires(kAbandons)
      : options_(std::move(settings)),
        pool_(internal::NotNull(std::move(pool), "Timeout: the ThreadPool")) {}

  class State {
   public:
    State() {}  // NOLINT(modernize-use-equals-default): see UnsetTime
    ~State() {
      if (call_ != nullptr) call_->set_deadline(*outer_);
    }

   private:
    friend class Timeout;
    Call* call_ = nullptr;
    internal::UnsetTime outer_;  // the deadline to restore
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

  // The present limit.
  [[nodiscard]] Duration LimitAt(TimePoint) const { return limit(); }

  PolicyInfo Info(const internal::Changes& changes = {}) const {
    if constexpr (kAbandons) changes.Of(*pool_);  // no option of it is shown
    return internal::TimeoutInfo(options_.With(changes), kAbandons);
  }

  // First the one that rejects calls. A limit that never changes is not told.
  void Objects(CollectedObjects& objects) const {
    if constexpr (kAbandons) objects.Add<internal::CollectPool>(pool_, kName);
    if (options_.changes()) objects.Add<internal::CollectLimit>(options_.settings(), kName);
  }

  // For drivers (fork.h): one branch, which the call abandons at its deadline.
  ThreadPool* pool() const
    requires kAbandons
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
  [[no_unique_address]] std::conditional_t<kAbandons, std::shared_ptr<ThreadPool>, NoPool> pool_;
};

Timeout(TimeSpan) -> Timeout<>;
Timeout(TimeSpan, std::shared_ptr<ThreadPool>) -> Timeout<true>;
template <std::same_as<Settings<TimeoutOptions>> S>
Timeout(std::shared_ptr<S>) -> Timeout<>;
template <std::same_as<Settings<TimeoutOptions>> S>
Timeout(std::shared_ptr<S>, std::shared_ptr<ThreadPool>) -> Timeout<true>;

}  // namespace holdfast

#endif  // HOLDFAST_TIMEOUT_TIMEOUT_H_
