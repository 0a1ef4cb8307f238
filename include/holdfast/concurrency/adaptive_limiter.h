// An AdaptiveLimiter is an adaptive concurrency limit: it learns how many calls a service can work
// on at once, and admits no more.
//
//   holdfast::AdaptiveLimiter limiter({.name = "orders"});
//   absl::StatusOr<holdfast::AdaptiveLimiter::Ticket> ticket = limiter.Admit();
//   if (ticket.ok()) {
//     absl::StatusOr<Order> order = client.GetOrder(id);
//     ticket->Done(limiter.Classify(order.status()));
//   }
//
// Most callers want AdaptiveLimit (adaptive_limit.h) in a stack, whose calls can also wait.
#ifndef HOLDFAST_CONCURRENCY_ADAPTIVE_LIMITER_H_
#define HOLDFAST_CONCURRENCY_ADAPTIVE_LIMITER_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/success_times.h"
#include "holdfast/base/internal/versions.h"
#include "holdfast/base/time.h"
#include "holdfast/call/collector.h"
#include "holdfast/call/outcome.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/concurrency/internal/limit_picker.h"
#include "holdfast/concurrency/internal/limit_sample.h"
#include "holdfast/concurrency/limit_algorithm.h"
#include "holdfast/concurrency/semaphore.h"

namespace holdfast {

template <class Classify>
class AdaptiveLimit;

namespace internal {
class LimitAdmission;
}

// A semaphore whose limit follows the latency and the failures of the calls that it admits, by one
// of the algorithms of limit_algorithm.h: Vegas (the default), Gradient2 or AIMD.
//
// What a call says of the service depends on its outcome:
//
//   outcome     meaning                                      effect on the limit
//   kSuccess    the service answered                         by its latency, from admission to Done
//   kFailure    the service dropped the call: overload       shrinks it, if more than `drop_share`
//                                                            of a window's calls were dropped
//   kIgnored    says nothing of load: rejected by another    none
//               policy, cancelled, a bad request
//
// The limit is set anew once for each window of calls:
//
//   1. The first call after the limit was set opens the window. The calls that begin while it is
//      open belong to it, so all of them began under the limit that the window judges. Calls that
//      began earlier, or between two windows, are ignored.
//   2. The window stays open for `window` or twice the last mean latency, whichever is longer, and
//      until `min_samples` calls have begun in it.
//   3. The limit is set when `min_samples` and 19 of 20 of its calls have ended. If some hang, it
//      is set without them, four times the mean latency after the window was to close.
//   4. The limit does not grow if less than half of it was in use at once, and always stays between
//      `minimum` and `maximum`.
//
// Vegas and Gradient2 compare the latency with the latency without load. That is measured while few
// calls are in flight. If there are always many, the limiter lowers the limit for one window, in
// one window of ten or fewer, to four fifths of what it estimates that the service works on at
// once.
//
// Clients that share a service each learn a limit of their own. A client that starts while others
// overload the service takes the queue there for part of the latency without load.
//
// Thread-safe. Admission and Done take a lock, and read the clock, only for the calls that are
// measured: all of them up to some thousands per second, and a sample beyond that.
class AdaptiveLimiter {
 public:
  struct Options {
    LimitAlgorithm algorithm = Vegas{};
    // The initial, lowest and highest limit, in calls; 1 <= minimum <= initial <= maximum < 2^31.
    // nullopt: the algorithm's published default (limit_algorithm.h), moved as far as is needed to
    // stay consistent with those that are given.
    std::optional<std::int64_t> initial = std::nullopt;
    std::optional<std::int64_t> minimum = std::nullopt;
    std::optional<std::int64_t> maximum = std::nullopt;
    // The number of calls that may queue at the service, so that it never runs idle; >= 1.
    // Gradient2 adds it to the limit (nullopt: 4). Vegas keeps queue_size to queue_size * beta /
    // alpha calls queued (nullopt: alpha to beta times log10(limit)). Must not be given with Aimd.
    std::optional<std::int64_t> queue_size = std::nullopt;
    // The shortest window; > 0. Netflix's default is 1 s, with which Aimd and Gradient2 grow by
    // about one call per second.
    TimeSpan window = std::chrono::milliseconds(100);
    std::int64_t min_samples = 10;  // calls that must end in a window, 1 to 1000
    // The share of a window's calls that may be dropped before the limit shrinks, in [0, 1): a
    // service also drops calls for other reasons than overload. Netflix's default is 0.
    double drop_share = 0.01;
    // The outcome of a call by its status, called in any thread. Null: OK is a success;
    // kResourceExhausted, kUnavailable and kDeadlineExceeded are failures unless they are
    // rejections (RejectionOf); everything else is ignored. If it throws, the exception passes to
    // the caller and the call is ignored.
    std::function<Outcome(const absl::Status&)> classify = {};
    std::string name = {};  // for messages
    // The clock of the methods without At; null: SteadyClock(), or that of the stack. Must outlive
    // the limiter.
    Clock* clock = nullptr;
  };

