// A Race decides between the parallel branches of a call below a forking policy (fork.h): which
// branch has won, and the result with which the call goes on. For driver authors.
//
//   holdfast::driver::BranchRecord record;                  // of a branch, for its call
//   static_assert(holdfast::driver::BranchEnd::kFailed > holdfast::driver::BranchEnd::kRefused);
#ifndef HOLDFAST_DRIVER_RACE_H_
#define HOLDFAST_DRIVER_RACE_H_

#include <absl/status/status.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/base/result.h"
#include "holdfast/base/waker.h"
#include "holdfast/call/abandoned_attempt.h"
#include "holdfast/call/call.h"
#include "holdfast/call/repeatability.h"
#include "holdfast/call/report.h"
#include "holdfast/driver/machine.h"

namespace holdfast::driver {

// How a branch ended, the worst first. A conflict is an answer that may only mean that the service
// has seen another branch of the call; the result of that other branch is awaited then.
enum class BranchEnd : std::uint8_t { kUnderWay, kRefused, kFailed, kConflict, kSucceeded };

// What the call knows of one of its branches.
struct BranchRecord {
  TimePoint sent = {};
  int attempts_before = 0;  // of the call
  int attempts = 0;         // when it ended
  bool rejected = false;
  bool retried = false;
  bool lingers = false;  // an attempt that it abandoned still runs
  TimePoint retry_at = TimePoint::min();
  Duration retry_spread{0};
  EndReason ended_by = EndReason::kSuccess;
  const void* claimed = nullptr;
  Report report = {};                                    // its own, if the call reports
  std::shared_ptr<internal::CallTrace> trace = nullptr;  // the call's; null: none
};

}  // namespace holdfast::driver

namespace holdfast::internal {

// The branches in a call's accounts: to its attempts and its report they take the place of the one
// attempt that the fork is to the machine. Used by one thread at a time.
class Branches {
 public:
  explicit Branches(Call& call);

  // The call's options as they apply to a branch. `key` must outlive it.
  CallOptions Options(driver::BranchRecord& record, std::stop_token stop,
                      std::string_view key) const;

  // That a branch is sent: its attempts count on from the call's; or that it couldn't be.
  void Sent(driver::BranchRecord& record);
  static void Number(const driver::BranchRecord& record, Call& branch) {
    branch.attempts_ = record.attempts_before;
    branch.branch_ = true;
    branch.JoinTrace(record.trace);
  }
  void Unsent() { --call_.attempts_; }

  // That it has ended; by whoever ran it. What runs on of it keeps `race`.
  static void Ended(driver::BranchRecord& record, Call& branch, const std::shared_ptr<void>& race);

  // That a copy was sent beside the first, and what became of it or of one that there was no budget
  // for.
  void Hedged();
  void HedgeEnded(HedgeOutcome outcome);

  // To be said of each branch in the order they were sent, when the call goes on.
  void Account(const driver::BranchRecord& record, bool ended);

  // What the call goes on with: this branch's result, or that of none, because it is late, was
  // stopped or couldn't be sent.
  void Take(const driver::BranchRecord& record);
  void Late() { call_.set_ended_by(EndReason::kDeadline); }
  void Stopped() { call_.Rejected(TimePoint::min(), EndReason::kCancelled); }
  void Refused(const absl::Status& refusal);
  static bool WasStopped(const Call& call) { return call.ended_by_ == EndReason::kCancelled; }
  void Abandon(const std::shared_ptr<driver::AbandonedAttempt>& race) { call_.Abandon(race); }

 private:
  Call& call_;
};

}  // namespace holdfast::internal

namespace holdfast::driver {

// NOLINTBEGIN(bugprone-unchecked-optional-access): what ended without an error has a result.

// What a driver keeps of a branch that knows how to run itself.
struct NothingKept {};

// `Running` is what a driver keeps for a branch. The call and each running branch hold the Race by
// std::shared_ptr, and what it keeps as an AbandonedAttempt lives as long. A branch may end in any
// thread; every other member is called by the call's thread only.
//
// The driver's `send(branch)` starts a branch with the options from OptionsOf, and returns whether
// it could.
template <class R, class Running = NothingKept>
class Race : public AbandonedAttempt {
 public:
  struct Branch {
    BranchRecord record;
    std::stop_source stop;
    std::optional<Running> running;
    std::optional<R> result;
    std::exception_ptr error;
    BranchEnd end = BranchEnd::kUnderWay;  // guarded by the race's mutex
    bool awaited = false;                  // it had ended when the call went on
  };

  // `caller` is woken when a branch has ended.
  Race(Call& call, Waker& caller) : branches_(call), key_(call.key()), caller_(&caller) {}

  // Sends the first branch. Returns false if it can't be sent: the call is then refused.
  template <class Fork, class Send>
  bool Begin(const Fork& fork, Call& call, const Send& send) {
    if (!SendOne(send)) {
      branches_.Refused(fork.pool()->refusal());
      return false;
    }
    next_ = fork.NextBranch(call.now(), 1);
    return true;
  }

  // Returns true when it is time for Resolve; until then, sends the next branch when that is due.
  template <class Fork, class Send>
  bool Poll(const Fork& fork, Call& call, bool stopped, const Send& send) {
    if (Over()) return true;
    if (stopped || call.now() >= call.deadline()) return MayGo(call, stopped);
    if (call.now() >= next_) {
      next_ = SendAnother(fork, call, send)
                  ? fork.NextBranch(call.now(), static_cast<int>(all_.size()))
                  : TimePoint::max();
    }
    return false;
  }
  // When to look again, if nothing rings before that.
  TimePoint NextPollAt(const Call& call) const {
    return must_stay_ ? TimePoint::max() : std::min(next_, call.deadline());
  }
  // There is nothing left to wait for but its end.
  bool must_stay() const { return must_stay_; }

