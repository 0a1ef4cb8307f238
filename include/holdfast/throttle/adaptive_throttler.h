// An AdaptiveThrottler does adaptive throttling at the client: while a service rejects calls
// because it is overloaded, the throttler rejects a share of the calls locally, lowest priority
// first.
//
//   holdfast::AdaptiveThrottler throttler({.name = "orders"});
//   if (auto ticket = throttler.Admit(holdfast::Priority::kLow); ticket.ok()) {
//     absl::StatusOr<Order> order = client.GetOrder(id);
//     ticket->Done(throttler.Classify(order.status()));
//   }
//
// Most callers want AdaptiveThrottle (adaptive_throttle.h) in a stack.
#ifndef HOLDFAST_THROTTLE_ADAPTIVE_THROTTLER_H_
#define HOLDFAST_THROTTLE_ADAPTIVE_THROTTLER_H_

#include <absl/base/optimization.h>
#include <absl/random/bit_gen_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <array>
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
#include <vector>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/striped_status.h"
#include "holdfast/base/internal/success_times.h"
#include "holdfast/base/internal/versions.h"
#include "holdfast/base/priority.h"
#include "holdfast/base/time.h"
#include "holdfast/call/collector.h"
#include "holdfast/call/outcome.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/throttle/internal/throttle_window.h"

namespace holdfast {

class AdaptiveThrottler;

namespace internal {
class ThrottleAdmission;

// As a deleter, it leaves the call uncounted.
struct ThrottleTicketDeleter {
  void operator()(AdaptiveThrottler*) const noexcept {}

  Priority priority = Priority::kNormal;
};
}  // namespace internal

// The counts of a throttler's window. Requests that were neither accepted nor refused are those
// that the backend did not accept.
struct AdaptiveThrottlerStats {
  std::uint64_t requests = 0;  // all, including those that the throttler refused
  std::uint64_t accepts = 0;   // accepted by the backend
  std::uint64_t refused = 0;   // refused by the throttler
  double rejection = 0;        // the share of all calls that it refuses now, 0 to 1
  std::array<double, kPriorities> rejection_of = {};        // the share for each priority
  std::array<std::uint64_t, kPriorities> requests_of = {};  // the requests of each priority
};

// The client-side throttling of the Google SRE book ("Handling Overload", equation 21-1). With the
// counts of the last `window`, it rejects a call with the probability
//
//   P = max(0, (requests - K * accepts) / (requests + 1))
//
// So a backend gets at most about K times the calls that it accepts, and none is rejected while it
// accepts at least one in K.
//
// What counts. `requests` are all calls, including those rejected here: without them the backend
// would look healthier than it is, and would get more than it can take. A call counts when it is
// known whether the backend accepted it, or when it is rejected here; calls in flight do not count
// yet, and calls that are ignored or whose ticket is dropped never do.
//
// Priorities. The lowest priority is rejected first, the next one as far as that is not enough.
// With m the share of a priority among the window's requests, and L the share of all lower ones, a
// call is rejected with the probability (P - L) / m, held within 0 and 1. The total is P; where all
// calls have one priority, each is rejected with P. While all low ones are rejected, calls of
// higher priority find out whether the backend accepts more. Should those cease to come, low ones
// are let through again as soon as they make up more than P of the window.
//
// Choosing K. A backend that rejects up to K - 1 calls for each one that it accepts is not
// throttled, so its recovery is found out soon. At twice the load that it can take, K = 2 rejects
// next to nothing. Where rejecting calls, or working on calls that nobody waits for, is itself what
// overloads the backend, a smaller K sends less and gets more accepted, but recovers more slowly.
//
// Time to recover. While nothing is accepted, the share 1 - max_rejection of all calls still goes
// to the backend. When it is back, the calls sent grow at most by the factor K in each window. With
// the default max_rejection and thousands of calls in a window, nine of ten calls succeed again, at
// the latest,
//
//   K           3      2      1.5    1.2    1.1
//   windows     1.5    2      3.5    7      14
//
// after the backend is back: with K = 1.1 and two minutes that is almost half an hour. Give a small
// K a short window, provided that enough calls come in it to tell. With few, the chance of which
// calls are sent counts, the more the smaller K is: with 300 calls in a window, one throttler in
// forty takes 20 windows for K = 1.1, and 9 for K = 1.2.
//
// Thread-safe. While K * accepts >= requests, admission and an accept take no lock; nor does a
// rejection without a seed. The exception is the first call in each bucket.
class AdaptiveThrottler {
 public:
  struct Options {
    std::string name = {};                      // for messages
    double k = 2.0;                             // K, >= 1 and finite; near 1 it recovers slowly
    TimeSpan window = std::chrono::minutes(2);  // > 0
    std::int64_t buckets = 40;  // 1 to kMaxBuckets; the window moves on by one bucket at a time
    // The highest probability of rejection, 0 (never) to 1 (as in the formula). The other calls
    // find out that the backend is back. 0.9 as in failsafe-go; Envoy has 0.8, Finagle 0.75.
    double max_rejection = 0.9;
    // With fewer requests in the window no call is rejected; >= 0. (Finagle's default, 5 a second,
    // would be 600 here.)
    std::int64_t min_requests = 20;
    // kSuccess: the backend accepted the call; kFailure: it did not; kIgnored: unknown. Called in
    // any thread. Null: kUnavailable, kResourceExhausted, kDeadlineExceeded, kAborted, kInternal
    // and kDataLoss are failures; rejections (RejectionOf) and kCancelled are ignored; every other
    // status is an answer of the backend, which so accepted the call. That is Envoy's admission
    // control, except for kPermissionDenied. If it throws, the exception passes to the caller and
    // the call is not counted.
    std::function<Outcome(const absl::Status&)> classify = {};
    // Seeds a random generator of the throttler's own; a child of fork() repeats its numbers.
    // nullopt: the call's generator, or outside of a stack the thread's.
    std::optional<std::uint64_t> seed = std::nullopt;
    // The clock of the methods without At; null: SteadyClock(), or that of the stack. Must outlive
    // the throttler.
    Clock* clock = nullptr;
  };
  static constexpr std::int64_t kMaxBuckets = 10'000;

