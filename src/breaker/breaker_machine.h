// The state machine of a circuit breaker, without its mutex and its callbacks.
#ifndef HOLDFAST_SRC_BREAKER_BREAKER_MACHINE_H_
#define HOLDFAST_SRC_BREAKER_BREAKER_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/breaker/internal/breaker_lane.h"
#include "src/breaker/breaker_plan.h"
#include "src/breaker/breaker_probes.h"
#include "src/breaker/breaker_ramp.h"
#include "src/breaker/breaker_tally.h"
#include "src/breaker/breaker_totals.h"
#include "src/breaker/calls_out.h"
#include "src/breaker/return_spread.h"

namespace holdfast::internal {

// Model. The machine is in one of four phases. Time brings changes, but there is no timer: every
// user of the machine first calls Advance(now), which makes the changes that are due.
//
//   kClosed   admits every call. Opens when a rule says so.
//   kOpen     admits none until ends_at_; then it is probing.
//   kProbing  admits max_requests probes. Opens when a probe fails, is slow (where rules judge slow
//             calls) or outlives its lease; goes on when max_requests probes have succeeded.
//   kRamping  admits a growing share of the calls (BreakerRamp), then closes. Opens when a rule
//             says so or the ramp fails.
//
// To its users kProbing and kRamping are half-open. Modes set by hand override these transitions:
// while !Deciding() no rule is asked.
//
// Words.
//
//   generation  the life of one phase or, while closed, of one fixed window. It is named by its
//               first era. An outcome of a call from an earlier generation is dropped, so a late
//               result never moves a breaker that has gone on.
//   era         the part of a generation that the lane (breaker_lane.h) counts under one number: a
//               bucket of a rolling window; where calls that are out are watched (calls_out.h), at
//               most slow_call; else the whole generation. A ticket carries the era of its call.
//               Eras only grow. The first era of a generation is at least two above the last of
//               the generation before, since the lane takes a success for the present era and the
//               one before it.
//   probe       a call admitted while probing. Its ticket carries a number of its own in place of
//               an era, above the generation's first era, so that each probe's lease can be found.
//   lease       the time that a probe may take. A probe that is lost or hangs therefore never keeps
//               its place for ever.
//   opening     a passage to kOpen that the machine decided; openings_ counts them since it last
//               closed.
//
// Invariants.
//
//   1. The lane is open only while the phase is kClosed. In any other phase every call takes the
//      mutex, but those that the lane refuses because the breaker is open.
//   2. The counts are the tally plus what the lane has counted since the last Fold. So Fold comes
//      before the tally is read, and before era_ changes within a generation.
//   3. While probing, successes and probes in flight together are at most max_requests (unless an
//      update lowers that): no more probes are sent than are needed to close.
//   4. User code never runs here. What the user's functions are to be asked or told is taken
//      (TakeOpening, TakeQuestion, Record's result, TakeChange) and answered with the mutex
//      released meanwhile; the answer names its generation and is dropped if another has begun.
//   5. After Advance no transition needs memory, so none is ever left half made.
//   6. The totals only grow: neither Reset nor a new generation takes anything from them.
//
// The mutex of the breaker must be held for every function and, where nothing else is said, Advance
// must have been called since it was taken.
class BreakerMachine {
 public:
  struct Change {
    BreakerState from;
    BreakerState to;
    BreakerTransition transition;
    TimePoint at;
  };
  enum class Answer { kAdmitted, kOpen, kNoPlace };
  // The caller has to ask the rules about these counts, and to call TripBy if one says so.
  struct Question {
    std::uint64_t generation;
    BreakerCounts counts;
  };

  // What the machine counts with, as a plan demands.
  struct Counters {
    explicit Counters(const BreakerPlan& plan);

    BreakerTally tally;
    std::unique_ptr<CallsOut> out;  // null unless the plan judges_slow
  };

  // `lane` must outlive the machine, and `plan` must live until GoOnBy replaces it.
  BreakerMachine(const BreakerPlan& plan, Counters counters, BreakerLane& lane);

  // Replaces the plan. Needs no Advance, so it brings no change to report. If the new plan counts
  // otherwise, the machine takes `counters`, made for that plan, and leaves its own there.
  void GoOnBy(const BreakerPlan& plan, Counters& counters);
  const BreakerPlan& plan() const { return *plan_; }

  // Makes the changes that are due. It stops at an opening until StayOpen says how long that lasts.
  // May throw for want of memory, and then nothing has changed.
  void Advance(TimePoint now);

  // The number of an opening, once, if open_time has to be asked about it. The caller asks before
  // anything else, and passes the answer to StayOpen.
  std::optional<std::uint64_t> TakeOpening();
  void StayOpen(std::uint64_t generation, Duration open_for);

