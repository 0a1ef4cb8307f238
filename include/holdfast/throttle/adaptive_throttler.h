// A AdaptiveThrottler keeps a program from sending an overloaded service what that would only turn
// down: it refuses a share of the calls by itself, and those that matter least first.
//
//   holdfast::AdaptiveThrottler throttler({.name = "orders"});
//   if (auto ticket = throttler.Admit(holdfast::Priority::kLow); ticket.ok()) {
//     absl::StatusOr<Order> order = client.GetOrder(id);
//     ticket->Done(throttler.Classify(order.status()));
//   }
//
// Most callers want AdaptiveThrottle (throttle.h) in a stack.
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
#include "holdfast/call/outcome.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/throttle/internal/throttle_window.h"

namespace holdfast {

namespace internal {
class ThrottleAdmission;
}

// What a AdaptiveThrottler knows of its window. Requests that neither were accepted nor refused by
// it are those that the backend did not accept.
struct AdaptiveThrottlerStats {
  std::uint64_t requests = 0;  // all, those that it refused included
  std::uint64_t accepts = 0;
  std::uint64_t refused = 0;
  double rejection = 0;                               // the share of all calls that it refuses
  std::array<double, kPriorities> rejection_of = {};  // of those of each priority
  std::array<std::uint64_t, kPriorities> requests_of = {};  // likewise
};

// Client-side throttling of the Google SRE book ("Handling Overload", equation 21-1). Of the calls
// of the last `window` it refuses, at random, the share
//
//   P = max(0, (requests - K * accepts) / (requests + 1))
//
// So a backend gets at most about K times what it accepts, and while it accepts at least one in K
// nothing is refused. Requests are all that were asked for, those refused here included: else what
// is refused would make the backend look better, and let more through than it can take. A call
// counts when it is known whether the backend accepted it, or that it is refused; what is under way
// says nothing yet, and what was ignored or dropped never does.
//
// Refused are first the calls of the lowest priority, and the next one's as far as those are not
// enough: with m the share of a priority among the window's requests and L that of all lower ones,
// a call is refused with the probability (P - L) / m, held within 0 and 1. That comes to P overall,
// and to P for each call where all have one priority. While all low ones are refused it is the
// others that find out whether the backend accepts more; should they cease to come, low ones are
// let through again as soon as they make up more than P of the window.
//
// K: the backend turns down up to K - 1 calls for each that it accepts before P is more than 0, so
// that it is found out soon when it can take more. At twice what it can do K = 2 refuses next to
// nothing; where turning calls down, or working on what nobody waits for any more, is what keeps it
// from accepting, a smaller K sends less and gets more, and recovers more slowly.
//
// Time to recover: while nothing is accepted, 1 - max_rejection of all calls find out. Once the
// backend is back what is sent grows at most by the factor K in each window. So with the default
// max_rejection nine of ten calls succeed again, at the latest,
//
//   K           3      2      1.5    1.2    1.1
//   windows     1.5    2      3.5    7      14
//
// after the backend is back: with K = 1.1 and two minutes, almost half an hour. Give a small K a
// short window, if enough calls come in it to tell.
//
// Thread-safe. While K accepts are no less than the requests an admission and an accept take no
// lock, nor does a refusal without a seed; but for the first call in each bucket.
class AdaptiveThrottler {
 public:
  struct Options {
    std::string name = {};
    double k = 2.0;                             // >= 1, finite; near 1 it recovers slowly
    TimeSpan window = std::chrono::minutes(2);  // > 0
    std::int64_t buckets = 40;  // 1 to kMaxBuckets; the window goes on by one of them at a time
    // The most that is refused, 0 (never anything) to 1 (the formula's): the rest are what finds
    // out that the backend is back. As in failsafe-go; Envoy has 0.8, Finagle 0.75.
    double max_rejection = 0.9;
    // Fewer in the window say nothing, and all are sent; >= 0. (Finagle asks for 5 a second, which
    // here would be 600.)
    std::int64_t min_requests = 20;
    // kSuccess: the backend accepted; kFailure: it did not; kIgnored: not known. Null: it did not
    // if it is kUnavailable, kResourceExhausted, kDeadlineExceeded, kAborted, kInternal or
    // kDataLoss; rejections and kCancelled are ignored; all else is an answer, and so was accepted.
    // That is Envoy's admission control, but for kPermissionDenied. What it throws passes to the
    // caller, and the call is not counted.
    std::function<Outcome(const absl::Status&)> classify = {};
    // Of its own randomness, which children of fork() repeat; nullopt: the call's, or where there
    // is none the thread's.
    std::optional<std::uint64_t> seed = std::nullopt;
    Clock* clock = nullptr;  // of the methods without At; must outlive the throttler
  };
  static constexpr std::int64_t kMaxBuckets = 10'000;

