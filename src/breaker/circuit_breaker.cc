#include "holdfast/breaker/circuit_breaker.h"

#include <algorithm>
#include <cstddef>

#include "holdfast/base/internal/refusals.h"
#include "holdfast/base/internal/validate.h"
#include "src/breaker/breaker_machine.h"
#include "src/breaker/breaker_totals.h"

namespace holdfast {
namespace {

absl::Status Refused(RejectionKind kind, std::string_view name, std::string_view text) {
  return internal::Refusal(absl::StatusCode::kUnavailable, kind, "CircuitBreak", name, text);
}

// The lease of a probe whose call may take `longest`.
Duration LeaseOf(const CircuitBreaker::Options& options, Duration longest) {
  if (options.probe_lease > Duration::zero()) return options.probe_lease;
  if (longest == Duration::max()) longest = std::chrono::minutes(1);
  return std::max<Duration>(options.timeout, longest);
}

}  // namespace

// Holds the mutex, with the machine advanced to `now`. It releases the mutex to call the user's
// functions (open_time, the rules, on_state_change), those of the options of that moment.
class CircuitBreaker::Turn {
 public:
  Turn(CircuitBreaker& breaker, TimePoint now) : breaker_(breaker), lock_(breaker.mutex_) {
    do breaker_.machine_->Advance(now);
    while (AskOpenTime() || AskRules(now));
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() {
    AskOpenTime();
    Tell();
  }

  internal::BreakerMachine* operator->() const { return breaker_.machine_.get(); }

 private:
  // Releases the mutex. The plan of that moment lives as long as the turn, or until the next LetGo.
  const internal::BreakerPlan& LetGo() {
    auto plan = breaker_.plan_.Read();
    lock_.unlock();
    // After the unlock: this may destroy an older plan, and with it functions of the user's.
    plan_ = std::move(plan);
    return *plan_;
  }

  // False if the breaker has not opened since the last question.
  bool AskOpenTime() {
    const std::optional<std::uint64_t> opening = breaker_.machine_->TakeOpening();
    if (!opening) return false;
    const std::uint64_t generation = breaker_.machine_->generation();
    const Options& options = LetGo().options;
    Duration open_for = options.timeout;
    try {
      open_for = options.open_time(*opening);
    } catch (...) {  // NOLINT(bugprone-empty-catch): then it is `timeout`
    }
    lock_.lock();
    breaker_.machine_->StayOpen(generation, open_for);
    return true;
  }

  // False if the calls that are out give no reason to ask the rules.
  bool AskRules(TimePoint now) {
    const auto question = breaker_.machine_->TakeQuestion();
    if (!question) return false;
    const internal::BreakerPlan& plan = LetGo();
    const internal::BreakerPlan::Rule* const rule = plan.Tripped(question->counts);
    lock_.lock();
    if (rule != nullptr) breaker_.machine_->TripBy(plan, *rule, *question, now);
    return true;
  }

  // One thread at a time reports, so changes are reported in order; a change that a callback makes
  // is reported after the callback has returned.
  void Tell() {
    if (breaker_.telling_) return;
    breaker_.telling_ = true;
    while (const auto change = breaker_.machine_->TakeChange()) {
      const internal::Watch* const watch = breaker_.watches_->present();
      const bool hooked = breaker_.machine_->plan().options.on_state_change != nullptr;
      if (watch == nullptr && !hooked) continue;
      const Event event = EventOf(*change);
      const internal::BreakerPlan& plan = LetGo();
      if (hooked) {
        try {
          plan.options.on_state_change(breaker_.name(), change->from, change->to);
        } catch (...) {  // NOLINT(bugprone-empty-catch): an observer can't change what it observes
        }
      }
      if (watch != nullptr) watch->Tell(event);
      lock_.lock();
    }
    breaker_.telling_ = false;
  }

  Event EventOf(const internal::BreakerMachine::Change& change) const {
    const auto& name = internal::kTransitionNames[static_cast<std::size_t>(change.transition)];
    Event event;
    event.kind = EventKind::kBreakerChanged;
    event.severity = change.to == BreakerState::kOpen ? Severity::kWarning : Severity::kInfo;
    event.at = change.at;
    event.policy = "CircuitBreak";
    event.name = breaker_.name();
    event.key = event.name.substr(event.name.size() - breaker_.key_size_);
    event.state = name.state;
    event.reason = name.cause;
    return event;
  }

  CircuitBreaker& breaker_;
  internal::Versions<internal::BreakerPlan>::Pin plan_;  // outlives the lock
  std::unique_lock<std::mutex> lock_;
};

CircuitBreaker::CircuitBreaker(Options options)
    : name_(options.name),
      watches_(std::make_shared<internal::Watches>()),
      plan_(internal::BreakerPlan(internal::Validated(std::move(options)))),
      open_([this] { return Refused(RejectionKind::kCircuitOpen, name_, "the circuit is open"); }),
      no_place_(Refused(RejectionKind::kTooManyProbes, name_,
                        "the circuit is half-open and admits no more calls for now")),
      machine_(std::make_unique<internal::BreakerMachine>(
          *plan_.Read(), internal::BreakerMachine::Counters(*plan_.Read()), lane_)),
      clock_(plan_.Read()->options.clock) {
  ReadByCalls(plan_.Read()->options);
}

CircuitBreaker::~CircuitBreaker() = default;

void CircuitBreaker::Observe(std::shared_ptr<Observer> observer) const {
  watches_->Add("", internal::NotNull(std::move(observer), "CircuitBreaker: the Observer"));
}

void CircuitBreaker::ReadByCalls(const Options& options) {
  constexpr Duration kZero = Duration::zero();
  needs_end_time_.store(options.interval > kZero || options.slow_call > kZero,
                        std::memory_order_relaxed);
  slow_call_.store(options.slow_call.count(), std::memory_order_relaxed);
  classifies_.store(options.classify != nullptr, std::memory_order_relaxed);
}

CircuitBreaker::Options CircuitBreaker::options() const {
  Options options = plan_.Read()->options;
  options.clock = clock_.given();
  return options;
}

absl::StatusOr<internal::Commit> CircuitBreaker::PrepareUpdate(Options options) {
  using internal::BreakerMachine, internal::BreakerPlan;
  if (absl::Status status =
          internal::KeepNameAndValidate("CircuitBreaker", name_, clock_.given(), options);
      !status.ok()) {
    return status;
  }
  options.clock = plan_.Read()->options.clock;
  BreakerPlan plan(std::move(options));
  BreakerMachine::Counters counters(plan);
  auto next = internal::Versions<BreakerPlan>::Make(std::move(plan));
  // The plan that it replaces is destroyed with the commit, and so with nothing locked.
  internal::Versions<BreakerPlan>::Pin before;
  return [this, next = std::move(next), counters = std::move(counters),
          before = std::move(before)]() mutable {
    const std::lock_guard lock(mutex_);
    before = plan_.Read();
    plan_.Replace(std::move(next));
    const auto now = plan_.Read();
    ReadByCalls(now->options);
    machine_->GoOnBy(*now, counters);
  };
}

Outcome CircuitBreaker::ClassifyOtherwise(const absl::Status& status) const {
  const auto plan = plan_.Read();
  if (plan->options.classify != nullptr) return plan->options.classify(status);
  if (status.ok()) return Outcome::kSuccess;
  return absl::IsCancelled(status) || RejectionOf(status) ? Outcome::kIgnored : Outcome::kFailure;
}

CircuitBreaker::Refusal CircuitBreaker::AdmitOtherwise(TimePoint now, Ticket& ticket,
                                                       Duration longest) {
  const TimePoint retry_at = lane_.retry_at();
  if (now < retry_at) {
    lane_.CountRefusal();
    return {.status = &*open_, .retry_at = retry_at, .spread = lane_.spread()};
  }
  Turn turn(*this, now);
  Refusal refusal = {.spread = lane_.spread(), .dry_run = turn->dry_run()};
  const Duration lease = LeaseOf(turn->plan().options, longest);
  switch (turn->Admit(now, lease, ticket.breaker_.get_deleter().era)) {
    case internal::BreakerMachine::Answer::kAdmitted:
      ticket.Fill(this, now);
      return {};
    case internal::BreakerMachine::Answer::kOpen:
      if (!refusal.dry_run) lane_.CountRefusal();
      refusal.status = &*open_;
      refusal.retry_at = turn->retry_at();
      break;
    case internal::BreakerMachine::Answer::kNoPlace:
      refusal.status = &no_place_;
      break;
  }
  return refusal;
}

void internal::BreakerTicketDeleter::operator()(CircuitBreaker* breaker) const noexcept {
  breaker->RecordOtherwise(*this, TimePoint::min(), Outcome::kIgnored);
}

void CircuitBreaker::RecordOtherwise(const internal::BreakerTicketDeleter& admission, TimePoint now,
                                     Outcome outcome) noexcept {
  lane_.CountOutcome(outcome, IsSlow(admission, now));
  try {
    RecordLocked(admission, now, outcome);
  } catch (...) {  // NOLINT(bugprone-empty-catch): for want of memory
  }
}

void CircuitBreaker::RecordLocked(const internal::BreakerTicketDeleter& admission, TimePoint now,
                                  Outcome outcome) {
  std::optional<internal::BreakerMachine::Question> question;
  {
    Turn turn(*this, now);
    question = turn->Record(admission.era, now, outcome, IsSlow(admission, now));
  }
  if (!question) return;
  const auto plan = plan_.Read();
  if (const auto* const rule = plan->Tripped(question->counts)) {
    Turn(*this, now)->TripBy(*plan, *rule, *question, now);
  }
}

BreakerState CircuitBreaker::StateAt(TimePoint now) { return Turn(*this, now)->state(); }

BreakerCounts CircuitBreaker::CountsAt(TimePoint now) { return Turn(*this, now)->Counts(); }

std::optional<Trip> CircuitBreaker::last_trip() const {
  const std::lock_guard lock(mutex_);
  return machine_->last_trip();
}

BreakerMode CircuitBreaker::mode() const {
  const std::lock_guard lock(mutex_);
  return machine_->mode();
}

void CircuitBreaker::SetModeAt(TimePoint now, BreakerMode mode) {
  Turn(*this, now)->SetMode(mode, now);
}

void CircuitBreaker::ResetAt(TimePoint now) { Turn(*this, now)->Reset(now); }

BreakerSnapshot CircuitBreaker::SnapshotAt(TimePoint now) {
  return Turn(*this, now)->Snapshot(now);
}

absl::Status CircuitBreaker::RestoreAt(TimePoint now, const BreakerSnapshot& snapshot,
                                       TimeSpan elapsed) {
  if (absl::Status status = Validate(snapshot); !status.ok()) return status;
  Turn(*this, now)->Restore(snapshot, now, elapsed);
  return absl::OkStatus();
}

}  // namespace holdfast