  // Proof of admission; move-only. The first Done counts the call; if the ticket is destroyed
  // without one, the call is not counted. The throttler must outlive it. Used by one thread at a
  // time.
  class [[nodiscard]] Ticket {
   public:
    Ticket() = default;  // its Done does nothing
    // Done reads no clock for a success: it counts in the present bucket.
    void Done(Outcome outcome) noexcept;
    void DoneAt(TimePoint now, Outcome outcome) noexcept;

   private:
    friend class AdaptiveThrottler;
    friend class internal::ThrottleAdmission;

    // Of an empty ticket.
    void Fill(AdaptiveThrottler* throttler, Priority priority) {
      throttler_.get_deleter().priority = priority;
      throttler_.reset(throttler);
    }

    std::unique_ptr<AdaptiveThrottler, internal::ThrottleTicketDeleter> throttler_;
  };

  // Throws std::invalid_argument with the text of Validate.
  explicit AdaptiveThrottler(Options options);
  AdaptiveThrottler(const AdaptiveThrottler&) = delete;
  AdaptiveThrottler& operator=(const AdaptiveThrottler&) = delete;
  ~AdaptiveThrottler();

  // kUnavailable if the throttler rejects the call: as with an open breaker, it is the backend that
  // cannot take it. The time at which it could is not known. Never waits.
  [[nodiscard]] absl::StatusOr<Ticket> Admit(Priority priority = Priority::kNormal) {
    return AdmitAt(Now(), priority);
  }
  [[nodiscard]] absl::StatusOr<Ticket> AdmitAt(TimePoint now,
                                               Priority priority = Priority::kNormal);

  AdaptiveThrottlerStats stats() { return StatsAt(Now()); }
  AdaptiveThrottlerStats StatsAt(TimePoint now);

