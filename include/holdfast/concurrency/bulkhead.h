// Bulkhead limits the number of concurrent calls: a call beyond the limit waits in a bounded queue,
// or is rejected.
//
//   auto fetch = holdfast::Stack(holdfast::Timeout(2s), holdfast::Bulkhead({.limit = 100}))
//                    .Around(transport);
//
// `limit` is an option of the bulkhead's Semaphore (semaphore.h); a second argument says how calls
// wait, Bulkhead({.limit = 100}, {.max_wait = 50ms}).
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
#include "holdfast/call/collector.h"
#include "holdfast/call/policy.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/verdict.h"
#include "holdfast/concurrency/semaphore.h"

namespace holdfast {

// The order in which waiting calls of one priority (CallOptions::priority) get permits.
enum class QueueOrder {
  kOldestFirst,  // FIFO
  // LIFO, always; "Fail at Scale" (see ControlledDelay) switches to it only under load. When the
  // queue is full, the call of the lowest priority that has waited longest is rejected: its caller
  // is the first to give up anyway.
  kNewestFirst,
};

// CoDel, "controlled delay" (RFC 8289), as "Fail at Scale" applies it to requests (B. Maurer, ACM
// Queue 13(8), 2015). A queue that a burst left behind drains and does no harm; a standing queue
// only adds latency. The queue is standing if at least one call has waited at every moment of the
// last `interval`: then a call that enters it waits for `target` or max_wait, whichever is shorter.
// Otherwise it waits for max_wait at most; to follow the article, set that to `interval`.
struct ControlledDelay {
  TimeSpan target = std::chrono::milliseconds(5);      // > 0
  TimeSpan interval = std::chrono::milliseconds(100);  // > 0
};

// The defaults bound what an outage can pile up. When the service hangs, permits stop coming back
// and every new call enters the queue. Without bounds, each waiting call would hold a thread (or a
// coroutine) and a request, and after the outage the client would first send requests that nobody
// waits for any more. With the defaults a call hears within one second that there is no permit, and
// a bulkhead holds at most 1000 waiting calls and one second of stale work. A limit of 10 still
// serves 1000 calls that come at once, if each takes 10 ms: the last gets its permit within a
// second.
//
// For comparison: resilience4j's bulkhead and Polly's concurrency limiter do not queue unless told
// to; Envoy queues up to 1024 requests, for as long as the route's timeout (15 s) allows.
struct BulkheadOptions {
  // The longest time to wait for a permit, >= 0. Zero: a call that finds no free permit is rejected
  // at once. Duration::max(): wait until the deadline; Validate(stack) refuses that where no
  // Timeout is outside of the bulkhead.
  TimeSpan max_wait = std::chrono::seconds(1);
  std::int64_t max_queue = 1000;  // the most calls that wait at once, >= 0; 0: as max_wait zero
  QueueOrder order = QueueOrder::kOldestFirst;
  std::optional<ControlledDelay> controlled_delay = std::nullopt;  // nullopt: no CoDel
};

absl::Status Validate(const BulkheadOptions& options);

// Holds one permit of a semaphore for each call that passes it to what is inside: inside of a Retry
// that is each attempt. The permit is returned when the result has passed the bulkhead or the call
// has ended in any other way. If a Timeout with a thread pool (timeout.h) gives up an attempt
// inside, the permit is returned when that attempt has really ended.
//
// Waiting. A call waits for a permit until the earlier of
//   - `max_wait`, and then it is rejected with kResourceExhausted;
//   - its latest useful start: the deadline or, with Timeouts inside, the deadline minus what they
//     give an attempt, but not before half of the time that the call has left is over. Then it is
//     rejected with kDeadlineExceeded: the permit would be of no use to it, and another call may
//     still have time.
// A call that is stopped while it waits ends with kCancelled. If the queue is full, one call is
// rejected at once with kResourceExhausted: the last in line of the lowest priority that waits, if
// the new call has a higher one or, with kNewestFirst, the same; else the new call.
//
// Priorities. Waiting calls of a higher priority are served first. If no call may wait (max_wait or
// max_queue is zero), permits are reserved instead (trunk reservation): each rejected call reserves
// a sixteenth of the limit, at least one permit, against lower priorities; half of what is reserved
// is released every second. While no call is rejected, every priority may use every permit.
//
// Thread-safe. A call that finds a free permit takes no lock, unless calls wait or permits are
// reserved against it.
class Bulkhead {
 public:
  static constexpr std::string_view kName = "Bulkhead";

