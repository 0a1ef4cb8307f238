#include "holdfast/retry/retry.h"

#include <absl/random/distributions.h>

#include <algorithm>
#include <mutex>
#include <random>

#include "holdfast/base/internal/options_checker.h"

namespace holdfast {
namespace {

RetryCause CauseOf(const absl::Status& outcome) {
  switch (outcome.code()) {
    case absl::StatusCode::kResourceExhausted:
      return RetryCause::kThrottled;
    case absl::StatusCode::kDeadlineExceeded:
      return RetryCause::kTimedOut;
    default:
      return RetryCause::kTransient;
  }
}

Duration Uniform(absl::BitGenRef gen, Duration most) {
  return Duration(absl::Uniform<std::int64_t>(gen, 0, most.count()));
}

void Tell(const RetryHook& hook, const Call& call, const RetryEvent& event) {
  if (hook == nullptr) return;
  try {
    hook(call, event);
  } catch (...) {  // NOLINT(bugprone-empty-catch): a hook must not change the call
  }
}

}  // namespace

RetryOptions RetryOptions::Retryablehttp() {
  using std::chrono::seconds;
  return {.max_attempts = 5,
          .backoff = Backoff::Exponential(
              {.initial = seconds(1), .max = seconds(30), .jitter = Jitter::kNone}),
          .budget = RetryBudget::Unlimited()};
}

absl::Status Validate(const RetryOptions& options) {
  internal::OptionsChecker check("Retry");
  check(options.max_attempts >= 1, "max_attempts must be >= 1, not ", options.max_attempts);
  check(options.max_elapsed >= Duration::zero(), "max_elapsed must be >= 0");
  check(options.max_retry_after >= Duration::zero(), "max_retry_after must be >= 0");
  return check.status();
}

namespace internal {

class RetryPlan::Random {
 public:
  explicit Random(std::uint64_t seed) : gen_(seed) {}

  std::uint64_t Draw() {
    const std::lock_guard lock(mutex_);
    return gen_();
  }

