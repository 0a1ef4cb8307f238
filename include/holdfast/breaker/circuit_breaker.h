// A CircuitBreaker stops calls to a service that keeps failing, and probes until it has recovered.
//
//   holdfast::CircuitBreaker breaker({.name = "orders", .timeout = 30s});
//   absl::StatusOr<Order> order = breaker.Execute([&] { return client.GetOrder(id); });
//
// Closed, it admits every call and counts outcomes; it opens when a rule says so. Open, it rejects
// every call for `timeout`, or as long as `open_time` says. Half-open, it admits a few calls as
// probes, at most `max_requests` of them together with those that have succeeded. When that many
// have succeeded it closes, or first admits a growing share of the calls, where a `ramp` is set. It
// opens again when a probe fails, is slow (where a rule counts slow calls), or outlives
// `probe_lease`. The options are explained in circuit_breaker_options.h, the modes in
// breaker_state.h. Most callers want CircuitBreak (circuit_break.h) in a stack.
#ifndef HOLDFAST_BREAKER_CIRCUIT_BREAKER_H_
#define HOLDFAST_BREAKER_CIRCUIT_BREAKER_H_

#include <absl/base/optimization.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/striped_status.h"
#include "holdfast/base/internal/success_times.h"
#include "holdfast/base/internal/versions.h"
#include "holdfast/base/rejection.h"
#include "holdfast/base/result.h"
#include "holdfast/base/time.h"
#include "holdfast/breaker/breaker_snapshot.h"
#include "holdfast/breaker/breaker_state.h"
#include "holdfast/breaker/circuit_breaker_options.h"
#include "holdfast/breaker/internal/breaker_lane.h"
#include "holdfast/breaker/trip_rule.h"
#include "holdfast/call/collector.h"
#include "holdfast/call/internal/watches.h"
#include "holdfast/call/observer.h"
#include "holdfast/call/policy_info.h"

namespace holdfast {

class CircuitBreaker;

namespace internal {
class BreakerMachine;
class CircuitBreakAdmission;
class LiveBreakers;
struct BreakerPlan;

// What a ticket remembers of its admission; as a deleter, it ends a ticket without an outcome.
struct BreakerTicketDeleter {
  void operator()(CircuitBreaker* breaker) const noexcept;

  std::uint64_t era = 0;  // in which the call was admitted (BreakerLane); of a probe its number
  TimePoint at = {};
};
}  // namespace internal

// Proof that a breaker admitted a call; move-only. Report the call's outcome with Done; only the
// first Done counts. A ticket that is destroyed or overwritten without Done counts its call as
// ignored; if the call was a probe, another may take its place. The breaker must outlive its
// tickets.
class [[nodiscard]] Ticket {
 public:
  Ticket() = default;  // of no breaker

  // Reports the outcome. Only Collect's totals count it if the breaker has changed its state, or
  // begun another fixed window, since it admitted the call. If there is no memory to count it, the
  // call stays one that has not ended; a probe then opens the breaker when its lease ends.
  void Done(Outcome outcome) noexcept;
  void DoneAt(TimePoint now, Outcome outcome) noexcept;

 private:
  friend class CircuitBreaker;
  friend class internal::CircuitBreakAdmission;

  const internal::BreakerTicketDeleter& admission() const { return breaker_.get_deleter(); }
  // Of an empty ticket.
  void Fill(CircuitBreaker* breaker, TimePoint now);
  CircuitBreaker* Take() { return breaker_.release(); }  // null: it was empty

