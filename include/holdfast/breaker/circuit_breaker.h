// A CircuitBreaker stops asking a service that keeps failing, and finds out when it is back.
//
//   holdfast::CircuitBreaker breaker({.name = "orders", .timeout = 30s});
//   absl::StatusOr<Order> order = breaker.Execute([&] { return client.GetOrder(id); });
//
// Closed, it admits all and counts; when one of its rules says so it opens and refuses all for
// `timeout`; then, half-open, it admits `max_requests` probes, closes when so many have succeeded
// and opens again when one fails or does not come back. Most callers want CircuitBreak
// (circuit_break.h) in a stack.
#ifndef HOLDFAST_BREAKER_CIRCUIT_BREAKER_H_
#define HOLDFAST_BREAKER_CIRCUIT_BREAKER_H_

#include <absl/base/optimization.h>
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
#include <type_traits>
#include <utility>
#include <vector>

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
#include "holdfast/breaker/internal/breaker_lane.h"
#include "holdfast/breaker/trip_rule.h"
#include "holdfast/call/policy_info.h"

namespace holdfast {

class CircuitBreaker;

namespace internal {
class BreakerMachine;
class CircuitBreakAdmission;
struct BreakerPlan;
}  // namespace internal

// Proof of admission; move-only. The first Done counts; destroyed without one it is neutral: it
// counts as ignored and its place is free again. Its breaker must outlive it.
class [[nodiscard]] Ticket {
 public:
  Ticket() = default;  // of no breaker
  Ticket(Ticket&& other) noexcept
      : breaker_(std::exchange(other.breaker_, nullptr)),
        era_(other.era_),
        admitted_at_(other.admitted_at_) {}
  Ticket& operator=(Ticket&& other) noexcept {
    if (this != &other) {
      Drop();
      breaker_ = std::exchange(other.breaker_, nullptr);
      era_ = other.era_;
      admitted_at_ = other.admitted_at_;
    }
    return *this;
  }
  ~Ticket() { Drop(); }

  // Reports how it went, to the generation that admitted it: if the breaker has moved on since, the
  // outcome is dropped; and where there is no memory to count it, it is as if the call had never
  // come back.
  void Done(Outcome outcome) noexcept;
  void DoneAt(TimePoint now, Outcome outcome) noexcept;

 private:
  friend class CircuitBreaker;
  friend class internal::CircuitBreakAdmission;

  void Drop() {
    if (breaker_ != nullptr) DoneAt(TimePoint::min(), Outcome::kIgnored);
  }

  CircuitBreaker* breaker_ = nullptr;
  std::uint64_t era_ = 0;  // see BreakerLane; of a probe, its own number
  TimePoint admitted_at_ = {};
};

// The state machine of gobreaker v2, with its transitions made when somebody looks (at the first
// admission, outcome or question after their time), and generations: every change of state and
// every renewal of a fixed window begins one, and an outcome from an older one is dropped.
//
// Thread-safe. A call that is admitted and succeeds while it is closed takes no lock, whatever the
// window, but for the first in each fixed window or bucket of a rolling one, the first one or two
// in each slow_call if a rule needs that, calls that end more than a bucket or such a time after
// the one they began in, and slow ones; nor does a refusal while it is open. All else takes a mutex
// for some nanoseconds: O(1) a call, amortised, whatever the window. Callbacks run outside of every
// lock, may call back into the breaker, and may throw.
class CircuitBreaker {
 public:
  struct Options {
    std::string name = {};
    std::int64_t max_requests = 1;  // probes at once while half-open, and successes to close; >= 1

    // What is counted while closed: all since it closed, unless one of these is given.
    // Whatever it is, a run of failures goes on from one window to the next.
    TimeSpan interval{0};         // > 0: counts are cleared every interval, and what calls come to
                                  // that began before is dropped: let it be longer than they take
    TimeSpan bucket_period{0};    // > 0: the interval, rounded up to whole periods, is a rolling
                                  // window of that many buckets, at most kMaxBuckets, of 80 bytes.
                                  // An outcome belongs to the bucket that its call began in, or to
                                  // none; in the run it counts all the same.
    std::int64_t last_calls = 0;  // > 0: the last so many, at most kMaxLastCalls, of 8 bytes, that
                                  // succeeded or failed; `requests` are those and the ones that
                                  // are still out