  // The outcome of a call with this status: by Options::classify.
  Outcome Classify(const absl::Status& status) const {
    if (ABSL_PREDICT_FALSE(classifies_.load(std::memory_order_relaxed))) return Classified(status);
    return ABSL_PREDICT_TRUE(status.ok()) ? Outcome::kSuccess : ClassifyError(status);
  }

  // Replaces all options while calls run. The name and the clock cannot change: left out they stay,
  // and others are refused. kInvalidArgument, with nothing changed, for that and for what Validate
  // refuses.
  //   - The counts stay. A new k, max_rejection or min_requests judges them at once.
  //   - If window or buckets change, the counts move to the new buckets, except for those that are
  //     older than the new window. They leave it too early or too late by no more than an old and a
  //     new bucket.
  //   - Calls in flight count when they end, by the new classify.
  //   - Another seed begins its sequence of random numbers.
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

  const std::string& name() const { return name_; }

  // For a registry of metrics (collector.h): those of docs/adaptive_throttle.md.
  void Collect(Collector& collector) const;

  // The info of an AdaptiveThrottle with this throttler, after the changes.
  PolicyInfo Info(const internal::Changes& changes = {}) const;

  // For stacks: see internal/object_clock.h.
  void BindClock(internal::ClockBinder& binder, std::string_view policy) {
    binder.Bind(policy, name_, clock_);
  }

 private:
  friend class internal::ThrottleAdmission;

  struct Random;

  TimePoint Now() const { return clock_.Now(); }
  // The stats of `now`, without moving the window.
  AdaptiveThrottlerStats LookAt(TimePoint now) const;
  Outcome Classified(const absl::Status& status) const;
  static Outcome ClassifyError(const absl::Status& status);
  void Change(internal::Versions<Options>::Next next,
              std::vector<internal::ThrottleCounts>& starts);

  bool CalmAt(TimePoint now) {
    window_.AdvanceTo(now);
    return window_.calm();
  }
  // Decides about a call while the window is not calm, and counts it if it is rejected. Without
  // `random` it uses the thread's generator.
  bool Refuses(Priority priority, absl::BitGenRef random);
  bool Refuses(Priority priority);

  const std::string name_;
  internal::Versions<Options> options_;
  // Whether Options::classify is given. A hint, so relaxed: a reader that finds none uses the
  // default.
  std::atomic<bool> classifies_;
  std::mutex update_mutex_;  // one change at a time
  const internal::StripedStatus refused_;
  const std::unique_ptr<Random> random_;
  internal::ThrottleWindow window_;
  internal::SuccessTimes success_times_;
  internal::ObjectClock clock_;
};

absl::Status Validate(const AdaptiveThrottler::Options& options);

inline absl::StatusOr<AdaptiveThrottler::Ticket> AdaptiveThrottler::AdmitAt(TimePoint now,
                                                                            Priority priority) {
  if (!CalmAt(now) && Refuses(priority)) return *refused_;
  absl::StatusOr<Ticket> ticket{Ticket()};
  ticket->Fill(this, priority);
  return ticket;
}

inline void AdaptiveThrottler::Ticket::DoneAt(TimePoint now, Outcome outcome) noexcept {
  AdaptiveThrottler* const throttler = throttler_.release();
  if (throttler == nullptr || outcome == Outcome::kIgnored) return;
  throttler->window_.AdvanceTo(now);
  if (outcome == Outcome::kSuccess) {
    throttler->window_.Accept(throttler_.get_deleter().priority);
  } else {
    throttler->window_.Fail(throttler_.get_deleter().priority);
  }
}

inline void AdaptiveThrottler::Ticket::Done(Outcome outcome) noexcept {
  if (throttler_ == nullptr) return;
  DoneAt(outcome == Outcome::kFailure ? throttler_->Now() : TimePoint::min(), outcome);
}

}  // namespace holdfast

#endif  // HOLDFAST_THROTTLE_ADAPTIVE_THROTTLER_H_
