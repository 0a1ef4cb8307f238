// Bulkhead bounds how many calls are below it at once; the others wait their turn.
//
//   auto fetch = holdfast::Stack(holdfast::Timeout(2s), holdfast::Bulkhead({.limit = 100}))
//                    .Around(transport);
#ifndef HOLDFAST_CONCURRENCY_BULKHEAD_H_
#define HOLDFAST_CONCURRENCY_BULKHEAD_H_

#include <absl/base/attributes.h>
#include <absl/status/status.h>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/unset_time.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/base/settings.h"
#include "holdfast/call/call.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/verdict.h"
#include "holdfast/concurrency/semaphore.h"

namespace holdfast {

enum class QueueOrder {
  kOldestFirst,
  kNewestFirst,  // whoever waits longest gives way in a full queue: it gives up soonest anyhow
};

// When a queue is no longer one that a burst left behind, but one that stands: then waiting longer
// helps nobody. After controlled delay ("Fail at Scale", B. Maurer, ACM Queue 13(8), 2015; and
// CoDel, RFC 8289); in a queue that does not stand, calls wait for max_wait, which there is the
// interval.
struct ControlledDelay {
  TimeSpan target = std::chrono::milliseconds(5);      // > 0; the most to wait in such a queue
  TimeSpan interval = std::chrono::milliseconds(100);  // > 0; it stands when never empty for longer
};

struct BulkheadOptions {
  TimeSpan max_wait = Duration::max();  // for a permit; zero: refuse at once
  std::int64_t max_queue = 1000;        // waiters, >= 0; 0: refuse at once
  QueueOrder order = QueueOrder::kOldestFirst;
  std::optional<ControlledDelay> controlled_delay = std::nullopt;
};

absl::Status Validate(const BulkheadOptions& options);

// One permit for each call below it, held until the result has passed it, whatever happens; also
// for as long as an attempt below it really runs, where a Timeout walked away from that. Calls wait
// for `max_wait`, or until their deadline less the time that the Timeouts below give an attempt
// (but at least for half of the time that they have): who comes later than that has nothing of a
// permit, and keeps it from those who still have time. Refuses with kResourceExhausted when the
// queue is full or max_wait is over, kDeadlineExceeded when the time to begin comes first.
//
// Calls of a higher priority are served first, and where the queue is full the last of the lowest
// priority makes room for one. Where nobody may wait, calls that had to be refused make those of
// lower priorities leave some permits free for the next ones, for as long as that goes on
// (internal/reserved_permits.h); while none is refused, all may have every permit.
class Bulkhead {
 public:
  static constexpr std::string_view kName = "Bulkhead";

  // Both throw std::invalid_argument for options that Validate refuses, and for a null semaphore.
  explicit Bulkhead(std::shared_ptr<Semaphore> semaphore, BulkheadOptions options = {})
      : Bulkhead(std::move(semaphore), internal::Live<BulkheadOptions>(options)) {}
  explicit Bulkhead(Semaphore::Options semaphore, BulkheadOptions options = {})
      : Bulkhead(std::make_shared<Semaphore>(std::move(semaphore)), options) {}
  // The same with options that change; throws for null settings. A template, so that {} means
  // default options.
  template <std::same_as<Settings<BulkheadOptions>> S>
  Bulkhead(std::shared_ptr<Semaphore> semaphore, std::shared_ptr<S> settings)
      : Bulkhead(std::move(semaphore), internal::Live<BulkheadOptions>(std::move(settings))) {}

  class State {
   public:
    State() {}  // NOLINT(modernize-use-equals-default): see UnsetTime

   private:
    friend class Bulkhead;
    Permit permit_;
    std::optional<Semaphore::Waiter> waiter_;
    // Of a waiter; the first for max_wait.
    internal::UnsetTime give_up_at_;
    internal::UnsetTime too_late_at_;
    int attempt_ = 0;  // the one before those that the permit is for
  };

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Before(Call& call, State& state) const {
    if (state.waiter_ || (!simple_ && Yields(call)) || !semaphore_->TryTake(1)) {
      return Queue(call, state);
    }
    state.attempt_ = call.attempt();
    // Where it lies: to move it there would cost as much as to take it.
    state.permit_.semaphore_ = semaphore_.get();
    state.permit_.n_ = 1;
    return Verdict::Proceed();
  }

  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Next After(Call&, State&, R&) const {
    return Next::Done();
  }

  // What runs on after the call stopped waiting for it still counts.
  void OnAbandon(Call& call, State& state) const;

  PolicyInfo Info(const internal::Changes& changes = {}) const;

  void BindClock(internal::ClockBinder& binder) const { semaphore_->BindClock(binder, kName); }

 private:
  Bulkhead(std::shared_ptr<Semaphore> semaphore, internal::Live<BulkheadOptions> options)
      : semaphore_(internal::NotNull(std::move(semaphore))),
        options_(std::move(options)),
        simple_(!options_.changes() && !Queueless(options_.first())) {}

  // Nobody may wait.
  static bool Queueless(const BulkheadOptions& options) {
    return options.max_queue == 0 || options.max_wait == Duration::zero();
  }
  // Whether the permits that are left are for calls that matter more.
  bool Yields(Call& call) const {
    if (!Queueless(*options_.Read())) return false;
    semaphore_->reserved_.Saw(call.priority());
    return semaphore_->reserved_.Matters(call.priority()) && LeavesFree(call);
  }
  bool LeavesFree(Call& call) const;
  Verdict Queue(Call& call, State& state) const;
  Verdict Refuse(Call& call) const;
  bool Enter(Call& call, State& state, const BulkheadOptions& options) const;

  std::shared_ptr<Semaphore> semaphore_;
  internal::Live<BulkheadOptions> options_;
  bool simple_;  // calls may wait, and that never changes
};

}  // namespace holdfast

#endif  // HOLDFAST_CONCURRENCY_BULKHEAD_H_