  std::unique_ptr<CircuitBreaker, internal::BreakerTicketDeleter> breaker_;
};

// Closed, open and half-open follow gobreaker v2 (Go); windows over time, the ramp and the modes
// are additions. Transitions are lazy: a breaker changes its state at the first call, outcome or
// query after the time of the change; there is no timer. Each change of state and each reset of a
// fixed window begins a generation. Outcomes of calls from an earlier generation are ignored.
//
// Functions whose names end in At take the time from the caller, the others from the clock.
//
// Thread-safe. While the breaker is closed, a call that is admitted and succeeds takes no lock,
// whatever the window. The exceptions: the first call in each fixed window or bucket; slow calls;
// calls that end more than one bucket after the one in which they began. With a rule that counts
// slow calls, time is also cut into pieces as long as `slow_call`: the first call or two in each
// piece, and calls that end more than one piece after their own, take the lock too. A rejection
// while open takes none. Every other call and outcome takes a mutex for some nanoseconds: amortized
// O(1), whatever the window. Callbacks run outside of every lock, may call back into the breaker,
// and may throw; each option says what then happens.
class CircuitBreaker {
 public:
  using Options = CircuitBreakerOptions;
  static constexpr std::int64_t kMaxBuckets = 10'000;
  static constexpr std::int64_t kMaxLastCalls = 100'000;

  // Throws std::invalid_argument with the text of Validate.
  explicit CircuitBreaker(Options options);
  CircuitBreaker(const CircuitBreaker&) = delete;
  CircuitBreaker& operator=(const CircuitBreaker&) = delete;
  ~CircuitBreaker();

  // Replaces all options while calls run. State, mode and counts continue. The new rules apply from
  // the next outcome, and the new times and numbers from the next opening, probe or step of the
  // ramp: an open breaker stays open until the time already set, and probes in flight keep their
  // leases.
  //
  // If the way of counting changes (interval, bucket_period, last_calls, slow_call, or whether a
  // rule needs slow_call), the breaker drops what it has counted, except how many failures came in
  // a row while it was closed, and ignores the outcomes of calls in flight; a half-open breaker
  // starts again with its probes, also from the ramp.
  //
  // Name and clock cannot change: leave them out, or pass the present ones. kInvalidArgument, with
  // nothing changed, for another name or clock and for options that Validate refuses.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // The present options. To change one option, change a copy of these.
  Options options() const;
  // Called by UpdateAll (stack/update_all.h).
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options);

  // Runs f() if the breaker admits the call, and counts the outcome as the option `classify` says.
  // A rejection is returned as f's result type (ResultTraits::FromStatus). An exception of f counts
  // as a failure and passes to the caller.
  template <class F>
  auto Execute(F&& f) -> std::invoke_result_t<F>;

  // The same in two steps: the caller runs the call and reports to the ticket. kUnavailable if the
  // breaker is open, or half-open without a place for this call; RejectionOf(status)->kind says
  // which. retry_at() says when an open breaker admits a call again.
  [[nodiscard]] absl::StatusOr<Ticket> Admit() { return AdmitAt(Now()); }
  [[nodiscard]] absl::StatusOr<Ticket> AdmitAt(TimePoint now);

  BreakerState state() { return StateAt(Now()); }
  BreakerState StateAt(TimePoint now);
  // Since the last change of state; while closed, of the window.
  BreakerCounts counts() { return CountsAt(Now()); }
  BreakerCounts CountsAt(TimePoint now);

  // The first moment at which an open breaker admits a probe; it may be past, since the breaker
  // changes its state only when it is next used. TimePoint::max() if it is open by
  // SetMode(kForcedOpen); TimePoint::min() if it is not open, or is in kMetricsOnly.
  TimePoint retry_at() const { return lane_.retry_at(); }

  // Why and when the breaker last opened. nullopt if it has not opened since it was made, reset or
  // restored.
  std::optional<Trip> last_trip() const;

  // Overrides the breaker by hand, or ends that: see BreakerMode. From kForcedOpen to kAutomatic or
  // kMetricsOnly the breaker becomes half-open, so that probes decide. kForcedClosed closes it; one
  // that was closed keeps its counts, then and when it leaves that mode.
  void SetMode(BreakerMode mode) { SetModeAt(Now(), mode); }
  void SetModeAt(TimePoint now, BreakerMode mode);
  BreakerMode mode() const;
  // Makes the breaker as new: kAutomatic, closed, nothing counted. Outcomes of calls in flight are
  // ignored.
  void Reset() { ResetAt(Now()); }
  void ResetAt(TimePoint now);

