#include "holdfast/breaker/circuit_breaker.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "holdfast/base/internal/validate.h"
#include "src/breaker/breaker_machine.h"

namespace holdfast {
namespace {

absl::Status Refuse(RejectionKind kind, const std::string& name, absl::string_view text) {
  return MakeRejection(absl::StatusCode::kUnavailable,
                       {.kind = kind, .policy = "CircuitBreak", .name = name},
                       absl::StrCat("CircuitBreak", name.empty() ? "" : " ", name, ": ", text));
}

std::string WhatIsWrongWithTheWindow(const CircuitBreaker::Options& options) {
  constexpr Duration kZero = Duration::zero();
  if (options.interval < kZero) return "interval must be >= 0";
  if (options.bucket_period < kZero) return "bucket_period must be >= 0";
  if (options.bucket_period > kZero && options.interval == kZero) {
    return "bucket_period needs an interval";
  }
  if (options.bucket_period > kZero &&
      internal::RollingWindow::BucketCount(options.interval, options.bucket_period) >
          CircuitBreaker::kMaxBuckets) {
    return absl::StrCat("interval / bucket_period must be at most ", CircuitBreaker::kMaxBuckets);
  }
  if (options.last_calls < 0 || options.last_calls > CircuitBreaker::kMaxLastCalls) {
    return absl::StrCat("last_calls must be in 0 to ", CircuitBreaker::kMaxLastCalls);
  }
  if (options.last_calls > 0 && options.interval > kZero) {
    return "a window is of time, by interval, or of last_calls, not of both";
  }
  return "";
}

std::string WhatIsWrong(const CircuitBreaker::Options& options) {
  constexpr Duration kZero = Duration::zero();
  if (options.max_requests < 1) return "max_requests must be >= 1";
  if (std::string wrong = WhatIsWrongWithTheWindow(options); !wrong.empty()) return wrong;
  if (options.timeout <= kZero) return "timeout must be > 0";
  if (options.probe_lease < kZero) return "probe_lease must be >= 0";
  if (!std::ranges::all_of(options.ramp, [](double share) { return share > 0 && share <= 1; })) {
    return "the shares of a ramp are in (0, 1]";
  }
  if (!options.ramp.empty() && options.ramp_step <= kZero) return "ramp_step must be > 0";
  if (options.slow_call < kZero) return "slow_call must be >= 0";
  for (const TripRule& rule : options.rules) {
    if (rule.tripped == nullptr) return absl::StrCat("rule \"", rule.name, "\" has no function");
    if (rule.needs_slow_call && options.slow_call == kZero) {
      return absl::StrCat("rule \"", rule.name, "\" needs slow_call");
    }
  }
  return "";
}

// How long a probe may take where its call may take `longest`.
Duration LeaseOf(const CircuitBreaker::Options& options, Duration longest) {
  if (options.probe_lease > Duration::zero()) return options.probe_lease;
  if (longest == Duration::max()) longest = std::chrono::minutes(1);
  return std::max<Duration>(options.timeout, longest);
}

}  // namespace

absl::Status Validate(const CircuitBreaker::Options& options) {
  const std::string wrong = WhatIsWrong(options);
  if (wrong.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("CircuitBreaker ", options.name, ": ", wrong));
}

// Holds the mutex, with the machine at `now`, and lets go of it wherever somebody has to be asked
// or told, by the options of that moment.
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
  // Lets go of the mutex. The plan of then lives as long as the turn, or until it lets go again.
  const internal::BreakerPlan& LetGo() {
    auto plan = breaker_.plan_.Read();
    lock_.unlock();
    // Not before: there may be functions of the user's in the one that ends here.
    plan_ = std::move(plan);
    return *plan_;
  }

  // False if it has not opened.
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

  // False if nothing has to be asked about calls that are out.
  bool AskRules(TimePoint now) {
    const auto question = breaker_.machine_->TakeQuestion();
    if (!question) return false;
    const internal::BreakerPlan& plan = LetGo();
    const internal::BreakerPlan::Rule* const rule = plan.Tripped(question->counts);
    lock_.lock();
    if (rule != nullptr) breaker_.machine_->TripBy(plan, *rule, *question, now);
    return true;
  }

  // By one thread at a time: so changes are told in order, and a callback that makes one finds it
  // told after its own return.
  void Tell() {
    if (breaker_.telling_) return;
    breaker_.telling_ = true;
    while (const auto change = breaker_.machine_->TakeChange()) {
      if (breaker_.machine_->plan().options.on_state_change == nullptr) continue;
      const internal::BreakerPlan& plan = LetGo();
      try {
        plan.options.on_state_change(breaker_.name(), change->from, change->to);
      } catch (...) {  // NOLINT(bugprone-empty-catch): an observer can't change what it observes
      }
      lock_.lock();
    }
    breaker_.telling_ = false;
  }

  CircuitBreaker& breaker_;
  internal::Versions<internal::BreakerPlan>::Pin plan_;  // outlives the lock
  std::unique_lock<std::mutex> lock_;
};

CircuitBreaker::CircuitBreaker(Options options)
    : name_(options.name),
      plan_(internal::BreakerPlan(internal::Validated(std::move(options)))),
      open_([this] { return Refuse(RejectionKind::kCircuitOpen, name_, "the circuit is open"); }),
      no_place_(Refuse(RejectionKind::kTooManyProbes, name_,
                       "half-open, and no more are admitted for now")),
      machine_(std::make_unique<internal::BreakerMachine>(
          *plan_.Read(), internal::BreakerMachine::Counters(*plan_.Read()), lane_)),
      clock_(plan_.Read()->options.clock) {
  ReadByCalls(plan_.Read()->options);
}

CircuitBreaker::~CircuitBreaker() = default;

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
          internal::CheckSame("CircuitBreaker", name_, options.name, clock_.given(), options.clock);
      !status.ok()) {
    return status;
  }
  options.name = name_;
  options.clock = plan_.Read()->options.clock;
  if (absl::Status status = Validate(options); !status.ok()) return status;
  BreakerPlan plan(std::move(options));
  BreakerMachine::Counters counters(plan);
  auto next = internal::Versions<BreakerPlan>::Make(std::move(plan));
  // What it replaces ends with the commit, and so with nothing locked.
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
    return {.status = &*open_, .retry_at = retry_at, .spread = lane_.open_for()};
  }
  Turn turn(*this, now);
  Refusal refusal = {.spread = lane_.open_for(), .dry_run = turn->dry_run()};
  switch (turn->Admit(now, LeaseOf(turn->plan().options, longest), ticket.era_)) {
    case internal::BreakerMachine::Answer::kAdmitted:
      ticket.breaker_ = this;
      ticket.admitted_at_ = now;
      return {};
    case internal::BreakerMachine::Answer::kOpen:
      refusal.status = &*open_;
      refusal.retry_at = turn->retry_at();
      break;
    case internal::BreakerMachine::Answer::kNoPlace:
      refusal.status = &no_place_;
      break;
  }
  return refusal;
}

void CircuitBreaker::RecordOtherwise(const Ticket& ticket, TimePoint now, Outcome outcome) {
  std::optional<internal::BreakerMachine::Question> question;
  {
    Turn turn(*this, now);
    question = turn->Record(ticket.era_, now, outcome, IsSlow(ticket, now));
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
