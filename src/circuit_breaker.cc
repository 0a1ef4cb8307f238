#include "holdfast/circuit_breaker.h"

#include <absl/strings/str_cat.h>

#include <array>
#include <cstddef>

#include "holdfast/internal/validate.h"

namespace holdfast {
namespace {

absl::Status Refusal(RejectionKind kind, const std::string& name, absl::string_view text) {
  return MakeRejection(absl::StatusCode::kUnavailable,
                       {.kind = kind, .policy = "CircuitBreak", .name = name},
                       absl::StrCat("CircuitBreak", name.empty() ? "" : " ", name, ": ", text));
}

std::string WhatIsWrong(const CircuitBreaker::Options& options) {
  constexpr Duration kZero = Duration::zero();
  if (options.max_requests < 1) return "max_requests must be >= 1";
  if (options.interval < kZero) return "interval must be >= 0";
  if (options.bucket_period < kZero) return "bucket_period must be >= 0";
  if (options.bucket_period > kZero && options.interval == kZero) {
    return "bucket_period needs an interval";
  }
  if (options.bucket_period > kZero &&
      options.interval / options.bucket_period >= CircuitBreaker::kMaxBuckets) {
    return absl::StrCat("interval / bucket_period must be at most ", CircuitBreaker::kMaxBuckets);
  }
  if (options.timeout <= kZero) return "timeout must be > 0";
  if (options.slow_call < kZero) return "slow_call must be >= 0";
  return "";
}

}  // namespace

std::string_view ToString(BreakerState state) {
  constexpr std::array<std::string_view, 3> kNames = {"closed", "half-open", "open"};
  return kNames[static_cast<std::size_t>(state)];
}

absl::Status Validate(const CircuitBreaker::Options& options) {
  const std::string wrong = WhatIsWrong(options);
  if (wrong.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("CircuitBreaker ", options.name, ": ", wrong));
}

CircuitBreaker::CircuitBreaker(Options options)
    : options_(internal::Validated(std::move(options))),
      needs_end_time_(options_.interval > Duration::zero() ||
                      options_.slow_call > Duration::zero()),
      open_(Refusal(RejectionKind::kCircuitOpen, options_.name, "the circuit is open")),
      too_many_probes_(Refusal(RejectionKind::kTooManyProbes, options_.name,
                               "half-open, and all its probes are out")),
      window_(options_.interval, options_.bucket_period) {
  options_.clock = internal::NullIfSteady(options_.clock);
  BeginGeneration(BreakerState::kClosed, TimePoint::min());
  // A fixed window begins with the first look, whatever clock that is of.
  if (options_.interval > Duration::zero()) {
    expiry_.store(TimePoint::min().time_since_epoch().count(), std::memory_order_release);
  }
}

absl::StatusOr<Ticket> CircuitBreaker::AdmitOtherwise(TimePoint now) {
  if (now <= open_until()) return open_;
  absl::StatusOr<Ticket> admitted = open_;
  {
    const std::lock_guard lock(mutex_);
    Advance(now);
    const std::uint64_t generation = generation_.load(std::memory_order_relaxed);
    if (state_ == BreakerState::kOpen) return open_;  // another thread's outcome came in between
    if (state_ == BreakerState::kHalfOpen) {
      const auto spoken_for = static_cast<std::int64_t>(counts_.successes) + probes_;
      if (spoken_for >= options_.max_requests) {
        admitted = too_many_probes_;
      } else {
        ++probes_;
        expiry_.store(SaturatingAdd(now, options_.timeout).time_since_epoch().count(),
                      std::memory_order_release);
        admitted = Ticket(this, generation, now, window_.age());
      }
    } else {
      admitted = Ticket(this, generation, now, window_.age());
    }
    if (admitted.ok()) window_.Add(window_.age(), {.requests = 1}, counts_);
  }
  TellChanges();
  return admitted;
}

BreakerState CircuitBreaker::StateAt(TimePoint now) {
  BreakerState state;
  {
    const std::lock_guard lock(mutex_);
    Advance(now);
    state = state_;
  }
  TellChanges();
  return state;
}

BreakerCounts CircuitBreaker::CountsAt(TimePoint now) {
  BreakerCounts counts;
  {
    const std::lock_guard lock(mutex_);
    Advance(now);
    Fold();
    counts = counts_;
  }
  TellChanges();
  return counts;
}

void CircuitBreaker::RecordSlowly(const Ticket& ticket, TimePoint now, Outcome outcome) {
  BreakerCounts counts;
  bool may_trip = false;
  {
    const std::lock_guard lock(mutex_);
    Advance(now);
    if (generation_.load(std::memory_order_relaxed) == ticket.generation_) {
      may_trip = Count(ticket, now, outcome);
      counts = counts_;
    }
  }
  if (may_trip && ReadyToTrip(counts)) {
    const std::lock_guard lock(mutex_);
    if (generation_.load(std::memory_order_relaxed) == ticket.generation_) {
      BeginGeneration(BreakerState::kOpen, now);
    }
  }
  TellChanges();
}

void CircuitBreaker::Advance(TimePoint now) {
  const auto expiry = [this] {
    return TimePoint(Duration(expiry_.load(std::memory_order_relaxed)));
  };
  if (state_ == BreakerState::kHalfOpen && probes_ > 0 && now > expiry()) {
    // As if the probe that hangs had failed then.
    BeginGeneration(BreakerState::kOpen, expiry());
  }
  if (state_ == BreakerState::kOpen && now > open_until()) {
    BeginGeneration(BreakerState::kHalfOpen, now);
  }
  if (state_ == BreakerState::kClosed) {
    if (now > expiry()) BeginGeneration(BreakerState::kClosed, now);
    window_.Roll(now, counts_);
  }
}

void CircuitBreaker::BeginGeneration(BreakerState state, TimePoint now) {
  constexpr TimePoint kNever = TimePoint::max();
  const std::uint64_t admitted = admitted_.fetch_and(~kFast, std::memory_order_acq_rel) & ~kFast;
  const std::uint64_t succeeded = succeeded_.fetch_or(kSlow, std::memory_order_acq_rel) & ~kSlow;

  if (state != state_) untold_.push_back({state_, state});
  state_ = state;
  counts_ = BreakerCounts{};
  probes_ = 0;
  window_.Clear(now);
  const bool fixed_window = options_.interval > Duration::zero() && !Rolling();
  const TimePoint expiry = state == BreakerState::kClosed && fixed_window
                               ? SaturatingAdd(now, options_.interval)
                               : kNever;
  const TimePoint open_until =
      state == BreakerState::kOpen ? SaturatingAdd(now, options_.timeout) : TimePoint::min();
  generation_.store(generation_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  expiry_.store(expiry.time_since_epoch().count(), std::memory_order_release);
  open_until_.store(open_until.time_since_epoch().count(), std::memory_order_release);

  folded_admitted_ = admitted + kOne;
  folded_succeeded_ = succeeded + kOne;
  const bool fast = state == BreakerState::kClosed && !Rolling();
  admitted_.store(folded_admitted_ | (fast ? kFast : 0), std::memory_order_release);
  succeeded_.store(folded_succeeded_ | (fast ? 0 : kSlow), std::memory_order_release);
}

// Brings counts_ up to date with the words.
void CircuitBreaker::Fold() {
  const std::uint64_t succeeded = succeeded_.load(std::memory_order_acquire) & ~kSlow;
  const std::uint64_t admitted = admitted_.load(std::memory_order_acquire) & ~kFast;
  const std::uint64_t successes = (succeeded - folded_succeeded_) / kOne;
  counts_.requests += (admitted - folded_admitted_) / kOne;
  counts_.successes += successes;
  counts_.consecutive_successes += successes;
  folded_admitted_ = admitted;
  folded_succeeded_ = succeeded;
}

// Counts an outcome of the present generation. True if ready_to_trip is to be asked.
bool CircuitBreaker::Count(const Ticket& ticket, TimePoint now, Outcome outcome) {
  const bool closed = state_ == BreakerState::kClosed;
  // From here until the bit is cleared no success is counted in the word, so the order of this
  // outcome among the successes is that of the bit.
  succeeded_.fetch_or(kSlow, std::memory_order_acq_rel);
  Fold();
  if (!closed) --probes_;
  const bool known = window_.Add(ticket.age_,
                                 {.successes = outcome == Outcome::kSuccess ? 1U : 0U,
                                  .failures = outcome == Outcome::kFailure ? 1U : 0U,
                                  .ignored = outcome == Outcome::kIgnored ? 1U : 0U,
                                  .slow = outcome != Outcome::kIgnored && IsSlow(ticket, now)},
                                 counts_);
  if (known && outcome == Outcome::kSuccess) {
    ++counts_.consecutive_successes;
    counts_.consecutive_failures = 0;
  } else if (known && outcome == Outcome::kFailure) {
    ++counts_.consecutive_failures;
    counts_.consecutive_successes = 0;
  }
  if (closed) {
    if (!Rolling() && counts_.consecutive_failures == 0) {
      succeeded_.fetch_and(~kSlow, std::memory_order_acq_rel);
    }
    return known && outcome == Outcome::kFailure;
  }
  if (outcome == Outcome::kFailure) {
    BeginGeneration(BreakerState::kOpen, now);
  } else if (static_cast<std::int64_t>(counts_.successes) >= options_.max_requests) {
    BeginGeneration(BreakerState::kClosed, now);
  }
  return false;
}

bool CircuitBreaker::ReadyToTrip(const BreakerCounts& counts) const {
  if (options_.ready_to_trip == nullptr) return counts.consecutive_failures > 5;
  try {
    return options_.ready_to_trip(counts);
  } catch (...) {
    return false;
  }
}

// Outside of the mutex, by one thread at a time: so changes are told in order, and a callback that
// makes one finds it told after its own return.
void CircuitBreaker::TellChanges() {
  std::unique_lock lock(mutex_);
  if (telling_) return;
  telling_ = true;
  while (!untold_.empty()) {
    const Change change = untold_.front();
    untold_.pop_front();
    if (options_.on_state_change == nullptr) continue;
    lock.unlock();
    try {
      options_.on_state_change(options_.name, change.from, change.to);
    } catch (...) {  // NOLINT(bugprone-empty-catch): an observer can't change what it observes
    }
    lock.lock();
  }
  telling_ = false;
}

}  // namespace holdfast