  // Carries state, mode and the number of openings, but no counts, to the next process. `elapsed`
  // is the time since the snapshot was taken, by the wall clock. An open breaker stays open for the
  // rest of its time, at most `timeout`, or at most a day with `open_time`; a half-open breaker
  // begins to probe again. kInvalidArgument, with nothing changed, for a snapshot that Validate
  // refuses.
  BreakerSnapshot Snapshot() { return SnapshotAt(Now()); }
  BreakerSnapshot SnapshotAt(TimePoint now);
  absl::Status Restore(const BreakerSnapshot& snapshot, TimeSpan elapsed = Duration::zero()) {
    return RestoreAt(Now(), snapshot, elapsed);
  }
  absl::Status RestoreAt(TimePoint now, const BreakerSnapshot& snapshot,
                         TimeSpan elapsed = Duration::zero());

  // What `classify` says of a status.
  Outcome Classify(const absl::Status& status) const;

  const std::string& name() const { return name_; }
  // For Stack::Describe, Validate and UpdateAll: a CircuitBreak with this breaker.
  PolicyInfo Info(const internal::Changes& changes = {}) const;

  // Tells the metrics holdfast.breaker.*: see docs/circuit_breakers.md. The counters begin when the
  // breaker is made, and neither Reset nor Restore nor Update lowers them. The gauges tell what the
  // breaker was when it was last used: one whose open time is over is open until somebody uses it.
  void Collect(Collector& collector) const;

  // From now on `observer` is told each change of state, in the thread that makes it, outside of
  // every lock, and in order (EventKind::kBreakerChanged, observer.h). Stack::Observed attaches to
  // the breakers of the stack. An observer that is attached twice is told once. Throws
  // std::invalid_argument for a null one.
  void Observe(std::shared_ptr<Observer> observer) const;

  // For stacks: see internal/object_clock.h.
  void BindClock(internal::ClockBinder& binder, std::string_view policy) {
    binder.Bind(policy, name_, clock_);
  }

 private:
  friend struct internal::BreakerTicketDeleter;
  friend class internal::CircuitBreakAdmission;
  friend class internal::LiveBreakers;
  friend class Ticket;

  class Turn;
  // Why a call is rejected or, in kMetricsOnly, would be.
  struct Refusal {
    const absl::Status* status = nullptr;  // null: admitted
    TimePoint retry_at = TimePoint::min();
    Duration spread{0};  // the calls that retry then should spread over this time
    bool dry_run = false;
  };

  TimePoint Now() const { return clock_.Now(); }

  // False if the call needs the mutex: see AdmitOtherwise. `ticket` is empty and is filled in
  // place, because a copy would cost as much as the admission.
  [[nodiscard]] bool TryAdmitClosed(TimePoint now, Ticket& ticket) {
    if (!lane_.TryAdmit(now, ticket.breaker_.get_deleter().era)) return false;
    ticket.Fill(this, now);
    return true;
  }
  // `longest`: how long the call may take, Duration::max() where nothing bounds it.
  [[nodiscard]] Refusal AdmitOtherwise(TimePoint now, Ticket& ticket,
                                       Duration longest = Duration::zero());

  // True if the success was counted without the time at which it came: there is no window of time
  // and no slow_call. The ticket is empty then.
  [[nodiscard]] ABSL_ATTRIBUTE_ALWAYS_INLINE bool TrySucceedUntimed(Ticket& ticket) {
    if (needs_end_time_.load(std::memory_order_relaxed)) return false;
    if (!lane_.TrySucceed(TimePoint::min(), ticket.admission().era)) return false;
    ticket.Take();
    return true;
  }
  // If there is no memory for more, the outcome counts in the totals only.
  void Record(const internal::BreakerTicketDeleter& admission, TimePoint now,
              Outcome outcome) noexcept {
    if (outcome != Outcome::kSuccess || IsSlow(admission, now) ||
        !lane_.TrySucceed(now, admission.era)) {
      RecordOtherwise(admission, now, outcome);
    }
  }
  void RecordOtherwise(const internal::BreakerTicketDeleter& admission, TimePoint now,
                       Outcome outcome) noexcept;
  void RecordLocked(const internal::BreakerTicketDeleter& admission, TimePoint now,
                    Outcome outcome);
  bool IsSlow(const internal::BreakerTicketDeleter& admission, TimePoint now) const {
    const Duration slow_call(slow_call_.load(std::memory_order_relaxed));
    return slow_call > Duration::zero() && SaturatingSub(now, admission.at) > slow_call;
  }
  Outcome ClassifyOtherwise(const absl::Status& status) const;
  void ReadByCalls(const Options& options);

