// The state machine of a circuit breaker, without its mutex and its callbacks.
#ifndef HOLDFAST_SRC_BREAKER_BREAKER_MACHINE_H_
#define HOLDFAST_SRC_BREAKER_BREAKER_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/breaker/internal/breaker_lane.h"
#include "src/breaker/breaker_plan.h"
#include "src/breaker/breaker_tally.h"
#include "src/breaker/calls_out.h"

namespace holdfast::internal {

// All with the breaker's mutex held, and, but for what says otherwise, after Advance: time brings
// changes, and they are made when somebody looks.
class BreakerMachine {
 public:
  struct Change {
    BreakerState from;
    BreakerState to;
  };
  enum class Answer { kAdmitted, kOpen, kNoPlace };
  // The rules are to be asked about these counts, and if one says so TripBy is to be called.
  struct Question {
    std::uint64_t generation;
    BreakerCounts counts;
  };

  // What it counts in, by a plan.
  struct Counters {
    explicit Counters(const BreakerPlan& plan);

    BreakerTally tally;
    std::unique_ptr<CallsOut> out;  // null unless the plan judges_slow
  };

  // `lane` must outlive it, and `plan` until there is another.
  BreakerMachine(const BreakerPlan& plan, Counters counters, BreakerLane& lane);

  // Goes on by `plan`, without a look at the time, so that it has nothing to tell. Where that
  // counts otherwise it takes `counters`, made for the plan, and leaves its own there.
  void GoOnBy(const BreakerPlan& plan, Counters& counters);
  const BreakerPlan& plan() const { return *plan_; }

  // It stops at an opening whose time nobody has asked for. May throw for want of memory, and then
  // nothing has happened; after it changes of state need none.
  void Advance(TimePoint now);

  // The number of the opening that open_time is to be asked about, once; before all else, and with
  // the answer for StayOpen.
  std::optional<std::uint64_t> TakeOpening();
  void StayOpen(std::uint64_t generation, Duration open_for);

  // `lease`: how long a probe may take.
  Answer Admit(TimePoint now, Duration lease, std::uint64_t& era);
  // How a call ended that was admitted in `era`.
  std::optional<Question> Record(std::uint64_t era, TimePoint now, Outcome outcome, bool slow);
  // Once, where calls have been out for too long and nothing has ended that would bring it up;
  // after it, Advance again.
  std::optional<Question> TakeQuestion();
  // Unless another generation has begun. If another plan was made while this one's rules were
  // asked, its own are to be: there is a question again.
  void TripBy(const BreakerPlan& plan, const BreakerPlan::Rule& rule, const Question& question,
              TimePoint now);

  BreakerState state() const { return StateOf(phase_); }
  TimePoint retry_at() const { return SaturatingAdd(ends_at_, Duration(1)); }  // while it is open
  BreakerMode mode() const { return mode_; }
  bool dry_run() const { return mode_ == BreakerMode::kMetricsOnly; }
  std::uint64_t generation() const { return first_era_; }
  std::optional<Trip> last_trip() const;
  BreakerCounts Counts();

  void SetMode(BreakerMode mode, TimePoint now);
  void Reset(TimePoint now);
  BreakerSnapshot Snapshot(TimePoint now) const;
  void Restore(const BreakerSnapshot& snapshot, TimePoint now, Duration elapsed);

  // The next change that nobody was told of.
  std::optional<Change> TakeChange();

 private:
  enum class Phase { kClosed, kProbing, kRamping, kOpen };
  static constexpr std::int64_t kWholeCall = 1'000'000'000;

  static BreakerState StateOf(Phase phase);
  bool Deciding() const {
    return mode_ == BreakerMode::kAutomatic || mode_ == BreakerMode::kMetricsOnly;
  }
  void Begin(Phase phase, TimePoint now);
  void BeginGeneration(Phase phase, TimePoint now);  // also a renewal of a fixed window
  void Open(TimePoint now, TripCause cause, const BreakerCounts& counts);
  void RefuseUntil(TimePoint until);
  Duration RampTime() const;
  void BeginStep(std::size_t step, TimePoint now);
  void Climb(TimePoint now);
  void MoveWindow(TimePoint now);
  std::uint64_t EraAt(TimePoint now) const;
  void BeginEra(TimePoint now);
  TimePoint NextLook() const;
  Duration FixedWindow() const;  // 0: none
  bool AnyHung() const { return out_ != nullptr && out_->hung() > 0; }
  void AdmitOne();
  BreakerCounts Tallied();  // since the last Fold
  bool ProbesSuffice() const;
  void GoOnFromProbes(TimePoint now);
  bool RampAdmits();
  bool RampFails(Outcome outcome);
  std::optional<Question> RecordProbe(std::uint64_t era, TimePoint now, Outcome outcome, bool slow);
  void Fold();
  void OpenLane();

  const CircuitBreaker::Options& options() const { return plan_->options; }

  const BreakerPlan* plan_;
  BreakerLane& lane_;
  BreakerTally tally_;             // without what the lane has counted since the last Fold
  std::unique_ptr<CallsOut> out_;  // while closed or of the ramp; null unless judges_slow
  TimePoint era_ends_at_;          // if there is that
  bool asks_ = false;              // calls that are out, or new rules, may be a reason to open

  BreakerMode mode_ = BreakerMode::kAutomatic;
  Phase phase_ = Phase::kClosed;
  TimePoint began_;              // the generation; min: before anybody looked
  TimePoint ends_at_;            // the phase, while open or of a step of the ramp; the fixed window
  std::uint64_t first_era_ = 0;  // of the present generation
  std::uint64_t era_ = 0;        // of the lane, or the last probe's number
  std::uint64_t openings_ = 0;   // since it was last closed
  bool unasked_ = false;         // for how long it is open now
  std::optional<Trip> last_trip_;  // without its rule
  std::shared_ptr<const std::string> last_rule_;
  TimePoint latest_ = TimePoint::min();  // that anybody came at

  std::map<std::uint64_t, TimePoint> probes_;  // in flight: the end of each one's lease, in order
  std::size_t step_ = 0;                       // of the ramp
  std::int64_t share_ = 0;                     // of the calls in this step, in billionths
  std::int64_t credit_ = 0;                    // how much of a call it can admit, likewise
  bool proven_ = false;                        // by a success in this step
  std::int64_t more_succeeded_ = 0;            // than failed, of what the ramp admitted

  std::vector<Change> untold_;
  std::size_t told_ = 0;  // of them
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_BREAKER_BREAKER_MACHINE_H_
