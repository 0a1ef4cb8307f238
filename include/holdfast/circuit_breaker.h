// A CircuitBreaker stops asking a service that keeps failing, and finds out when it is back.
//
//   holdfast::CircuitBreaker breaker({.name = "orders", .timeout = 30s});
//   absl::StatusOr<Order> order = breaker.Execute([&] { return client.GetOrder(id); });
//
// Closed, it admits all and counts; when ready_to_trip says so it opens and refuses all for
// `timeout`; then, half-open, it admits `max_requests` probes, closes when so many have succeeded
// and opens again when one fails or does not come back. Most callers want CircuitBreak
// (circuit_break.h) in a stack.
#ifndef HOLDFAST_CIRCUIT_BREAKER_H_
#define HOLDFAST_CIRCUIT_BREAKER_H_

#include <absl/base/optimization.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "holdfast/internal/breaker_window.h"
#include "holdfast/rejection.h"
#include "holdfast/result.h"
#include "holdfast/time.h"

namespace holdfast {

enum class BreakerState { kClosed, kHalfOpen, kOpen };
enum class Outcome { kSuccess, kFailure, kIgnored };

std::string_view ToString(BreakerState state);

class CircuitBreaker;

// Proof of admission; move-only. The first Done counts; destroyed without one it is neutral: it
// counts as ignored and its place is free again. Its breaker must outlive it.
class [[nodiscard]] Ticket {
 public:
  Ticket() = default;  // of no breaker
  Ticket(Ticket&& other) noexcept
      : breaker_(std::exchange(other.breaker_, nullptr)),
        generation_(other.generation_),
        admitted_at_(other.admitted_at_),
        age_(other.age_) {}
  Ticket& operator=(Ticket&& other) noexcept {
    if (this != &other) {
      Drop();
      breaker_ = std::exchange(other.breaker_, nullptr);
      generation_ = other.generation_;
      admitted_at_ = other.admitted_at_;
      age_ = other.age_;
    }
    return *this;
  }
  ~Ticket() { Drop(); }

  // Reports how it went, to the generation that admitted it: if the breaker has moved on since, the
  // outcome is dropped.
  void Done(Outcome outcome);
  void DoneAt(TimePoint now, Outcome outcome);

 private:
  friend class CircuitBreak;
  friend class CircuitBreaker;
  Ticket(CircuitBreaker* breaker, std::uint64_t generation, TimePoint admitted_at, std::int64_t age)
      : breaker_(breaker), generation_(generation), admitted_at_(admitted_at), age_(age) {}

  void Drop() {
    if (breaker_ != nullptr) DoneAt(TimePoint::min(), Outcome::kIgnored);
  }

  CircuitBreaker* breaker_ = nullptr;
  std::uint64_t generation_ = 0;
  TimePoint admitted_at_ = {};
  std::int64_t age_ = 0;  // of the rolling window when it was admitted
};

// The state machine of gobreaker v2, with its transitions made when somebody looks (at the first
// admission, outcome or question after their time), and generations: every change of state and
// every renewal of a fixed window begins one, and an outcome from an older one is dropped.
//
// Thread-safe. Closed, with no rolling window and no failure just before, it admits and counts a
// success without a lock; open, it refuses without one. Callbacks run outside of every lock, may
// call back into the breaker, and may throw: on_state_change to no effect, ready_to_trip as if it
// had said no.
class CircuitBreaker {
 public:
  struct Options {
    std::string name = {};
    std::int64_t max_requests = 1;  // probes at once while half-open, and successes to close; >= 1
    Duration interval{0};           // while closed, counts are cleared every interval; 0: never
    Duration bucket_period{0};      // > 0: the interval, rounded up to whole periods, is a rolling
                                    // window of that many buckets, at most kMaxBuckets
    // How long it stays open, and how long the last probe may take before it has failed; > 0.
    Duration timeout = std::chrono::seconds(60);
    // Asked after each failure while closed; null: more than five failures in a row.
    std::function<bool(const BreakerCounts&)> ready_to_trip = {};
    // Told of each change, once and in order; by the thread that made it, or by one that is still
    // telling of an earlier change.
    std::function<void(std::string_view name, BreakerState from, BreakerState to)> on_state_change =
        {};
    // Null: OK is a success, rejections and kCancelled are ignored, everything else is a failure.
    std::function<Outcome(const absl::Status&)> classify = {};
    Duration slow_call{0};   // > 0: longer calls are counted as slow
    Clock* clock = nullptr;  // of the methods without At; must outlive the breaker
  };
  static constexpr std::int64_t kMaxBuckets = 10'000;

