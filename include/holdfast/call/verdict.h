// The decisions of a policy: Before returns a Verdict, on the way down; After returns a Next, on
// the way up.
//
//   Verdict Before(Call& call, State&) {
//     return quota_->Take() ? Verdict::Proceed() : Verdict::Reject(refused_);
//   }
#ifndef HOLDFAST_CALL_VERDICT_H_
#define HOLDFAST_CALL_VERDICT_H_

#include <absl/status/status.h>

#include <cstdint>
#include <utility>

#include "holdfast/base/internal/unset_time.h"
#include "holdfast/base/time.h"

namespace holdfast {

class Verdict {
 public:
  enum class Kind { kProceed, kWait, kReject, kShortCircuit };

  // The call goes down to the next policy.
  static Verdict Proceed() { return Verdict(); }

  // The call waits until `until`, or until call.waker() is woken; then Before is called again. A
  // wait that would end after the call's deadline is refused at once, with kDeadlineExceeded.
  static Verdict Wait(TimePoint until) { return Verdict(Kind::kWait, until, absl::Status()); }

  // The call is refused with `status`, which the policy made beforehand by MakeRejection.
  // `retry_at` is the earliest time at which another try can succeed; TimePoint::min() if unknown.
  // If many calls are refused that may all come back at `retry_at`, `spread` is the time over which
  // they were refused, or longer: callers should spread their retries over kReturnTimes times as
  // long, as Retry does. That adds an eighth to the load. (Four times as long would add a quarter,
  // which a service at 80 % load could never work off.)
  static constexpr std::int64_t kReturnTimes = 8;
  static Verdict Reject(absl::Status status, TimePoint retry_at = TimePoint::min(),
                        TimeSpan spread = Duration::zero()) {
    Verdict verdict(Kind::kReject, retry_at, std::move(status));
    verdict.spread_ = spread;
    return verdict;
  }

  // The policy has the result itself, and nothing below it runs. The policy needs a member
  //   template <class R> R Result(Call& call, State& state);
  // from which the machine takes the result.
  static Verdict ShortCircuit() {
    return Verdict(Kind::kShortCircuit, TimePoint::min(), absl::Status());
  }

  Kind kind() const { return kind_; }
  // Both require kind() != kProceed.
  TimePoint time() const { return *time_; }  // the end of the wait, or retry_at
  Duration spread() const { return spread_; }
  absl::Status TakeStatus() && { return std::move(status_); }

 private:
  // Leaves fields that nothing reads uninitialized: every policy makes a Verdict for every call.
  Verdict() : kind_(Kind::kProceed) {}  // NOLINT(cppcoreguidelines-pro-type-member-init)
  Verdict(Kind kind, TimePoint time, absl::Status status)
      : kind_(kind), spread_(0), status_(std::move(status)) {
    time_ = time;
  }

  Kind kind_;
  internal::UnsetTime time_;
  Duration spread_;
  absl::Status status_;
};

class Next {
 public:
  // The result goes up to the next policy.
  static Next Done() { return Next(false, TimePoint::min()); }

  // The result is dropped, and the call waits until `at` and goes down once more from this policy.
  // If `at` is after the call's deadline, the result is returned instead.
  static Next Again(TimePoint at) { return Next(true, at); }

  bool again() const { return again_; }
  TimePoint at() const { return at_; }

 private:
  Next(bool again, TimePoint at) : again_(again), at_(at) {}

  bool again_;
  TimePoint at_;
};

}  // namespace holdfast

#endif  // HOLDFAST_CALL_VERDICT_H_