  // Proof of admission; move-only. The first Done counts; destroyed without one, the call is not
  // counted. Its throttler must outlive it.
  class [[nodiscard]] Ticket {
   public:
    Ticket() = default;  // of no throttler
    Ticket(Ticket&& other) noexcept
        : throttler_(std::exchange(other.throttler_, nullptr)), priority_(other.priority_) {}
    Ticket& operator=(Ticket&& other) noexcept {
      throttler_ = std::exchange(other.throttler_, nullptr);
      priority_ = other.priority_;
      return *this;
    }
    ~Ticket() = default;

    // Without a time, a success reads no clock: it counts in the newest bucket that is known.
    void Done(Outcome outcome) noexcept;
    void DoneAt(TimePoint now, Outcome outcome) noexcept;

   private:
    friend class AdaptiveThrottler;
    friend class internal::ThrottleAdmission;

    AdaptiveThrottler* throttler_ = nullptr;
    Priority priority_ = Priority::kNormal;
  };

  // Throws std::invalid_argument with the text of Validate.
  explicit AdaptiveThrottler(Options options);
  AdaptiveThrottler(const AdaptiveThrottler&) = delete;
  AdaptiveThrottler& operator=(const AdaptiveThrottler&) = delete;
  ~AdaptiveThrottler();

  // kUnavailable, as of an open breaker, where it is refused: it is the backend that can't take it.
  // When it could is not known.
  absl::StatusOr<Ticket> Admit(Priority priority = Priority::kNormal) {
    return AdmitAt(Now(), priority);
  }
  absl::StatusOr<Ticket> AdmitAt(TimePoint now, Priority priority = Priority::kNormal);

  AdaptiveThrottlerStats stats() { return StatsAt(Now()); }
  AdaptiveThrottlerStats StatsAt(TimePoint now);

  Outcome Classify(const absl::Status& status) const {
    if (ABSL_PREDICT_FALSE(classifies_.load(std::memory_order_relaxed))) return Classified(status);
    return ABSL_PREDICT_TRUE(status.ok()) ? Outcome::kSuccess : ClassifyError(status);
  }

  // Replaces the options, all of them, while calls run. What is counted stays: a new k,
  // max_rejection or min_requests judges it at once. Where window or buckets change, it goes to the
  // new buckets but for what is older than the new window, and then leaves that too early or too
  // late by no more than an old and a new bucket. Calls that are under way count when they end, as
  // the new classify has it. Another seed begins its sequence. Name and clock stay: left out they
  // are as before, and others are refused. kInvalidArgument, with nothing changed, for that and for
  // what Validate refuses.
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

  const std::string& name() const { return name_; }
  // Of a AdaptiveThrottle with it; what they would be after changes to it.
  PolicyInfo Info(const internal::Changes& changes = {}) const;

  // For stacks: see internal/object_clock.h.
  void BindClock(internal::ClockBinder& binder, std::string_view policy) {
    binder.Bind(policy, name_, clock_);
  }

 private:
  friend class internal::ThrottleAdmission;

  struct Random;

  TimePoint Now() const { return clock_.Now(); }
  Outcome Classified(const absl::Status& status) const;
  static Outcome ClassifyError(const absl::Status& status);
  void Change(internal::Versions<Options>::Next next,
              std::vector<internal::ThrottleCounts>& starts);

  bool CalmAt(TimePoint now) {
    window_.AdvanceTo(now);
    return window_.calm();
  }
  // Where it is not calm; counts what it refuses. The second draws by itself.
  bool Refuses(Priority priority, absl::BitGenRef random);
  bool Refuses(Priority priority);

  const std::string name_;
  internal::Versions<Options> options_;
  // Whether they have a `classify`. A hint, so relaxed: who finds none there does without.
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
  ticket->throttler_ = this;
  ticket->priority_ = priority;
  return ticket;
}

inline void AdaptiveThrottler::Ticket::DoneAt(TimePoint now, Outcome outcome) noexcept {
  AdaptiveThrottler* const throttler = std::exchange(throttler_, nullptr);
  if (throttler == nullptr || outcome == Outcome::kIgnored) return;
  throttler->window_.AdvanceTo(now);
  if (outcome == Outcome::kSuccess) {
    throttler->window_.Accept(priority_);
  } else {
    throttler->window_.Fail(priority_);
  }
}

inline void AdaptiveThrottler::Ticket::Done(Outcome outcome) noexcept {
  if (throttler_ == nullptr) return;
  DoneAt(outcome == Outcome::kFailure ? throttler_->Now() : TimePoint::min(), outcome);
}

}  // namespace holdfast

#endif  // HOLDFAST_THROTTLE_ADAPTIVE_THROTTLER_H_