  // Throws std::invalid_argument with the text of Validate.
  explicit CircuitBreaker(Options options);
  CircuitBreaker(const CircuitBreaker&) = delete;
  CircuitBreaker& operator=(const CircuitBreaker&) = delete;

  // Runs f() if admitted and counts how it went, by `classify`; a refusal comes as f's own result
  // type. An exception is a failure and passes on.
  template <class F>
  auto Execute(F&& f) -> std::invoke_result_t<F>;

  // In two steps: kUnavailable when open, or half-open with all probes out. retry_at() then says
  // when to ask again.
  absl::StatusOr<Ticket> Admit() { return AdmitAt(Now()); }
  absl::StatusOr<Ticket> AdmitAt(TimePoint now) {
    Ticket ticket;
    if (TryAdmitClosed(now, ticket)) return ticket;
    return AdmitOtherwise(now);
  }

  BreakerState state() { return StateAt(Now()); }
  BreakerState StateAt(TimePoint now);
  BreakerCounts counts() { return CountsAt(Now()); }  // of the present generation and window
  BreakerCounts CountsAt(TimePoint now);

  // The first moment at which an open breaker admits a probe; TimePoint::min() if it is not open.
  TimePoint retry_at() const {
    const TimePoint until = open_until();
    return until == TimePoint::min() ? until : SaturatingAdd(until, Duration(1));
  }

  Outcome Classify(const absl::Status& status) const;

  const std::string& name() const { return options_.name; }

 private:
  friend class CircuitBreak;
  friend class Ticket;

  struct Change {
    BreakerState from;
    BreakerState to;
  };

  // Everything lives under `mutex_`, except that while it is closed admissions and successes are
  // counted in two words without it. Each word is a count and, in its lowest bit, whether that is
  // allowed. `admitted_` allows it (kFast) while closed with no rolling window; `succeeded_`
  // forbids it (kSlow) otherwise, and also while a run of failures stands that a success has to
  // end.
  //
  // A new generation (BeginGeneration, under the mutex) first forbids both, then changes
  // generation_ and expiry_, then lets the words go on from a value that they never had. So a
  // compare-and-swap that succeeds proves that the generation that was read after the word (with
  // acquire, against the release of the change) still stands. What the words counted is added to
  // counts_ by Fold, under the mutex.
  static constexpr std::uint64_t kFast = 1;
  static constexpr std::uint64_t kSlow = 1;
  static constexpr std::uint64_t kOne = 2;

  TimePoint Now() const { return internal::ReadClock(options_.clock); }
  TimePoint open_until() const {
    return TimePoint(Duration(open_until_.load(std::memory_order_acquire)));
  }

  // False if it takes more than that. `ticket` is an empty one, filled where it lies: to copy it
  // would cost as much as to admit.
  bool TryAdmitClosed(TimePoint now, Ticket& ticket) {
    std::uint64_t admitted = admitted_.load(std::memory_order_acquire);
    while ((admitted & kFast) != 0) {
      if (now.time_since_epoch().count() > expiry_.load(std::memory_order_acquire)) return false;
      const std::uint64_t generation = generation_.load(std::memory_order_acquire);
      if (admitted_.compare_exchange_weak(admitted, admitted + kOne, std::memory_order_acq_rel,
                                          std::memory_order_acquire)) {
        ticket.breaker_ = this;
        ticket.generation_ = generation;
        ticket.admitted_at_ = now;
        return true;
      }
    }
    return false;
  }

