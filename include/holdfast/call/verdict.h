// What a policy answers: a Verdict on the way down, a Next on the way up.
//
//   Verdict Before(Call& call, State&) {
//     return quota_->Take() ? Verdict::Proceed() : Verdict::Reject(refused_);
//   }
#ifndef HOLDFAST_CALL_VERDICT_H_
#define HOLDFAST_CALL_VERDICT_H_

#include <absl/status/status.h>

#include <utility>

#include "holdfast/base/internal/unset_time.h"
#include "holdfast/base/time.h"

namespace holdfast {

class Verdict {
 public:
  enum class Kind { kProceed, kWait, kReject, kShortCircuit };

  // Go down to the next policy.
  static Verdict Proceed() { return Verdict(); }

  // Ask again at `until`, or when call.waker() is woken. The machine refuses a wait that ends after
  // the call's deadline.
  static Verdict Wait(TimePoint until) { return Verdict(Kind::kWait, until, absl::Status()); }

  // Refuse, with a status made beforehand by MakeRejection. `retry_at` is the earliest time at
  // which another try can succeed, as far as it is known. Where many are refused who may all come
  // back then, `spread` is how long it took to refuse them: over as long a time, or longer, they
  // should come.
  static Verdict Reject(absl::Status status, TimePoint retry_at = TimePoint::min(),
                        TimeSpan spread = Duration::zero()) {
    Verdict verdict(Kind::kReject, retry_at, std::move(status));
    verdict.spread_ = spread;
    return verdict;
  }

  // The policy has the result, and nothing below it is asked. For a policy with a member
  //   template <class R> R Result(Call& call, State& state);
  // which the machine asks for it then.
  static Verdict ShortCircuit() {
    return Verdict(Kind::kShortCircuit, TimePoint::min(), absl::Status());
  }

  Kind kind() const { return kind_; }
  // Both only of one that is not to proceed.
  TimePoint time() const { return *time_; }  // the end of the wait, or retry_at
  Duration spread() const { return spread_; }
  absl::Status TakeStatus() && { return std::move(status_); }

 private:
  // Leaves out what nobody asks of it: every policy makes one for every call.
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
  // Hand the result on.
  static Next Done() { return Next(false, TimePoint::min()); }

  // Drop the result, wait until `at` and send the call down once more from this policy. The machine
  // refuses where that is after the call's deadline, and the result in hand stands.
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