    // How long it stays open; > 0.
    TimeSpan timeout = std::chrono::seconds(60);
    // The same for its opening number 1, 2, ... since it was last closed: see BackoffOpenTime.
    // Asked once for each; where it throws, `timeout` holds, and so it does until the answer is
    // there. Less than a nanosecond counts as one.
    std::function<TimeSpan(std::uint64_t openings)> open_time = {};
    // How long a probe may take, from its admission, before it has failed. 0: by hand `timeout`,
    // and in a stack as long as the Timeouts below and the deadline let it take or, where nothing
    // does, a minute; never less than `timeout`. One that is shorter than a call takes opens the
    // breaker of a healthy service.
    TimeSpan probe_lease{0};
    // After its probes it admits these shares of calls, in (0, 1], each for `ramp_step` and until a
    // call has succeeded meanwhile, before it closes. So long it is half-open, its rules hold, and
    // it also opens again if more of those calls have failed than succeeded. Of each step's calls
    // the first is admitted, and another one for each that is ignored. Empty: it closes at once.
    std::vector<double> ramp = {};
    TimeSpan ramp_step = std::chrono::seconds(10);

    // Asked as a rule is (see trip_rule.h); null: no such rule.
    std::function<bool(const BreakerCounts&)> ready_to_trip = {};
    // It opens when any says so. Neither these nor ready_to_trip: more than five failures in a row.
    std::vector<TripRule> rules = {};
    // > 0: calls that take longer, from their admission, are counted as slow; and if there is a
    // SlowCallRate, slow probes fail, and calls that are out for longer are counted as well: see
    // there. 0: no call is slow.
    TimeSpan slow_call{0};

    // Told of each change, once and in order; by the thread that made it, or by one that is still
    // telling of an earlier change: so it should be quick, as it is a caller's own thread that it
    // holds up. What it throws is dropped.
    std::function<void(std::string_view name, BreakerState from, BreakerState to)> on_state_change =
        {};
    // Null: OK is a success, rejections and kCancelled are ignored, everything else is a failure.
    // What it throws passes to the caller, and the call counts as ignored.
    std::function<Outcome(const absl::Status&)> classify = {};
    Clock* clock = nullptr;  // of the methods without At; must outlive the breaker
  };
  static constexpr std::int64_t kMaxBuckets = 10'000;
  static constexpr std::int64_t kMaxLastCalls = 100'000;

  // Throws std::invalid_argument with the text of Validate.
  explicit CircuitBreaker(Options options);
  CircuitBreaker(const CircuitBreaker&) = delete;
  CircuitBreaker& operator=(const CircuitBreaker&) = delete;
  ~CircuitBreaker();

  // Replaces the options, all of them, while calls run. State, mode, counts and the run of failures
  // go on, and the new rules, times and probes hold from the next outcome, opening, probe or step
  // of the ramp on: an open breaker stays open until the time that it was given, and probes that
  // are out keep their leases. Only where it counts otherwise, because interval, bucket_period,
  // last_calls, slow_call, or whether a rule needs slow_call has changed, what was counted is
  // dropped, but for the run of failures of a closed breaker, and with it what calls in flight come
  // to; a half-open one begins to probe anew. Name and clock stay: left out they are as before, and
  // others are refused. kInvalidArgument, with nothing changed, for that and for what Validate
  // refuses.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // Those of now: to change one, change a copy of them.
  Options options() const;
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options);

  // Runs f() if admitted and counts how it went, by `classify`; a refusal comes as f's own result
  // type. An exception is a failure and passes on.
  template <class F>
  auto Execute(F&& f) -> std::invoke_result_t<F>;

  // In two steps: kUnavailable when open, or half-open with no place for it. retry_at() then says
  // when to ask again.
  absl::StatusOr<Ticket> Admit() { return AdmitAt(Now()); }
  absl::StatusOr<Ticket> AdmitAt(TimePoint now);

  BreakerState state() { return StateAt(Now()); }
  BreakerState StateAt(TimePoint now);
  BreakerCounts counts() { return CountsAt(Now()); }  // of the present generation and window
  BreakerCounts CountsAt(TimePoint now);

  // The first moment at which an open breaker admits a probe: TimePoint::max() if it is open by
  // hand, and TimePoint::min() if it refuses nobody: not open, or in kMetricsOnly.
  TimePoint retry_at() const { return lane_.retry_at(); }

  // Why it opened last; nullopt if it has not, or was reset or restored since.
  std::optional<Trip> last_trip() const;

  // By hand. From kForcedOpen it goes on half-open, so that probes decide; to and from
  // kForcedClosed a closed breaker goes on as it is, with what it has counted.
  void SetMode(BreakerMode mode) { SetModeAt(Now(), mode); }
  void SetModeAt(TimePoint now, BreakerMode mode);
  BreakerMode mode() const;
  // As new: automatic, closed, nothing counted. What calls in flight come to is dropped.
  void Reset() { ResetAt(Now()); }
  void ResetAt(TimePoint now);