  // True if the success was counted, or dropped.
  bool TrySucceedClosed(const Ticket& ticket, TimePoint now) {
    if (now.time_since_epoch().count() > expiry_.load(std::memory_order_acquire)) return false;
    std::uint64_t succeeded = succeeded_.load(std::memory_order_acquire);
    while ((succeeded & kSlow) == 0) {
      if (generation_.load(std::memory_order_acquire) != ticket.generation_) return true;
      if (succeeded_.compare_exchange_weak(succeeded, succeeded + kOne, std::memory_order_acq_rel,
                                           std::memory_order_acquire)) {
        return true;
      }
    }
    return false;
  }

  // The same, where it does not matter when: there is no window, and no call is slow.
  bool TrySucceedUntimed(Ticket& ticket) {
    if (needs_end_time_ || !TrySucceedClosed(ticket, TimePoint::min())) return false;
    ticket.breaker_ = nullptr;
    return true;
  }

  bool IsSlow(const Ticket& ticket, TimePoint now) const {
    return options_.slow_call > Duration::zero() &&
           SaturatingSub(now, ticket.admitted_at_) > options_.slow_call;
  }

  absl::StatusOr<Ticket> AdmitOtherwise(TimePoint now);
  void Record(const Ticket& ticket, TimePoint now, Outcome outcome);
  void RecordSlowly(const Ticket& ticket, TimePoint now, Outcome outcome);

  // With the mutex held.
  void Advance(TimePoint now);  // the changes that time brings
  void BeginGeneration(BreakerState state, TimePoint now);
  void Fold();
  bool Count(const Ticket& ticket, TimePoint now, Outcome outcome);
  bool Rolling() const { return window_.size() > 1; }

  bool ReadyToTrip(const BreakerCounts& counts) const;
  void TellChanges();

  Options options_;
  bool needs_end_time_;
  absl::Status open_;  // the refusals
  absl::Status too_many_probes_;

  std::atomic<std::uint64_t> admitted_{0};
  std::atomic<std::uint64_t> succeeded_{kSlow};
  std::atomic<std::uint64_t> generation_{0};
  // While closed, the end of the window; half-open, the time at which probes that are still out
  // have failed; max: none.
  std::atomic<TimePoint::rep> expiry_;
  std::atomic<TimePoint::rep> open_until_;  // min: not open

  std::mutex mutex_;
  BreakerState state_ = BreakerState::kClosed;
  BreakerCounts counts_;  // without what the words have counted since the last Fold
  std::uint64_t folded_admitted_ = 0;
  std::uint64_t folded_succeeded_ = 0;
  std::int64_t probes_ = 0;         // in flight while half-open
  internal::BreakerWindow window_;  // of one bucket unless it is rolling
  std::deque<Change> untold_;
  bool telling_ = false;
};

absl::Status Validate(const CircuitBreaker::Options& options);

inline void Ticket::DoneAt(TimePoint now, Outcome outcome) {
  if (CircuitBreaker* breaker = std::exchange(breaker_, nullptr)) {
    breaker->Record(*this, now, outcome);
  }
}

inline void Ticket::Done(Outcome outcome) {
  if (breaker_ != nullptr) DoneAt(breaker_->Now(), outcome);
}

inline void CircuitBreaker::Record(const Ticket& ticket, TimePoint now, Outcome outcome) {
  if (outcome == Outcome::kSuccess && !IsSlow(ticket, now) && TrySucceedClosed(ticket, now)) return;
  RecordSlowly(ticket, now, outcome);
}

inline Outcome CircuitBreaker::Classify(const absl::Status& status) const {
  if (ABSL_PREDICT_FALSE(options_.classify != nullptr)) return options_.classify(status);
  if (ABSL_PREDICT_TRUE(status.ok())) return Outcome::kSuccess;
  return status.code() == absl::StatusCode::kCancelled || RejectionOf(status) ? Outcome::kIgnored
                                                                              : Outcome::kFailure;
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

#endif  // HOLDFAST_CIRCUIT_BREAKER_H_
