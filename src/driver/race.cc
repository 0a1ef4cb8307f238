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

Branches::Branches(Call& call) : call_(call) {
  --call.attempts_;
  if (!call.reporting_) return;
  Report& report = *call.options_.report;
  call.waited_ = report.history.back().delay;
  report.history.pop_back();
  call.attempt_open_ = false;
}

CallOptions Branches::Options(driver::BranchRecord& record, std::stop_token stop,
                              std::string_view key) const {
  return {.deadline = call_.deadline(),
          .stop = std::move(stop),
          .key = key,
          .priority = call_.priority(),
          .report = call_.reporting_ ? &record.report : nullptr};
}

void Branches::Sent(driver::BranchRecord& record) {
  record.sent = call_.now();
  record.attempts_before = call_.attempts_++;
}

void Branches::Ended(driver::BranchRecord& record, Call& branch,
                     const std::shared_ptr<void>& race) {
  record.attempts = branch.attempts_;
  record.rejected = branch.rejected_;
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
  if (ended) call_.attempts_ += record.attempts - record.attempts_before - 1;
  if (!call_.reporting_) return;
  Report& report = *call_.options_.report;
  if (!ended) {
    report.history.push_back({.start = record.sent,
                              .delay = std::exchange(call_.waited_, Duration::zero()),
                              .outcome = absl::UnknownError("the attempt was not awaited")});
  } else {
    Append(report.dry_run, record.report.dry_run);
    if (!record.report.history.empty()) {
      const std::size_t first = report.history.size();
      Append(report.history, record.report.history);
      Duration& delay = report.history[first].delay;
      delay = SaturatingAdd(delay, std::exchange(call_.waited_, Duration::zero()));
      report.waited = SaturatingAdd(report.waited, record.report.waited);
    }
  }
  report.attempts = call_.attempts_;
}

void Branches::Take(const driver::BranchRecord& record) {
  call_.rejected_ = record.rejected;
  call_.retry_at_ = record.retry_at;
  call_.retry_spread_ = record.retry_spread;
  call_.ended_by_ = record.ended_by;
  call_.claimed_ = record.claimed;
}

}  // namespace holdfast::internal
