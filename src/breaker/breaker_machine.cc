#include "src/breaker/breaker_machine.h"

#include <algorithm>
#include <utility>

namespace holdfast::internal {

BreakerMachine::Counters::Counters(const BreakerPlan& plan)
    : tally(plan.options),
      out(plan.judges_slow ? std::make_unique<CallsOut>(plan.options.slow_call) : nullptr) {}

BreakerMachine::BreakerMachine(const BreakerPlan& plan, Counters counters, BreakerLane& lane)
    : plan_(&plan), lane_(lane), tally_(std::move(counters.tally)), out_(std::move(counters.out)) {
  Begin(Phase::kClosed, TimePoint::min());
}

void BreakerMachine::GoOnBy(const BreakerPlan& plan, Counters& counters) {
  const bool counts_on = plan.CountsAs(*plan_);
  if (!counts_on) Fold();
  plan_ = &plan;
  if (counts_on) return;
  const std::uint64_t run = tally_.totals().consecutive_failures;
  std::swap(tally_, counters.tally);
  std::swap(out_, counters.out);
  switch (phase_) {
    case Phase::kClosed:  // as at first: a window of time begins with the next Advance
      Begin(Phase::kClosed, TimePoint::min());
      return tally_.ContinueRun(run);
    case Phase::kProbing:
    case Phase::kRamping:
      return Begin(Phase::kProbing, began_);
    case Phase::kOpen:
      tally_.Clear(began_, first_era_);
      if (out_ != nullptr) out_->Clear(first_era_);
  }
}

// A rolling window of one bucket is a fixed window of its period.
Duration BreakerMachine::FixedWindow() const {
  return tally_.rolling() ? TimeSpan() : std::max(options().interval, options().bucket_period);
}

void BreakerMachine::Advance(TimePoint now) {
  constexpr std::size_t kMostChanges = 8;  // more than come until the next Advance
  if (untold_.capacity() - untold_.size() < kMostChanges) {
    untold_.erase(untold_.begin(), untold_.begin() + static_cast<std::ptrdiff_t>(told_));
    told_ = 0;
    untold_.reserve(std::max(2 * untold_.size(), untold_.size() + kMostChanges));
  }
  latest_ = std::max(latest_, now);
  if (mode_ == BreakerMode::kForcedOpen) return;
  // Not at `now`, because a dropped ticket has no time.
  if (phase_ == Phase::kProbing && ProbesSuffice()) GoOnFromProbes(latest_);
  if (phase_ == Phase::kProbing && now > probes_.first_lease_end()) {
    Open(probes_.first_lease_end(), TripCause::kProbeHung, Counts());  // as if it had failed then
  }
  if (phase_ == Phase::kOpen && !unasked_ && now > ends_at_) {
    Enter(Phase::kProbing, now, BreakerTransition::kHalfOpenedByTime);
  }
  if (phase_ == Phase::kRamping && ramp_.Climb(options(), now)) {
    Enter(Phase::kClosed, now, BreakerTransition::kClosedByRamp);
  }
  if (phase_ == Phase::kClosed || phase_ == Phase::kRamping) MoveWindow(now);
}

std::optional<std::uint64_t> BreakerMachine::TakeOpening() {
  if (!std::exchange(unasked_, false)) return std::nullopt;
  return openings_;
}

void BreakerMachine::StayOpen(std::uint64_t generation, Duration open_for) {
  if (generation != first_era_) return;
  RefuseUntil(SaturatingAdd(began_, std::max(open_for, Duration(1))));
}

BreakerMachine::Answer BreakerMachine::Admit(TimePoint now, Duration lease, std::uint64_t& era) {
  switch (phase_) {
    case Phase::kOpen:
      return Answer::kOpen;
    case Phase::kProbing: {
      const std::uint64_t taken = tally_.totals().successes + probes_.in_flight();
      if (taken >= static_cast<std::uint64_t>(options().max_requests)) return NoPlace();
      probes_.Add(era_ + 1, SaturatingAdd(std::max(now, began_), lease));
      era = ++era_;
      tally_.Admit(first_era_, 1);
      return Answer::kAdmitted;
    }
    case Phase::kRamping:
      if (!ramp_.Admit()) return NoPlace();
      [[fallthrough]];
    case Phase::kClosed:
      era = era_;
      AdmitOne();
      return Answer::kAdmitted;
  }
  return Answer::kOpen;
}

BreakerMachine::Answer BreakerMachine::NoPlace() {
  if (!dry_run()) ++no_place_;
  return Answer::kNoPlace;
}

void BreakerMachine::AdmitOne() {
  tally_.Admit(era_, 1);
  if (out_ != nullptr) out_->Admit(1);
}

std::optional<BreakerMachine::Question> BreakerMachine::Record(std::uint64_t era, TimePoint now,
                                                               Outcome outcome, bool slow) {
  if (era < first_era_ || phase_ == Phase::kOpen) {
    if (out_ != nullptr) out_->End(era, 1);  // it may be of an earlier fixed window
    return std::nullopt;
  }
  if (phase_ == Phase::kProbing) return RecordProbe(era, now, outcome, slow);
  Fold();
  tally_.Record(era, outcome, slow);
  if (out_ != nullptr) out_->End(era, 1);
  if (phase_ == Phase::kRamping && !ramp_.Record(outcome)) {
    Open(now, TripCause::kRampFailed, Counts());
    return std::nullopt;
  }
  slow = slow && outcome != Outcome::kIgnored;
  if (!Deciding() || (outcome != Outcome::kFailure && !slow)) return std::nullopt;
  return Question{first_era_, Tallied()};
}

std::optional<BreakerMachine::Question> BreakerMachine::TakeQuestion() {
  if (!std::exchange(asks_, false) || !Deciding()) return std::nullopt;
  return Question{first_era_, Counts()};
}

std::optional<BreakerMachine::Question> BreakerMachine::RecordProbe(std::uint64_t era,
                                                                    TimePoint now, Outcome outcome,
                                                                    bool slow) {
  probes_.End(era);
  tally_.Record(first_era_, outcome, slow);
  if (outcome == Outcome::kFailure ||
      (outcome == Outcome::kSuccess && slow && plan_->judges_slow)) {
    Open(now, TripCause::kProbeFailed, Counts());
  } else if (ProbesSuffice()) {
    GoOnFromProbes(now);
  }
  return std::nullopt;
}

bool BreakerMachine::ProbesSuffice() const {
  return tally_.totals().successes >= static_cast<std::uint64_t>(options().max_requests);
}

void BreakerMachine::GoOnFromProbes(TimePoint now) {
  Enter(options().ramp.empty() ? Phase::kClosed : Phase::kRamping, now,
        BreakerTransition::kClosedByProbes);
}

void BreakerMachine::TripBy(const BreakerPlan& plan, const BreakerPlan::Rule& rule,
                            const Question& question, TimePoint now) {
  if (question.generation != first_era_ || !Deciding()) return;
  if (&plan != plan_) {
    asks_ = true;
    return;
  }
  Open(now, TripCause::kRule, question.counts);
  last_rule_ = rule.name;
}

BreakerState BreakerMachine::StateOf(Phase phase) {
  switch (phase) {
    case Phase::kClosed:
      return BreakerState::kClosed;
    case Phase::kOpen:
      return BreakerState::kOpen;
    case Phase::kProbing:
    case Phase::kRamping:
      return BreakerState::kHalfOpen;
  }
  return BreakerState::kClosed;
}

std::optional<Trip> BreakerMachine::last_trip() const {
  std::optional<Trip> trip = last_trip_;
  if (trip && last_rule_ != nullptr) trip->rule = *last_rule_;
  return trip;
}

BreakerCounts BreakerMachine::Counts() {
  Fold();
  return Tallied();
}

BreakerCounts BreakerMachine::Tallied() { return WithHung(tally_.Counts(), out_.get()); }

BreakerCounts BreakerMachine::LookAtCounts() const {
  const BreakerLane::Count count = lane_.Peek();
  const BreakerCounts counts =
      tally_.CountsWith(count.admitted, count.succeeded + count.succeeded_before);
  if (out_ == nullptr) return counts;
  CallsOut out = *out_;
  Watch(out, count);
  return WithHung(counts, &out);
}

BreakerCounts BreakerMachine::WithHung(BreakerCounts counts, const CallsOut* out) {
  if (out == nullptr) return counts;
  counts.hung = out->hung();
  counts.slow += counts.hung;
  return counts;
}

void BreakerMachine::SetMode(BreakerMode mode, TimePoint now) {
  const BreakerMode before = std::exchange(mode_, mode);
  if (mode == before) return;
  if (mode == BreakerMode::kForcedOpen) {
    Open(now, TripCause::kByHand, Counts());
  } else if (mode == BreakerMode::kForcedClosed) {
    if (phase_ != Phase::kClosed) Enter(Phase::kClosed, now, BreakerTransition::kClosedByHand);
  } else if (before == BreakerMode::kForcedOpen) {
    Enter(Phase::kProbing, now, BreakerTransition::kHalfOpenedByHand);
  } else if (phase_ == Phase::kOpen) {
    RefuseUntil(ends_at_);  // to or from kMetricsOnly, in which the lane refuses nothing
  }
}

void BreakerMachine::Reset(TimePoint now) {
  mode_ = BreakerMode::kAutomatic;
  last_trip_.reset();
  returns_.Clear();
  Enter(Phase::kClosed, now, BreakerTransition::kClosedByHand);
}

BreakerSnapshot BreakerMachine::Snapshot(TimePoint now) const {
  const bool ends = phase_ == Phase::kOpen && mode_ != BreakerMode::kForcedOpen;
  return {.state = state(),
          .mode = mode_,
          .openings = openings_,
          .open_for =
              ends ? std::max(SaturatingSub(ends_at_, now), Duration::zero()) : Duration::zero()};
}

void BreakerMachine::Restore(const BreakerSnapshot& snapshot, TimePoint now, Duration elapsed) {
  mode_ = snapshot.mode;
  last_trip_.reset();
  switch (snapshot.state) {
    case BreakerState::kClosed:
      return Enter(Phase::kClosed, now, BreakerTransition::kClosedByRestore);
    case BreakerState::kHalfOpen:
      Enter(Phase::kProbing, now, BreakerTransition::kHalfOpenedByRestore);
      break;
    case BreakerState::kOpen: {
      const Duration most = options().open_time ? std::chrono::hours(24) : options().timeout;
      const Duration rest =
          snapshot.open_for - std::clamp<Duration>(elapsed, Duration::zero(), snapshot.open_for);
      Enter(Phase::kOpen, now, BreakerTransition::kOpenedByRestore);
      RefuseUntil(mode_ == BreakerMode::kForcedOpen ? TimePoint::max()
                                                    : SaturatingAdd(now, std::min(rest, most)));
    }
  }
  openings_ = snapshot.openings;
}

std::optional<BreakerMachine::Change> BreakerMachine::TakeChange() {
  if (told_ == untold_.size()) return std::nullopt;
  return untold_[told_++];
}

void BreakerMachine::Enter(Phase phase, TimePoint now, BreakerTransition transition) {
  if (StateOf(phase) != state()) {
    untold_.push_back({state(), StateOf(phase), transition, now});
    ++transitions_[static_cast<std::size_t>(transition)];
  }
  Begin(phase, now);
}

void BreakerMachine::Begin(Phase phase, TimePoint now) {
  if (out_ != nullptr) out_->Clear(era_ + 2);
  BeginGeneration(phase, now);
}

void BreakerMachine::BeginGeneration(Phase phase, TimePoint now) {
  phase_ = phase;
  lane_.Shut();
  lane_.Take();  // the counts of the generation before are dropped
  lane_.RefuseBefore(TimePoint::min());
  first_era_ = era_ = era_ + 2;
  began_ = now;
  ends_at_ = TimePoint::max();
  unasked_ = false;
  tally_.Clear(now, first_era_);
  probes_.Clear();
  asks_ = false;
  if (phase == Phase::kRamping) {
    BeginEra(now);
    ramp_.Begin(options(), now);
    // It is going to reject some calls for that long.
    const Duration length = BreakerRamp::Length(options());
    lane_.set_spread(returns_.Ramp(length, SaturatingAdd(now, length)));
  }
  if (phase != Phase::kClosed) return;
  openings_ = 0;
  if (FixedWindow() > Duration::zero()) ends_at_ = SaturatingAdd(now, FixedWindow());
  BeginEra(now);
  OpenLane();
}

void BreakerMachine::Open(TimePoint now, TripCause cause, const BreakerCounts& counts) {
  // The caller's `now` may be older than that of another caller who came first.
  if (cause != TripCause::kProbeHung) now = std::max(now, latest_);
  const bool by_hand = cause == TripCause::kByHand;
  last_trip_ = {
      .cause = cause, .counts = counts, .at = now, .openings = by_hand ? openings_ : openings_ + 1};
  last_rule_ = nullptr;
  returns_.Open(now, phase_ == Phase::kClosed || phase_ == Phase::kRamping);
  Enter(Phase::kOpen, now, static_cast<BreakerTransition>(cause));
  openings_ = last_trip_->openings;
  unasked_ = !by_hand && options().open_time != nullptr;
  RefuseUntil(by_hand ? TimePoint::max() : SaturatingAdd(now, options().timeout));
}

void BreakerMachine::RefuseUntil(TimePoint until) {
  ends_at_ = until;
  lane_.set_spread(until == TimePoint::max()
                       ? Duration::zero()
                       : returns_.Refuse(SaturatingSub(until, began_), until));
  lane_.RefuseBefore(dry_run() ? TimePoint::min() : retry_at());
}

void BreakerMachine::MoveWindow(TimePoint now) {
  // The first window of time begins with the first Advance, because only that tells the time.
  const bool anew = began_ == TimePoint::min() ? options().interval > Duration::zero()
                                               : phase_ == Phase::kClosed && now > ends_at_;
  if (anew) {
    lane_.Shut();
    Fold();
    const std::uint64_t run = tally_.totals().consecutive_failures;
    BeginGeneration(Phase::kClosed, now);
    tally_.ContinueRun(run);
    asks_ = AnyHung();
    return;
  }
  const std::uint64_t era = EraAt(now);
  if (era != era_) {
    lane_.Shut();
    Fold();
    tally_.Roll(era);
    era_ = era;
    BeginEra(now);
    asks_ = asks_ || AnyHung();
  } else if (out_ != nullptr && latest_ > out_->NoneBefore()) {
    const std::uint64_t hung = out_->hung();
    lane_.Shut();
    Fold();
    asks_ = asks_ || out_->hung() > hung;
  } else {
    return;
  }
  if (phase_ == Phase::kClosed) OpenLane();
}

// Where CallsOut watches calls, an era lasts for slow_call at most.
std::uint64_t BreakerMachine::EraAt(TimePoint now) const {
  if (out_ == nullptr || tally_.rolling()) return tally_.EraAt(now);
  return now > era_ends_at_ ? era_ + 1 : era_;
}

// Until when no call that is out can become hung, nor a new era begin for CallsOut.
TimePoint BreakerMachine::NextLook() const {
  return out_ == nullptr ? TimePoint::max() : std::min(era_ends_at_, out_->NoneBefore());
}

void BreakerMachine::BeginEra(TimePoint now) {
  if (out_ == nullptr) return;
  era_ends_at_ = tally_.rolling() ? tally_.end() : SaturatingAdd(now, options().slow_call);
  if (phase_ == Phase::kClosed) era_ends_at_ = std::min(era_ends_at_, ends_at_);
  out_->BeginEra(era_, now, era_ends_at_);
}

void BreakerMachine::OpenLane() {
  lane_.Open(era_, began_ == TimePoint::min() && options().interval > Duration::zero()
                       ? TimePoint::min()
                       : std::min({tally_.end(), ends_at_, NextLook()}));
}

// Brings the tally up to date with the lane.
void BreakerMachine::Fold() {
  const BreakerLane::Count count = lane_.Take();
  tally_.Admit(era_, count.admitted);
  tally_.Succeed(era_ - 1, count.succeeded_before);
  tally_.Succeed(era_, count.succeeded);
  if (out_ != nullptr) Watch(*out_, count);
}

// Brings the calls that are out up to date with the lane.
void BreakerMachine::Watch(CallsOut& out, const BreakerLane::Count& count) const {
  out.Admit(count.admitted);
  out.End(era_ - 1, count.succeeded_before);
  out.End(era_, count.succeeded);
  out.Age(latest_);
}

}  // namespace holdfast::internal
