#include "holdfast/driver/race.h"

#include <cstddef>
#include <utility>
#include <vector>

namespace holdfast::internal {
namespace {

template <class T>
void Append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

// Who observes the call learns from its report what its branches did.
Branches::Branches(Call& call) : call_(call) {
  --call.attempts_;
  call.forked_ = call.watched_ = true;  // so that its success is no attempt of its own
  if (call.attempt_open_) {
    call.waited_ = call.report_->history.back().delay;
    call.report_->history.pop_back();
    call.attempt_open_ = false;
  }
  if (call.tells(Severity::kWarning)) call.TakeOwnReport();
}

CallOptions Branches::Options(driver::BranchRecord& record, std::stop_token stop,
                              std::string_view key) const {
  return {.deadline = call_.deadline(),
          .stop = std::move(stop),
          .key = key,
          .priority = call_.priority(),
          .report = call_.report_ != nullptr ? &record.report : nullptr};
}

void Branches::Sent(driver::BranchRecord& record) {
  record.sent = call_.now();
  record.trace = call_.TraceForBranch();
  record.attempts_before = call_.attempts_++;
}

void Branches::Ended(driver::BranchRecord& record, Call& branch,
                     const std::shared_ptr<void>& race) {
  record.attempts = branch.attempts_;
  record.rejected = branch.rejected_;
  record.retried = branch.retried_;
  record.retry_at = branch.retry_at();
  record.retry_spread = branch.retry_spread();
  record.ended_by = branch.ended_by_;
  record.claimed = branch.claimed_;
  record.lingers = branch.has_abandoned();
  branch.HoldUntilAbandonedEnd(-1, race);
  // They keep the race, and the race must not keep them.
  branch.ForgetLeft();
}

void Branches::Account(const driver::BranchRecord& record, bool ended) {
  if (ended) {
    call_.attempts_ += record.attempts - record.attempts_before - 1;
    call_.retried_ = call_.retried_ || record.retried;
  }
  if (call_.report_ == nullptr) return;
  Report& report = *call_.report_;
  const std::size_t first = report.history.size();
  if (!ended) {
    report.history.push_back({.start = record.sent,
                              .delay = std::exchange(call_.waited_, Duration::zero()),
                              .outcome = absl::UnknownError("the attempt was not awaited")});
  } else {
    Append(report.dry_run, record.report.dry_run);
    for (const DryRunFinding& finding : record.report.dry_run) {
      call_.TellDryRun(finding, call_.NameOf(finding.policy));
    }
    if (!record.report.history.empty()) {
      Append(report.history, record.report.history);
      Duration& delay = report.history[first].delay;
      delay = SaturatingAdd(delay, std::exchange(call_.waited_, Duration::zero()));
      call_.waited_in_all_ = SaturatingAdd(call_.waited_in_all_, record.report.waited);
      report.waited = call_.waited_in_all_;
    }
  }
  report.attempts = call_.attempts_;
  for (std::size_t i = first; i < report.history.size(); ++i) {
    call_.TellAttempt(report.history[i], static_cast<int>(i) + 1);
  }
}

void Branches::Take(const driver::BranchRecord& record) {
  call_.rejected_ = record.rejected;
  call_.retry_at_ = record.retry_at;
  call_.retry_spread_ = record.retry_spread;
  call_.ended_by_ = record.ended_by;
  call_.claimed_ = record.claimed;
}

void Branches::Refused(const absl::Status& refusal) {
  call_.Refused(call_.depth_ - 1, refusal, TimePoint::min());
  call_.Rejected(TimePoint::min(), EndReason::kRejected);
}

void Branches::Hedged() {
  if (!call_.tells(Severity::kInfo)) return;
  call_.watch_->Tell(call_.EventOf(EventKind::kHedged, Severity::kInfo));
}

void Branches::HedgeEnded(HedgeOutcome outcome) {
  if (call_.meter_ != nullptr) call_.meter_->CountHedge(outcome);
  if (outcome != HedgeOutcome::kWon || !call_.tells(Severity::kInfo)) return;
  call_.watch_->Tell(call_.EventOf(EventKind::kHedgeWon, Severity::kInfo));
}

}  // namespace holdfast::internal