  // `lease`: how long the call may take, should it be a probe.
  Answer Admit(TimePoint now, Duration lease, std::uint64_t& era);
  // Records the outcome of a call that was admitted in `era`.
  std::optional<Question> Record(std::uint64_t era, TimePoint now, Outcome outcome, bool slow);
  // A question, once, if calls that hang or new rules may be a reason to open. The caller calls
  // Advance again after it.
  std::optional<Question> TakeQuestion();
  // Opens, unless another generation has begun. If the plan was replaced while its rules were
  // asked, the answer is dropped, and TakeQuestion has a question for the new rules.
  void TripBy(const BreakerPlan& plan, const BreakerPlan::Rule& rule, const Question& question,
              TimePoint now);

  BreakerState state() const { return StateOf(phase_); }
  TimePoint retry_at() const { return SaturatingAdd(ends_at_, Duration(1)); }  // while it is open
  BreakerMode mode() const { return mode_; }
  bool dry_run() const { return mode_ == BreakerMode::kMetricsOnly; }
  std::uint64_t generation() const { return first_era_; }
  std::optional<Trip> last_trip() const;
  BreakerCounts Counts();

  // These need no Advance, and change nothing.
  BreakerCounts LookAtCounts() const;  // Counts(), as of the last Advance
  std::uint64_t probes_in_flight() const { return probes_.in_flight(); }
  BreakerTotals totals() const {
    return {.calls = lane_.totals(), .no_place = no_place_, .transitions = transitions_};
  }

  void SetMode(BreakerMode mode, TimePoint now);
  void Reset(TimePoint now);
  BreakerSnapshot Snapshot(TimePoint now) const;
  void Restore(const BreakerSnapshot& snapshot, TimePoint now, Duration elapsed);

  // The next change that has not been reported.
  std::optional<Change> TakeChange();

 private:
  enum class Phase { kClosed, kProbing, kRamping, kOpen };

  static BreakerState StateOf(Phase phase);
  bool Deciding() const {
    return mode_ == BreakerMode::kAutomatic || mode_ == BreakerMode::kMetricsOnly;
  }
  void Enter(Phase phase, TimePoint now, BreakerTransition transition);
  void Begin(Phase phase, TimePoint now);            // the state must be the same: else Enter
  void BeginGeneration(Phase phase, TimePoint now);  // also for a reset of a fixed window
  void Open(TimePoint now, TripCause cause, const BreakerCounts& counts);
  void RefuseUntil(TimePoint until);
  void MoveWindow(TimePoint now);
  std::uint64_t EraAt(TimePoint now) const;
  void BeginEra(TimePoint now);
  TimePoint NextLook() const;
  Duration FixedWindow() const;  // 0: none
  bool AnyHung() const { return out_ != nullptr && out_->hung() > 0; }
  void AdmitOne();
  Answer NoPlace();         // which is no refusal in a dry run
  BreakerCounts Tallied();  // as of the last Fold
  static BreakerCounts WithHung(BreakerCounts counts, const CallsOut* out);
  bool ProbesSuffice() const;
  void GoOnFromProbes(TimePoint now);
  std::optional<Question> RecordProbe(std::uint64_t era, TimePoint now, Outcome outcome, bool slow);
  void Fold();
  void Watch(CallsOut& out, const BreakerLane::Count& count) const;
  void OpenLane();

  const CircuitBreaker::Options& options() const { return plan_->options; }

  const BreakerPlan* plan_;
  BreakerLane& lane_;
  BreakerTally tally_;             // without what the lane has counted since the last Fold
  std::unique_ptr<CallsOut> out_;  // of kClosed and kRamping; null unless the plan judges_slow
  TimePoint era_ends_at_;          // inclusive; only with out_
  bool asks_ = false;              // hung calls, or new rules, may be a reason to open

  BreakerMode mode_ = BreakerMode::kAutomatic;
  Phase phase_ = Phase::kClosed;
  TimePoint began_;                // when the generation began; min: before the first Advance
  TimePoint ends_at_;              // inclusive: of kOpen, or of the fixed window; else max
  std::uint64_t first_era_ = 0;    // of the present generation
  std::uint64_t era_ = 0;          // the present one; while probing, the last probe's number
  std::uint64_t openings_ = 0;     // since the breaker last closed
  bool unasked_ = false;           // open_time has to be asked about the present opening
  std::optional<Trip> last_trip_;  // without its rule
  std::shared_ptr<const std::string> last_rule_;
  TimePoint latest_ = TimePoint::min();  // the latest time passed to Advance

  BreakerProbes probes_;  // while probing
  BreakerRamp ramp_;      // while ramping
  ReturnSpread returns_;  // of the calls that it refuses

  std::vector<Change> untold_;  // changes to report
  std::size_t told_ = 0;        // how many of them, from the front, have been reported

  std::uint64_t no_place_ = 0;  // refusals for want of a place, of the breaker's whole life
  BreakerTotals::Transitions transitions_{};
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_BREAKER_BREAKER_MACHINE_H_