  // All three throw std::invalid_argument for options that Validate refuses, and for a null
  // semaphore or null settings.
  //
  // Shares a semaphore. (A template, so that Bulkhead({}) is not a null semaphore but the options
  // of one, and reports that the limit is missing.)
  template <std::same_as<Semaphore> T>
  explicit Bulkhead(std::shared_ptr<T> semaphore, BulkheadOptions options = {})
      : Bulkhead(std::move(semaphore), internal::Live<BulkheadOptions>(options)) {}
  // With a semaphore of its own.
  explicit Bulkhead(Semaphore::Options semaphore, BulkheadOptions options = {})
      : Bulkhead(std::make_shared<Semaphore>(std::move(semaphore)), options) {}
  // Shares a semaphore, with options that can change while calls run (settings.h).
  template <std::same_as<Semaphore> T, std::same_as<Settings<BulkheadOptions>> S>
  Bulkhead(std::shared_ptr<T> semaphore, std::shared_ptr<S> settings)
      : Bulkhead(std::move(semaphore), internal::Live<BulkheadOptions>(std::move(settings))) {}

  // What follows is for Stack: see holdfast/call/policy.h.
  class State {
   public:
    State() {}  // NOLINT(modernize-use-equals-default): see UnsetTime

   private:
    friend class Bulkhead;
    Permit permit_;
    std::optional<Semaphore::Waiter> waiter_;
    // Set while waiting: the end of max_wait, and the latest useful start.
    internal::UnsetTime give_up_at_;
    internal::UnsetTime too_late_at_;
    int attempt_ = 0;  // the permit is for the attempts after this one
  };

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Before(Call& call, State& state) const {
    if (state.waiter_ || (!simple_ && Yields(call)) || !semaphore_->TryTake(1)) {
      return Queue(call, state);
    }
    state.attempt_ = call.attempt();
    // Written in place: to move a Permit here would cost as much as to take one.
    state.permit_.Fill(semaphore_.get(), 1);
    return Verdict::Proceed();
  }

  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Next After(Call&, State&, R&) const {
    return Next::Done();
  }

  // Hands the permit to the attempt that was given up and still runs.
  void OnAbandon(Call& call, State& state) const;

  PolicyInfo Info(const internal::Changes& changes = {}) const;

  void Objects(CollectedObjects& objects) const { objects.Add(semaphore_, kName); }

  void BindClock(internal::ClockBinder& binder) const { semaphore_->BindClock(binder, kName); }

 private:
  Bulkhead(std::shared_ptr<Semaphore> semaphore, internal::Live<BulkheadOptions> options)
      : semaphore_(internal::NotNull(std::move(semaphore), "Bulkhead: the Semaphore")),
        options_(std::move(options)),
        simple_(!options_.changes() && !Queueless(options_.first())) {}

  // True if no call may wait.
  static bool Queueless(const BulkheadOptions& options) {
    return options.max_queue == 0 || options.max_wait == Duration::zero();
  }
  // True if the permits that are left are reserved for calls of higher priority.
  bool Yields(Call& call) const {
    if (!Queueless(*options_.Read())) return false;
    semaphore_->reserved_.NoteSeen(call.priority());
    return semaphore_->reserved_.MustReserve(call.priority()) && OnlyReservedLeft(call);
  }
  bool OnlyReservedLeft(Call& call) const;
  Verdict Queue(Call& call, State& state) const;
  Verdict RefuseWithoutQueue(Call& call) const;
  bool Enter(Call& call, State& state, const BulkheadOptions& options) const;

  std::shared_ptr<Semaphore> semaphore_;
  internal::Live<BulkheadOptions> options_;
  bool simple_;  // calls may wait, and the options never change
};

// Stack(semaphore) means Stack(Bulkhead(semaphore)).
template <>
struct PolicyOf<Semaphore> {
  using type = Bulkhead;
};

}  // namespace holdfast

#endif  // HOLDFAST_CONCURRENCY_BULKHEAD_H_
