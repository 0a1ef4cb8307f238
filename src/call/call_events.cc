// What the machine says of a call: for its report, the counters of the stack, and those who observe
// the stack.
#include <algorithm>
#include <utility>

#include "holdfast/base/internal/refusals.h"
#include "holdfast/base/internal/string_view.h"
#include "holdfast/call/call.h"

namespace holdfast {

namespace {

constexpr std::string_view kNotReturned = "the attempt did not return";

// Whether a Retry gives up for this reason.
bool IsGivingUp(EndReason why) {
  switch (why) {
    case EndReason::kAttempts:
    case EndReason::kElapsed:
    case EndReason::kDeadline:
    case EndReason::kBudget:
    case EndReason::kNotRepeatable:
    case EndReason::kRetryAfterTooFar:
      return true;
    case EndReason::kSuccess:
    case EndReason::kNotRetryable:
    case EndReason::kRejected:
    case EndReason::kCancelled:
      break;
  }
  return false;
}

}  // namespace

void Call::TellTo(const internal::Watch& watch) {
  watch_ = &watch;
  if (watch.active && !branch_) {
    meter_->CountActive(1);
    holds_ |= kActive;
  }
  if (!watch.timed && watch.watchers.empty() && watch.tracers.empty()) return;
  began_ = now();
  const bool all = watch.Wants(Severity::kDebug);
  if (all && !branch_) TakeOwnReport();
  if (all) watched_ = true;
  if (watch.timed) holds_ |= kTimed;
  if (!watch.tracers.empty() && !branch_) BeginTrace(watch);
}

void Call::LeaveActive() {
  if ((holds_ & kActive) == 0) return;
  holds_ &= ~kActive;
  meter_->CountActive(-1);
}

void Call::TakeOwnReport() {
  if (report_ != nullptr) return;
  report_ = new Report;
  holds_ |= kReport | kOwnReport;
}

void Call::Begin() {
  if (report_ != nullptr) *report_ = Report{};
}

void Call::Refused(unsigned policy, const absl::Status& refusal, TimePoint retry_at) {
  if (meter_ == nullptr) return;
  const RejectionKind kind = internal::KindOf(refusal);
  meter_->CountRefusal(
      policy == kNoPolicy ? internal::StackMeter::kNoPolicy : first_policy_ + policy, kind,
      priority());
  if (!tells(Severity::kWarning)) return;
  Event event = EventOf(EventKind::kRefused, Severity::kWarning);
  event.reason = ToString(kind);
  event.status = refusal;
  event.until = retry_at;
  Tell(std::move(event), policy);
}

void Call::NoteDryRun(std::string_view policy, const absl::Status& refusal, TimePoint until) {
  std::string_view name;
  if (meter_ != nullptr) {
    const std::size_t number = first_policy_ + depth_ - 1;
    meter_->CountDryRun(number, refusal);
    name = meter_->policy(number).name;
  }
  PassDryRun({policy, refusal, until}, name);
}

// Also of a stack inside of this one, which has counted it.
void Call::PassDryRun(const DryRunFinding& finding, std::string_view name) {
  if (options_.outer != nullptr) options_.outer->PassDryRun(finding, name);
  if (report_ != nullptr) report_->dry_run.push_back(finding);
  if (!branch_) TellDryRun(finding, name);
}

void Call::NoteFallback(std::string_view policy, const absl::Status& failure) {
  if (meter_ == nullptr) return;
  meter_->CountFallback();
  if (!tells(Severity::kWarning)) return;
  Event event = EventOf(EventKind::kFellBack, Severity::kWarning);
  event.policy = policy;
  event.status = failure;
  watch_->Tell(std::move(event));
}

void Call::Waited(unsigned policy, TimePoint from) {
  const Duration slept = SaturatingSub(now(), from);
  waited_ = SaturatingAdd(waited_, slept);
  waited_in_all_ = SaturatingAdd(waited_in_all_, slept);
  if (report_ != nullptr) report_->waited = waited_in_all_;
  if ((holds_ & kTimed) != 0) meter_->TimeWait(first_policy_ + policy, slept);
  if (branch_ || !tells(Severity::kDebug)) return;
  Event event = EventOf(EventKind::kWaited, Severity::kDebug);
  event.waited = slept;
  Tell(std::move(event), policy);
}

void Call::NoteAttempt() {
  if ((holds_ & kTimed) != 0) attempt_start_ = now();
  if ((holds_ & kTrace) != 0) TraceAttempt();
  if (report_ == nullptr) return;
  report_->attempts = attempts_;
  report_->history.push_back({.start = now(),
                              .delay = std::exchange(waited_, Duration{}),
                              .outcome = absl::UnknownError(internal::ToAbsl(kNotReturned))});
  attempt_open_ = true;
}

void Call::AttemptReturned(const absl::Status& outcome) {
  if (attempt_open_) {
    report_->history.back().outcome = outcome;
    TellAttempt(report_->history.back(), attempts_);
  }
  if (WasCutOff(outcome)) NoteCutOff(outcome);
  if (forked_) return;
  const bool cancelled = absl::IsCancelled(outcome) && stop().stop_requested();
  const CallOutcome how = outcome.ok() ? CallOutcome::kSuccess
                          : cancelled  ? CallOutcome::kCancelled
                          : rejected_  ? CallOutcome::kRejected
                                       : CallOutcome::kFailure;
  TraceAttemptEnd(outcome, how);
  if (!outcome.ok()) CountAttempt(how, outcome.code());
}

void Call::CountAttempt(CallOutcome outcome, absl::StatusCode code) {
  running_ = Running::kNo;
  if (meter_ == nullptr || forked_) return;
  meter_->CountAttempt(outcome, code);
  if ((holds_ & kTimed) != 0) {
    meter_->TimeAttempt(outcome, SaturatingSub(now(), *attempt_start_));
  }
}

// Unless it waited, the attempt took as long as the call.
void Call::EndFirstTry() {
  LeaveActive();
  if ((holds_ & kTimed) == 0) {
    meter_->CountFirstTry();
    return;
  }
  const Duration took = SaturatingSub(now(), *began_);
  if (*attempt_start_ == *began_ && meter_->TimeFirstTry(took)) return;
  meter_->CountFirstTry();
  meter_->TimeAttempt(CallOutcome::kSuccess, SaturatingSub(now(), *attempt_start_));
  meter_->TimeCall(CallOutcome::kSuccess, took);
}

// The call of which this one is a branch says so of the branch's own deadline.
bool Call::WasCutOff(const absl::Status& outcome) {
  if (meter_ == nullptr || rejected_ || !absl::IsDeadlineExceeded(outcome)) return false;
  if (deadline_ == TimePoint::max() || now() < deadline_) return false;
  return !branch_ || deadline_ < options_.deadline;
}

void Call::NoteCutOff(const absl::Status& outcome) {
  meter_->CountTimeout(!branch_ && deadline_ >= call_deadline_);
  if (!tells(Severity::kWarning)) return;
  Event event = EventOf(EventKind::kCutOff, Severity::kWarning);
  event.status = outcome;
  watch_->Tell(std::move(event));
}

void Call::CountSuccess() {
  if (running_ == Running::kSucceeded) CountAttempt(CallOutcome::kSuccess, absl::StatusCode::kOk);
}

void Call::AttemptStopped() { AttemptLost(CallOutcome::kCancelled, absl::StatusCode::kCancelled); }

void Call::AttemptLost(CallOutcome outcome, absl::StatusCode code) {
  CountSuccess();
  if (running_ != Running::kYes) return;
  TraceAttemptEnd(absl::Status(code, ""), outcome);
  CountAttempt(outcome, code);
  // The caller's report may be gone, where the call is left because its driver goes away.
  if (attempt_open_ && tells(Severity::kDebug)) TellAttempt(report_->history.back(), attempts_);
}

void Call::GoesAgain(unsigned policy, TimePoint at, const absl::Status& outcome) {
  CountSuccess();
  if (!tells(Severity::kInfo)) return;
  Event event = EventOf(EventKind::kRetrying, Severity::kInfo);
  event.status = outcome;
  event.waited = std::max(SaturatingSub(at, now()), Duration::zero());
  Tell(std::move(event), policy);
}

void Call::WentAgain(const absl::Status& outcome) {
  retried_ = true;
  if (meter_ != nullptr) meter_->CountRetry(outcome.code());
}

EndReason Call::WhyEnded(const absl::Status& result) const {
  if (ended_by_ != kNotSaid) return ended_by_;
  if (result.ok()) return EndReason::kSuccess;
  const bool cancelled = absl::IsCancelled(result) && stop().stop_requested();
  return cancelled ? EndReason::kCancelled : EndReason::kNotRetryable;
}

void Call::End(const absl::Status& result, std::optional<Duration> retry_after) {
  if (options_.outer != nullptr) {
    if (result.ok()) options_.outer->claimed_ = claimed_;
    if (!result.ok() && rejected_) {
      options_.outer->Rejected(*retry_at_, EndReason::kRejected, retry_spread_);
      options_.outer->rejected_inside_ = attempts_ == 0 || rejected_inside_;
    }
  }
  const EndReason why = WhyEnded(result);
  const CallOutcome outcome = result.ok()                    ? CallOutcome::kSuccess
                              : why == EndReason::kCancelled ? CallOutcome::kCancelled
                              : rejected_                    ? CallOutcome::kRejected
                                                             : CallOutcome::kFailure;
  CountEnd(outcome, result.code(), why);
  TraceEnd(result, outcome, why);
  const TimePoint retry =
      retry_after && !rejected_ ? SaturatingAdd(now(), *retry_after) : retry_at();
  if (report_ != nullptr) {
    report_->ended_by = why;
    report_->retry_at = retry;
  }
  TellEnd(result, why, retry);
}

void Call::EndWithout(CallOutcome outcome) {
  const absl::StatusCode code = outcome == CallOutcome::kCancelled ? absl::StatusCode::kCancelled
                                                                   : absl::StatusCode::kUnknown;
  AttemptLost(outcome, code);
  CountEnd(outcome, code, EndReason::kNotRetryable);
  TraceEnd(absl::Status(code, ""), outcome, EndReason::kNotRetryable);
  TellEnd(absl::Status(code, ""), EndReason::kNotRetryable, TimePoint::min());
}

void Call::CountEnd(CallOutcome outcome, absl::StatusCode code, EndReason why) {
  CountSuccess();
  if (meter_ == nullptr || branch_) return;
  LeaveActive();
  meter_->CountCall(outcome, retried_, code);
  if ((holds_ & kTimed) != 0) meter_->TimeCall(outcome, SaturatingSub(now(), *began_));
  if (GaveUp(outcome == CallOutcome::kSuccess, why)) meter_->CountGivingUp(why);
}

bool Call::GaveUp(bool ok, EndReason why) const {
  return !ok && !rejected_ && IsGivingUp(why) && meter_->retries();
}

void Call::TellEnd(const absl::Status& result, EndReason why, TimePoint retry_at) {
  if (branch_ || !tells(Severity::kWarning)) return;
  if (GaveUp(result.ok(), why)) {
    Event event = EventOf(EventKind::kGaveUp, Severity::kWarning);
    event.reason = ToString(why);
    event.status = result;
    event.ended_by = why;
    watch_->Tell(std::move(event));
  }
  const Severity severity = result.ok() ? Severity::kDebug : Severity::kInfo;
  if (!tells(severity)) return;
  Event event = EventOf(EventKind::kEnded, severity);
  event.reason = ToString(why);
  event.status = result;
  event.took = SaturatingSub(now(), *began_);
  event.waited = waited_in_all_;
  event.until = retry_at;
  event.ended_by = why;
  watch_->Tell(std::move(event));
}

Event Call::EventOf(EventKind kind, Severity severity) {
  Event event;
  event.kind = kind;
  event.severity = severity;
  event.at = now();
  event.key = key();
  event.attempt = attempts_;
  return event;
}

// In the name of a policy of the stack.
void Call::Tell(Event event, unsigned policy) {
  if (policy != kNoPolicy) {
    const internal::PolicyLabel& label = meter_->policy(first_policy_ + policy);
    event.policy = label.policy;
    event.name = label.name;
  }
  watch_->Tell(std::move(event));
}

void Call::TellAttempt(const Attempt& attempt, int number) {
  if (branch_ || !tells(Severity::kDebug)) return;
  Event event = EventOf(EventKind::kAttempt, Severity::kDebug);
  event.attempt = number;
  event.status = attempt.outcome;
  event.took = SaturatingSub(event.at, attempt.start);
  event.waited = attempt.delay;
  watch_->Tell(std::move(event));
}

void Call::TellDryRun(const DryRunFinding& finding, std::string_view name) {
  if (!tells(Severity::kInfo)) return;
  Event event = EventOf(EventKind::kDryRun, Severity::kInfo);
  event.policy = finding.policy;
  event.name = name;
  event.reason = finding.refusal.ok() ? "wait" : ToString(internal::KindOf(finding.refusal));
  event.status = finding.refusal;
  event.until = finding.until;
  watch_->Tell(std::move(event));
}

std::string_view Call::NameOf(std::string_view policy) const {
  return meter_ == nullptr ? std::string_view() : meter_->NameOf(policy);
}

}  // namespace holdfast
