// Rebuilds the reports of calls from the events that are told of them, and counts events, to be
// compared with the reports that the calls filled and with the counters of the stack.
#ifndef HOLDFAST_TEST_ASIO_SUPPORT_AUDITOR_H_
#define HOLDFAST_TEST_ASIO_SUPPORT_AUDITOR_H_

#include <absl/strings/str_cat.h>

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "holdfast/call/observer.h"
#include "holdfast/call/report.h"

namespace holdfast::test {

class Auditor final : public Observer {
 public:
  void OnEvent(const Event& event) override {
    const std::lock_guard lock(mutex_);
    ++events_[event.kind];
    Report& report = reports_[std::string(event.key)];
    if (event.kind == EventKind::kAttempt) {
      report.history.push_back(
          {.start = event.at - event.took, .delay = event.waited, .outcome = event.status});
    } else if (event.kind == EventKind::kDryRun) {
      report.dry_run.push_back({event.policy, event.status, event.until});
    } else if (event.kind == EventKind::kEnded) {
      report.attempts = event.attempt;
      report.ended_by = event.ended_by;
      report.waited = event.waited;
      report.retry_at = event.until;
    }
  }
  Severity least_severity() const override { return Severity::kDebug; }

  // Of the call with this key; empty where it was not told of.
  Report report(const std::string& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = reports_.find(key);
    return found == reports_.end() ? Report() : found->second;
  }
  int count(EventKind kind) const {
    const std::lock_guard lock(mutex_);
    const auto found = events_.find(kind);
    return found == events_.end() ? 0 : found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Report> reports_;
  std::map<EventKind, int> events_;
};

inline std::string TextOf(const Report& report) {
  const auto nanos = [](auto time) { return time.count(); };
  std::string text = absl::StrCat(
      report.attempts, " attempts, ended by ", static_cast<int>(report.ended_by), ", waited ",
      nanos(report.waited), ", retry at ", nanos(report.retry_at.time_since_epoch()));
  for (const Attempt& attempt : report.history) {
    absl::StrAppend(&text, "\n  ", nanos(attempt.start.time_since_epoch()), " after ",
                    nanos(attempt.delay), ": ", attempt.outcome.ToString());
  }
  for (const DryRunFinding& finding : report.dry_run) {
    absl::StrAppend(&text, "\n  ", std::string(finding.policy), " ", finding.refusal.ToString(),
                    " ", nanos(finding.until.time_since_epoch()));
  }
  return text;
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_ASIO_SUPPORT_AUDITOR_H_