  const std::string name_;
  std::shared_ptr<internal::Watches> watches_;  // of a key's breaker: those of all keys
  std::size_t key_size_ = 0;                    // of a key's breaker: so much of the name's end
  // Replaced with the mutex held, so a holder of the mutex needs no pin while it holds it.
  internal::Versions<internal::BreakerPlan> plan_;
  // The options that an admitted call reads. Relaxed suffices: those that say how to count change
  // before the lane opens (release) for an era that counts so, and a call that counts in that era
  // has read it (acquire); `classifies_` may change a moment sooner or later.
  std::atomic<bool> needs_end_time_;
  std::atomic<Duration::rep> slow_call_;
  std::atomic<bool> classifies_;
  const internal::StripedStatus open_;  // the two rejections
  const absl::Status no_place_;

  internal::BreakerLane lane_;
  mutable std::mutex mutex_;
  const std::unique_ptr<internal::BreakerMachine> machine_;  // under the mutex
  bool telling_ = false;  // a thread is in on_state_change; under the mutex
  internal::SuccessTimes success_times_;
  internal::ObjectClock clock_;
};

inline void Ticket::Fill(CircuitBreaker* breaker, TimePoint now) {
  Take();  // nothing, which tells the compiler that there is nothing to delete
  breaker_.reset(breaker);
  breaker_.get_deleter().at = now;
}

inline void Ticket::DoneAt(TimePoint now, Outcome outcome) noexcept {
  CircuitBreaker* const breaker = Take();
  if (breaker != nullptr) breaker->Record(admission(), now, outcome);
}

inline void Ticket::Done(Outcome outcome) noexcept {
  if (breaker_ == nullptr) return;
  if (outcome == Outcome::kSuccess && breaker_->TrySucceedUntimed(*this)) return;
  DoneAt(breaker_->Now(), outcome);
}

inline absl::StatusOr<Ticket> CircuitBreaker::AdmitAt(TimePoint now) {
  if (now < lane_.retry_at()) {
    lane_.CountRefusal();
    return *open_;
  }
  absl::StatusOr<Ticket> ticket{Ticket()};
  if (TryAdmitClosed(now, *ticket)) return ticket;
  const Refusal refusal = AdmitOtherwise(now, *ticket);
  if (refusal.status != nullptr && !refusal.dry_run) ticket = *refusal.status;
  return ticket;
}

inline Outcome CircuitBreaker::Classify(const absl::Status& status) const {
  const bool as_given = classifies_.load(std::memory_order_relaxed);
  return ABSL_PREDICT_TRUE(!as_given && status.ok()) ? Outcome::kSuccess
                                                     : ClassifyOtherwise(status);
}

template <class F>
auto CircuitBreaker::Execute(F&& f) -> std::invoke_result_t<F> {
  using R = std::invoke_result_t<F>;
  static_assert(HasResultTraits<R>, "specialize holdfast::ResultTraits for what f returns");
  absl::StatusOr<Ticket> ticket = Admit();
  if (!ticket.ok()) return ResultTraits<R>::FromStatus(ticket.status());
  const auto run = [&]() -> R {
    try {
      return std::forward<F>(f)();
    } catch (...) {
      ticket->Done(Outcome::kFailure);
      throw;
    }
  };
  R result = run();
  ticket->Done(Classify(ResultTraits<R>::StatusOf(result)));
  return result;
}

}  // namespace holdfast

#endif  // HOLDFAST_BREAKER_CIRCUIT_BREAKER_H_