  class Ticket;

  // Throws std::invalid_argument with the text of Validate.
  explicit AdaptiveLimiter(Options options);
  AdaptiveLimiter(const AdaptiveLimiter&) = delete;
  AdaptiveLimiter& operator=(const AdaptiveLimiter&) = delete;
  ~AdaptiveLimiter();

  // Admits one call, if fewer than the limit are in use and none waits; else kResourceExhausted.
  // Never waits.
  [[nodiscard]] absl::StatusOr<Ticket> Admit();
  [[nodiscard]] absl::StatusOr<Ticket> AdmitAt(TimePoint now);

  std::int64_t limit() const { return semaphore_.limit(); }  // lowered while it probes
  std::int64_t in_use() const { return semaphore_.in_use(); }
  std::int64_t queued() const { return semaphore_.queued(); }  // calls that wait in stacks

  // The outcome of a call with this status: by Options::classify.
  Outcome Classify(const absl::Status& status) const;

  // Replaces all options while calls run. The name and the clock cannot change: left out they stay,
  // and others are refused. kInvalidArgument, with nothing changed, for that and for what Validate
  // refuses.
  //   - The present limit stays, moved into the new bounds (`initial` is for a new limiter), and
  //     holds at once: admitted calls stay admitted, and waiting calls get what is free.
  //   - Another algorithm goes on from the present limit, and from the latency without load that
  //     the previous one has learned.
  //   - The window that is open counts, unless `window` or `min_samples` change or the limit moves:
  //     then its calls are ignored, and the next call opens a window.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // The present options: to change one of them, Update with a changed copy.
  Options options() const {
    Options options = *options_.Read();
    options.clock = clock_.given();
    return options;
  }
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options);

  const std::string& name() const { return semaphore_.name(); }

  // For a registry of metrics (collector.h): those of docs/concurrency.md.
  void Collect(Collector& collector) const;

  // For stacks: see internal/object_clock.h.
  void BindClock(internal::ClockBinder& binder, std::string_view policy) {
    binder.Bind(policy, name(), clock_);
    semaphore_.BindClock(binder, policy);
  }

 private:
  template <class Classify>
  friend class AdaptiveLimit;
  friend class internal::LimitAdmission;
  friend class internal::LimitSample;
  friend struct internal::LimitSampleDeleter;

  class Loop;  // what the mutex guards: sampler and algorithm

  TimePoint Now() const { return clock_.Now(); }

  // For an admitted call that picker_ has picked.
  void Measure(TimePoint now, internal::LimitSample& sample) {
    if (picker_.MayJoin(now)) MeasureLocked(now, sample);
  }
  void MeasureLocked(TimePoint now, internal::LimitSample& sample);
  void Settle(const internal::LimitSampleDeleter& sample, TimePoint now, Outcome outcome);
  // With the mutex held.
  void AdaptIfReady(TimePoint now);
  void SetLimit();
  void Publish();

  void Change(internal::Versions<Options>::Next next);
  // The info of an AdaptiveLimit with this limiter and with such a bulkhead, after the changes.
  PolicyInfo Info(PolicyInfo bulkhead, const internal::Changes& changes) const;

  internal::LimitPicker picker_;
  std::mutex mutex_;
  internal::Versions<Options> options_;  // replaced with the mutex held
  std::atomic<bool> classifies_;         // whether Options::classify is given; a hint, so relaxed
  const std::unique_ptr<Loop> loop_;     // guarded by the mutex
  // Written with the mutex held. Relaxed, since each is a value by itself. Collect reads them
  // without the mutex, since a call that finds it taken goes unmeasured.
  std::atomic<double> no_load_latency_{0};  // nanoseconds; 0: unknown
  std::atomic<std::uint64_t> raised_{0};    // changes of the limit
  std::atomic<std::uint64_t> lowered_{0};

  internal::ObjectClock clock_;
  Semaphore semaphore_;
  internal::SuccessTimes success_times_;
};

absl::Status Validate(const AdaptiveLimiter::Options& options);

// Proof of admission; move-only. The first Done counts the call and returns its permit; a ticket
// destroyed without Done returns the permit, and the call is ignored. The limiter must outlive it.
// Used by one thread at a time.
class [[nodiscard]] AdaptiveLimiter::Ticket {
 public:
  Ticket() = default;  // of no limiter
  Ticket(Ticket&&) noexcept = default;
  Ticket& operator=(Ticket&&) noexcept = default;

  // kFailure: the service dropped the call because it is overloaded.
  void Done(Outcome outcome) noexcept;
  void DoneAt(TimePoint now, Outcome outcome) noexcept {
    sample_.Settle(now, outcome);
    permit_.Release();
  }

 private:
  friend class AdaptiveLimiter;

  Clock* clock_ = nullptr;
  Permit permit_;
  internal::LimitSample sample_;
};

}  // namespace holdfast

#endif  // HOLDFAST_CONCURRENCY_ADAPTIVE_LIMITER_H_