 private:
  std::mutex mutex_;
  std::mt19937_64 gen_;
};

absl::Status SettingsPlan<RetryOptions>::Keep(const RetryOptions& present, RetryOptions& next) {
  OptionsChecker check("Retry");
  check(KeepObject(present.budget, next.budget),
        "an Update cannot replace the budget; call the budget's own Update");
  check(KeepObject(present.pause, next.pause), "an Update cannot replace the pause");
  return check.status();
}

RetryPlan::RetryPlan(RetryOptions options) : options_(std::move(options)) {
  if (options_.budget == nullptr) options_.budget = RetryBudget::MakeDefault();
  if (options_.seed) random_ = std::make_shared<Random>(*options_.seed);
  timed_ = options_.max_elapsed != Duration::max() || options_.before_attempt != nullptr ||
           options_.on_attempt != nullptr || options_.on_refused != nullptr;
}

RetryPlan::RetryPlan(RetryOptions options, const RetryPlan& before)
    : RetryPlan(std::move(options)) {
  if (options_.seed == before.options_.seed) random_ = before.random_;
}

bool RetryPlan::Charge::Take(Call& call, RetryBudget& budget, RetryCause why) {
  Settle();
  if (!budget.TryWithdrawAt(call.now(), why)) return false;
  budget_ = &budget;
  call_ = &call;
  attempt_ = call.attempt();
  why_ = why;
  return true;
}

void RetryPlan::Charge::SettleTaken() {
  if (call_->attempt() == attempt_) budget_->Refund(why_);
  budget_ = nullptr;
}

Verdict RetryPlan::BeginAfterPause(Call& call, State& state) const {
  const TimePoint until = options_.pause->until();
  if (call.now() < until) {
    // Spread over as long again, so that the calls that came meanwhile do not start at once.
    const Duration spread = SaturatingSub(until, call.now());
    const TimePoint latest = call.latest_start();
    if (!options_.wait_for_refusals || until > latest) {
      return Verdict::Reject(options_.pause->refusal(), until, spread);
    }
    return Verdict::Wait(std::min(SaturatingAdd(until, Draw(call, spread)), latest));
  }
  Start(call, state);
  return Verdict::Proceed();
}

void RetryPlan::Pause(Call& call, Duration retry_after) const {
  options_.pause->Extend(
      SaturatingAdd(call.now(), std::min<Duration>(retry_after, options_.max_retry_after)));
}

void RetryPlan::TellBegin(Call& call, State& state) const {
  state.runs = call.attempt();
  const absl::Status ok;
  Tell(options_.before_attempt, call, {.attempt = state.attempts + 1, .outcome = ok});
}

void RetryPlan::TellEnd(Call& call, State& state, const Ending& ending) const {
  ++state.attempts;
  if (!timed_) return;
  const bool ran = call.attempt() != state.runs && !call.rejected_inside();
  if (!ran && ending.status.ok()) return;
  const RetryHook& hook = ran ? options_.on_attempt : options_.on_refused;
  if (hook == nullptr) return;
  Tell(hook, call,
       {.attempt = state.attempts,
        .outcome = ending.status,
        .took = SaturatingSub(call.now(), *state.attempt_began),
        .any_result = ending.result});
}

// The call already has an EndReason.
void RetryPlan::Refused(Call& call, State& state, const Ending& ending) const {
  TellEnd(call, state, ending);
  if (absl::IsCancelled(ending.status) && call.stop().stop_requested()) return;
  GiveUp(call, state, ending, EndReason::kRejected);
}

void RetryPlan::Failed(Call& call, State& state, const Ending& ending, EndReason why) const {
  TellEnd(call, state, ending);
  // Returned by an executor that checks the caller's stop token.
  if (absl::IsCancelled(ending.status) && call.stop().stop_requested()) {
    return call.set_ended_by(EndReason::kCancelled);
  }
  // kNotRetryable is what a report begins with, unless a policy has set a better reason.
  if (why != EndReason::kNotRetryable) call.set_ended_by(why);
  GiveUp(call, state, ending, why);
}

std::optional<TimePoint> RetryPlan::Again(Call& call, State& state, const Ending& ending,
                                          std::optional<Duration> delay,
                                          std::optional<Duration> retry_after) const {
  TellEnd(call, state, ending);
  EndReason why = EndReason::kAttempts;
  if (!delay && retry_after && *retry_after > options_.max_retry_after) {
    why = EndReason::kRetryAfterTooFar;
  } else if (state.attempts < options_.max_attempts) {
    const TimePoint at = NextTry(call, state, delay, retry_after);
    why = WhyNot(call, state, at);
    if (why == EndReason::kSuccess) {
      if (Withdraw(call, state, ending.status)) return at;
      why = EndReason::kBudget;
    }
  }
  call.set_ended_by(why);
  GiveUp(call, state, ending, why);
  return std::nullopt;
}

// Not before the time that a rejection named; and spread from then on, since otherwise all calls
// that were rejected would come at that time.
TimePoint RetryPlan::NextTry(Call& call, const State& state, std::optional<Duration> delay,
                             std::optional<Duration> retry_after) const {
  const TimePoint from = std::max(call.now(), call.retry_at());
  if (delay) return std::max(SaturatingAdd(call.now(), std::max(*delay, Duration::zero())), from);
  const Duration wait =
      std::max(Backoff(call, state.attempts), retry_after.value_or(Duration::zero()));
  const TimePoint at = SaturatingAdd(from, std::max(wait, Spread(call)));
  // Another call's Retry-After may be longer.
  const bool paused = options_.pause != nullptr && at < options_.pause->until();
  return paused ? SaturatingAdd(options_.pause->until(), wait) : at;
}

// Why there is no retry at `at`; kSuccess if there is one.
EndReason RetryPlan::WhyNot(Call& call, State& state, TimePoint at) const {
  if (at > call.deadline()) return EndReason::kDeadline;
  if (at == TimePoint::max()) {  // never
    return call.rejected() ? EndReason::kRejected : EndReason::kElapsed;
  }
  if (options_.max_elapsed != Duration::max() &&
      SaturatingSub(at, *state.began) > options_.max_elapsed) {
    return EndReason::kElapsed;
  }
  return HasTime(call, state, at) ? EndReason::kSuccess : EndReason::kDeadline;
}

// Whether an attempt that begins at `at` can end before the deadline.
bool RetryPlan::HasTime(Call& call, State& state, TimePoint at) const {
  if (call.deadline() == TimePoint::max()) return true;
  // A rejection is no sample of an attempt's time.
  if (!call.rejected()) {
    state.fastest = std::min(state.fastest, SaturatingSub(call.now(), *state.attempt_began));
  }
  Duration attempt = state.fastest;
  if (call.rejected()) {
    const Duration limit = call.time_below().attempt;
    if (limit != Duration::max()) attempt = limit;
  }
  return attempt == Duration::max() || SaturatingAdd(at, attempt) <= call.deadline();
}

// Free after a rejection below: it cost the backend nothing, and the retry is the first to reach
// it.
bool RetryPlan::Withdraw(Call& call, State& state, const absl::Status& outcome) const {
  return call.rejected() || state.charge.Take(call, *options_.budget, CauseOf(outcome));
}

Duration RetryPlan::Backoff(Call& call, int retry) const {
  if (random_ == nullptr) return options_.backoff.Delay(retry, call.random());
  // Outside of the lock, since it may be the user's own function.
  std::mt19937_64 gen(random_->Draw());
  return options_.backoff.Delay(retry, gen);
}

Duration RetryPlan::Spread(Call& call) const {
  return Draw(call, SaturatingMul(call.retry_spread(), Verdict::kReturnTimes));
}

// Uniform in [0, most).
Duration RetryPlan::Draw(Call& call, Duration most) const {
  if (most <= Duration::zero()) return Duration::zero();
  if (random_ == nullptr) return Uniform(call.random(), most);
  std::mt19937_64 gen(random_->Draw());
  return Uniform(gen, most);
}

Next RetryPlan::Go(Call& call, State& state, const Ending& ending, TimePoint at) const {
  Tell(options_.on_retry, call,
       {.attempt = state.attempts,
        .outcome = ending.status,
        .delay = std::max(SaturatingSub(at, call.now()), Duration::zero()),
        .any_result = ending.result});
  return Next::Again(at);
}

void RetryPlan::Refuse(Call& call, State& state, const Ending& ending) const {
  call.set_ended_by(EndReason::kNotRetryable);
  GiveUp(call, state, ending, EndReason::kNotRetryable);
}

void RetryPlan::GiveUp(Call& call, const State& state, const Ending& ending, EndReason why) const {
  Tell(options_.on_give_up, call,
       {.attempt = state.attempts,
        .outcome = ending.status,
        .ended_by = why,
        .any_result = ending.result});
}

}  // namespace internal
}  // namespace holdfast
