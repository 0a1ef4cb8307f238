// An AdaptiveLimiter finds out how many calls a service can work on at once, and admits no more.
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

#include <absl/base/attributes.h>
#include <absl/base/optimization.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <cstddef>
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
#include "holdfast/base/internal/refusals.h"
#include "holdfast/base/internal/success_times.h"
#include "holdfast/base/internal/thread_number.h"
#include "holdfast/base/internal/versions.h"
#include "holdfast/base/time.h"
#include "holdfast/call/outcome.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/concurrency/limit_algorithm.h"
#include "holdfast/concurrency/semaphore.h"

namespace holdfast {

template <class Classify>
class AdaptiveLimit;
class AdaptiveLimiter;

namespace internal {

class LimitAdmission;
class LimitLoop;

// A call's part in a window, if it has one. Move-only; destroyed unsettled it is ignored.
class LimitSample {
 public:
  LimitSample() = default;
  LimitSample(LimitSample&& other) noexcept
      : limiter_(std::exchange(other.limiter_, nullptr)),
        window_(other.window_),
        began_(other.began_) {}
  LimitSample& operator=(LimitSample&& other) noexcept {
    if (this != &other) {
      Settle(TimePoint::min(), Outcome::kIgnored);
      limiter_ = std::exchange(other.limiter_, nullptr);
      window_ = other.window_;
      began_ = other.began_;
    }
    return *this;
  }
  ~LimitSample() { Settle(TimePoint::min(), Outcome::kIgnored); }

  AdaptiveLimiter* limiter() const { return limiter_; }  // null: there is nothing to settle
  void Settle(TimePoint now, Outcome outcome) noexcept;

 private:
  friend class holdfast::AdaptiveLimiter;

  AdaptiveLimiter* limiter_ = nullptr;
  std::uint64_t window_ = 0;
  TimePoint began_ = {};
};

}  // namespace internal

// A semaphore whose limit follows what its calls tell of the service, by one of three algorithms
// (limit_algorithm.h).
//
// Calls are judged by the window. A window is the calls that began in it: the first call after the
// limit was set opens it, it takes calls for `window` or twice the last mean latency, whichever is
// longer, and until it has `min_samples`, and when 19 of 20 have ended (or, where some hang, after
// four times the mean latency more) the limit is set anew. So whatever began under an older limit
// is ignored, and so are calls that begin between two windows. In a window
//   - a success counts by its latency, from its admission to Done;
//   - a failure is a call that the service dropped, and has no latency: more than `drop_share` of
//     them shrink the limit;
//   - what is ignored (refused by another policy, cancelled, failed for a reason that says nothing
//     of load) is as if it had never been.
// The limit does not grow where less than half of it was in use at once, and is never outside of
// its minimum and maximum. Vegas and Gradient2 compare latencies to that without load, which is
// measured while few calls are in flight; where there never are, the limit is held down for that,
// for one window in ten or fewer, to four fifths of what the service is taken to work on at once.
//
// Clients that share a service each find a limit of their own, and one that comes while it is
// overloaded by others takes their queue for its latency.
//
// Thread-safe. To admit and to be done takes no lock but for calls that are measured: all of them
// up to some thousands per second, and of more a sample. Only those read the clock.
class AdaptiveLimiter {
 public:
  struct Options {
    LimitAlgorithm algorithm = Vegas{};
    // What the algorithm begins with and keeps within, 1 <= minimum <= initial <= maximum; null: as
    // published, see limit_algorithm.h, moved as far as those that are given make it necessary.
    std::optional<std::int64_t> initial = std::nullopt;
    std::optional<std::int64_t> minimum = std::nullopt;
    std::optional<std::int64_t> maximum = std::nullopt;
    // How many calls may wait at the service, so that it never runs dry; >= 1. Of Gradient2 it is
    // what is added to the limit, and of Vegas alpha calls, whatever the limit; not for Aimd.
    std::optional<std::int64_t> queue_size = std::nullopt;
    // Netflix's is a second, and then Aimd and Gradient2 grow by about one per second.
    TimeSpan window = std::chrono::milliseconds(100);  // the shortest; > 0
    std::int64_t min_samples = 10;                     // that end in a window; 1 to 1000
    // In [0, 1): of the calls of a window that may be dropped and the limit does not shrink, since
    // services have other reasons too. Netflix's is 0.
    double drop_share = 0.01;
    // Null: OK is a success; kResourceExhausted, kUnavailable and kDeadlineExceeded are failures
    // unless they are rejections; all else is ignored. What it throws passes to the caller, and the
    // call is ignored.
    std::function<Outcome(const absl::Status&)> classify = {};
    std::string name = {};   // for messages
    Clock* clock = nullptr;  // of the methods without At; must outlive the limiter
  };

  class Ticket;

  // Throws std::invalid_argument with the text of Validate.
  explicit AdaptiveLimiter(Options options);
  AdaptiveLimiter(const AdaptiveLimiter&) = delete;
  AdaptiveLimiter& operator=(const AdaptiveLimiter&) = delete;
  ~AdaptiveLimiter();