  // For the next process. Restored `elapsed` after the snapshot was taken, by the wall clock, it
  // stays open for the rest of its time, though no longer than `timeout`, or with `open_time` a
  // day; half-open it begins to probe anew. kInvalidArgument, with nothing changed, for a snapshot
  // that Validate refuses.
  BreakerSnapshot Snapshot() { return SnapshotAt(Now()); }
  BreakerSnapshot SnapshotAt(TimePoint now);
  absl::Status Restore(const BreakerSnapshot& snapshot, TimeSpan elapsed = Duration::zero()) {
    return RestoreAt(Now(), snapshot, elapsed);
  }
  absl::Status RestoreAt(TimePoint now, const BreakerSnapshot& snapshot,
                         TimeSpan elapsed = Duration::zero());

  Outcome Classify(const absl::Status& status) const;

  const std::string& name() const { return name_; }
  PolicyInfo Info(const internal::Changes& changes = {}) const;  // of a CircuitBreak with it

  // For stacks: see internal/object_clock.h.
  void BindClock(internal::ClockBinder& binder, std::string_view policy) {
    binder.Bind(policy, name_, clock_);
  }

 private:
  friend class internal::CircuitBreakAdmission;
  friend class Ticket;

  class Turn;
  // Of who is not admitted, or in kMetricsOnly would not be.
  struct Refusal {
    const absl::Status* status = nullptr;  // null: admitted
    TimePoint retry_at = TimePoint::min();
    Duration spread{0};  // of those who come back then
    bool dry_run = false;
  };

  TimePoint Now() const { return clock_.Now(); }

  // False if it takes more than that. `ticket` is an empty one, filled where it lies: to copy it
  // would cost as much as to admit.
  bool TryAdmitClosed(TimePoint now, Ticket& ticket) {
    if (!lane_.TryAdmit(now, ticket.era_)) return false;
    ticket.breaker_ = this;
    ticket.admitted_at_ = now;
    return true;
  }
  // `longest`: how long the call may take, Duration::max() where nothing bounds it.
  Refusal AdmitOtherwise(TimePoint now, Ticket& ticket, Duration longest = Duration::zero());

  // True if the success was counted where it does not matter when it came: there is no window of
  // time, and no call is slow.
  bool TrySucceedUntimed(Ticket& ticket) {
    if (needs_end_time_.load(std::memory_order_relaxed)) return false;
    if (!lane_.TrySucceed(TimePoint::min(), ticket.era_)) return false;
    ticket.breaker_ = nullptr;
    return true;
  }
  void Record(const Ticket& ticket, TimePoint now, Outcome outcome) {
    if (outcome != Outcome::kSuccess || IsSlow(ticket, now) ||
        !lane_.TrySucceed(now, ticket.era_)) {
      RecordOtherwise(ticket, now, outcome);
    }
  }
  void RecordOtherwise(const Ticket& ticket, TimePoint now, Outcome outcome);
  bool IsSlow(const Ticket& ticket, TimePoint now) const {
    const Duration slow_call(slow_call_.load(std::memory_order_relaxed));
    return slow_call > Duration::zero() && SaturatingSub(now, ticket.admitted_at_) > slow_call;
  }
  Outcome ClassifyOtherwise(const absl::Status& status) const;
  void ReadByCalls(const Options& options);

  const std::string name_;
  // Replaced with the mutex held; so who has it needs no pin but to let go of it.
  internal::Versions<internal::BreakerPlan> plan_;
  // Of the options, what calls read that are let through. Relaxed: those that say how to count
  // change before the lane is opened (release) for an era that counts so, and who counts in it has
  // seen that (acquire); and how to classify may change a moment sooner or later.
  std::atomic<bool> needs_end_time_;
  std::atomic<Duration::rep> slow_call_;
  std::atomic<bool> classifies_;
  const internal::StripedStatus open_;  // the refusals
  const absl::Status no_place_;

  internal::BreakerLane lane_;
  mutable std::mutex mutex_;
  const std::unique_ptr<internal::BreakerMachine> machine_;  // under the mutex
  bool telling_ = false;                                     // somebody is; under the mutex
  internal::SuccessTimes success_times_;
  internal::ObjectClock clock_;
};

absl::Status Validate(const CircuitBreaker::Options& options);

inline void Ticket::DoneAt(TimePoint now, Outcome outcome) noexcept {
  CircuitBreaker* const breaker = std::exchange(breaker_, nullptr);
  if (breaker == nullptr) return;
  try {
    breaker->Record(*this, now, outcome);
  } catch (...) {  // NOLINT(bugprone-empty-catch): for want of memory
  }
}

inline void Ticket::Done(Outcome outcome) noexcept {
  if (breaker_ == nullptr) return;
  if (outcome == Outcome::kSuccess && breaker_->TrySucceedUntimed(*this)) return;
  DoneAt(breaker_->Now(), outcome);
}

inline absl::StatusOr<Ticket> CircuitBreaker::AdmitAt(TimePoint now) {
  if (now < lane_.retry_at()) return *open_;
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
  static_assert(HasResultTraits<R>, "specialise holdfast::ResultTraits for what f returns");
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