  CallOptions OptionsOf(Branch& branch) const {
    return branches_.Options(branch.record, branch.stop.get_token(), key_);
  }

  // Of a branch that has its record, and its result or error.
  void Ended(Branch& branch) {
    BranchEnd end = BranchEnd::kFailed;
    if (branch.error == nullptr && ResultTraits<R>::StatusOf(*branch.result).ok()) {
      end = MayBeConflict(*branch.result) ? BranchEnd::kConflict : BranchEnd::kSucceeded;
    } else if (branch.error == nullptr && branch.record.rejected) {
      end = BranchEnd::kRefused;
    }
    const std::lock_guard lock(mutex_);
    branch.end = end;
    if (caller_ != nullptr) caller_->Wake();
  }

  // Whether the call still waits.
  bool CallerWaiting() const {
    const std::lock_guard lock(mutex_);
    return caller_ != nullptr;
  }

  // The call has gone away.
  void Abandon() {
    const std::lock_guard lock(mutex_);
    caller_ = nullptr;
  }

  // The call ends without it, by an exception: what is under way is asked to stop, and lingers.
  void GiveUp(const std::shared_ptr<AbandonedAttempt>& self) {
    if (!CallerWaiting()) return;
    Choose();
    for (Branch& branch : all_) {
      if (!branch.awaited) branch.stop.request_stop();
      if (&branch != &all_.front()) branches_.HedgeEnded(OutcomeOf(branch, nullptr));
    }
    branches_.Abandon(self);
  }

  // The result with which the call goes on, without the branches that are still under way: those
  // are asked to stop, unless it is only that they are too late. Throws what the best one threw.
  R Resolve(bool stopped, const std::shared_ptr<AbandonedAttempt>& self) {
    Branch* const best = Choose();
    const bool over = best != nullptr;
    bool lingers = false;
    for (Branch& branch : all_) {
      branches_.Account(branch.record, branch.awaited);
      if (&branch != &all_.front()) branches_.HedgeEnded(OutcomeOf(branch, best));
      if (!branch.awaited && (over || stopped)) branch.stop.request_stop();
      lingers = lingers || !branch.awaited || branch.record.lingers;
    }
    if (lingers) branches_.Abandon(self);
    if (over) {
      branches_.Take(best->record);
      if (best->error != nullptr) std::rethrow_exception(best->error);
      return *std::move(best->result);
    }
    if (stopped) {
      branches_.Stopped();
      return ResultTraits<R>::FromStatus(internal::CancelledRejection());
    }
    branches_.Late();
    return ResultTraits<R>::FromStatus(internal::AttemptTooLate());
  }

 private:
  static bool MayBeConflict(const R& result) {
    if constexpr (requires { ResultTraits<R>::IsConflict(result); }) {
      return ResultTraits<R>::IsConflict(result);
    } else {
      return false;
    }
  }

  template <class Send>
  bool SendOne(const Send& send) {
    Branch& branch = all_.emplace_back();
    branches_.Sent(branch.record);
    if (send(branch)) return true;
    branches_.Unsent();
    all_.pop_back();
    return false;
  }

  // One that must not be left was sent once: it has its deadline itself, and is told to stop.
  bool MayGo(const Call& call, bool stopped) {
    if (!must_stay_ && MayLeave(call)) return true;
    must_stay_ = true;
    if (stopped) {
      for (Branch& branch : all_) branch.stop.request_stop();
    }
    return false;
  }

  template <class Fork, class Send>
  bool SendAnother(const Fork& fork, Call& call, const Send& send) {
    if (!fork.MayBranch(call)) return false;
    if (!fork.TakeBranch(call.now())) {
      branches_.HedgeEnded(internal::HedgeOutcome::kUnaffordable);
      return false;
    }
    if (SendOne(send)) {
      branches_.Hedged();
      return true;
    }
    fork.ReturnBranch();
    return false;
  }

  static internal::HedgeOutcome OutcomeOf(const Branch& branch, const Branch* best) {
    if (&branch == best) return internal::HedgeOutcome::kWon;
    return branch.awaited && branch.end != BranchEnd::kSucceeded ? internal::HedgeOutcome::kFailed
                                                                 : internal::HedgeOutcome::kLost;
  }

  // Whether one succeeded or all have ended.
  bool Over() const {
    const std::lock_guard lock(mutex_);
    bool all = true;
    for (const Branch& branch : all_) {
      if (branch.end == BranchEnd::kSucceeded) return true;
      all = all && branch.end != BranchEnd::kUnderWay;
    }
    return all;
  }

  // The best of those that have ended, the first of equals; null where the race is not over. From
  // here on the call awaits no more.
  Branch* Choose() {
    const std::lock_guard lock(mutex_);
    caller_ = nullptr;
    Branch* best = nullptr;
    bool all = true;
    for (Branch& branch : all_) {
      branch.awaited = branch.end != BranchEnd::kUnderWay;
      all = all && branch.awaited;
      if (branch.awaited && (best == nullptr || best->end < branch.end)) best = &branch;
    }
    return all || (best != nullptr && best->end == BranchEnd::kSucceeded) ? best : nullptr;
  }

  internal::Branches branches_;
  const std::string key_;              // the call's own, which branches may outlive
  std::deque<Branch> all_;             // in the order they were sent; added to by the call alone
  TimePoint next_ = TimePoint::max();  // when to send one more
  bool must_stay_ = false;             // the call is over, and what runs must not be left
  mutable std::mutex mutex_;
  Waker* caller_;  // null when the call went on
};

// NOLINTEND(bugprone-unchecked-optional-access)

}  // namespace holdfast::driver

#endif  // HOLDFAST_DRIVER_RACE_H_