  // A place for one call, if there is one and nobody waits for it; else kResourceExhausted.
  absl::StatusOr<Ticket> Admit();
  absl::StatusOr<Ticket> AdmitAt(TimePoint now);

  std::int64_t limit() const { return semaphore_.limit(); }  // less while it measures
  std::int64_t in_use() const { return semaphore_.in_use(); }
  std::int64_t queued() const { return semaphore_.queued(); }  // calls that wait in stacks

  // What a call's status says. Called for those that are measured.
  Outcome Classify(const absl::Status& status) const;

  // Replaces the options, all of them, while calls run. The present limit stays, moved into the new
  // bounds if need be (`initial` is for a new limiter), and holds at once: calls that have a place
  // keep it, and those that wait get what is free. Another algorithm goes on from it, and from what
  // the one before knew of the latency without load. What is measured at that moment counts, unless
  // window or min_samples change or the limit moves: then its calls are ignored, and the next one
  // opens a window. Name and clock stay: left out they are as before, and others are refused.
  // kInvalidArgument, with nothing changed, for that and for what Validate refuses.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // Those of now: to change one, change a copy of them.
  Options options() const {
    Options options = *options_.Read();
    options.clock = clock_.given();
    return options;
  }
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options);

  const std::string& name() const { return semaphore_.name(); }

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

  // Counts of calls, one for each of some threads; a few that get lost in races do not matter.
  struct alignas(64) Stripe {
    std::atomic<std::uint64_t> calls{0};
  };

  TimePoint Now() const { return clock_.Now(); }

  // Whether to Measure this call: one in 2^shift, spread as evenly as can be (by the golden ratio),
  // so that no pattern in the calls of a thread is taken for all of them.
  ABSL_ATTRIBUTE_ALWAYS_INLINE bool Picks() {
    const int shift = shift_.load(std::memory_order_relaxed);
    if (shift == 0) return true;
    std::atomic<std::uint64_t>& calls = stripes_[internal::ThreadNumber() & mask_].calls;
    const std::uint64_t call = calls.load(std::memory_order_relaxed);
    calls.store(call + 1, std::memory_order_relaxed);
    return (call * 0x9e37'79b9'7f4a'7c15) >> (64 - shift) == 0;
  }

  // For one that was admitted.
  void Measure(TimePoint now, internal::LimitSample& sample) {
    if (now < Time(busy_until_) && now >= Time(busy_from_)) return;
    MeasureLocked(now, sample);
  }
  void MeasureLocked(TimePoint now, internal::LimitSample& sample);
  void Settle(const internal::LimitSample& sample, TimePoint now, Outcome outcome);
  // With the mutex held.
  void AdaptIfReady(TimePoint now);
  void SetLimit();
  void Publish();

  void Change(internal::Versions<Options>::Next next);
  // Of an AdaptiveLimit with it and with such a bulkhead, after changes to the limiter.
  PolicyInfo Info(PolicyInfo bulkhead, const internal::Changes& changes) const;

  static TimePoint Time(const std::atomic<TimePoint::rep>& time) {
    return TimePoint(Duration(time.load(std::memory_order_relaxed)));
  }

  // What the mutex guards is only in loop_. The atomics are hints of what is in there, for those
  // who needn't take it; one that is out of date makes a call be measured, or not, that would have
  // been otherwise. So relaxed does.
  std::atomic<int> shift_{0};
  std::atomic<TimePoint::rep> busy_from_{TimePoint::min().time_since_epoch().count()};
  std::atomic<TimePoint::rep> busy_until_{TimePoint::min().time_since_epoch().count()};
  const std::size_t mask_;
  const std::unique_ptr<Stripe[]> stripes_;
  std::mutex mutex_;
  internal::Versions<Options> options_;  // replaced with the mutex held
  std::atomic<bool> classifies_;         // whether they have a classify; a hint, so relaxed
  const std::unique_ptr<internal::LimitLoop> loop_;

  internal::ObjectClock clock_;
  const internal::Refusals refusals_;
  Semaphore semaphore_;
  internal::SuccessTimes success_times_;
};

absl::Status Validate(const AdaptiveLimiter::Options& options);

inline void internal::LimitSample::Settle(TimePoint now, Outcome outcome) noexcept {
  if (AdaptiveLimiter* const limiter = std::exchange(limiter_, nullptr)) {
    limiter->Settle(*this, now, outcome);
  }
}

// Proof of admission; move-only. The first Done counts and gives the place back; destroyed without
// one the call is ignored. Its limiter must outlive it.
class [[nodiscard]] AdaptiveLimiter::Ticket {
 public:
  Ticket() = default;  // of no limiter
  Ticket(Ticket&&) noexcept = default;
  Ticket& operator=(Ticket&&) noexcept = default;

  // kFailure: the service dropped the call, for overload.
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
