#include "holdfast/call/internal/stack_meter.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "holdfast/base/internal/refusals.h"
#include "holdfast/call/internal/attribute_text.h"
#include "src/call/metric_names.h"

namespace holdfast::internal {
namespace {

constexpr std::size_t kCodes = 17;     // of absl::StatusCode
constexpr std::size_t kReasons = 10;   // of EndReason
constexpr std::size_t kKinds = 9;      // of RejectionKind
constexpr std::size_t kWait = kKinds;  // what a dry run found, where it is no rejection

constexpr std::array<std::string_view, kHedgeOutcomes> kHedgeNames = {"won", "lost", "failed",
                                                                      "unaffordable"};

constexpr Metric Counter(std::string_view name, std::string_view unit, std::string_view help) {
  return {.name = name, .type = MetricType::kCounter, .unit = unit, .help = help};
}

constexpr Metric kCalls = Counter("holdfast.calls", "{call}", "Calls through the stack, ended");
constexpr Metric kActive = {.name = "holdfast.active_calls",
                            .type = MetricType::kUpDownCounter,
                            .unit = "{call}",
                            .help = "Calls through the stack that have not ended"};
constexpr Metric kAttempts =
    Counter("holdfast.attempts", "{attempt}", "Runs of the executor, ended");
constexpr Metric kRetries =
    Counter("holdfast.retries", "{retry}", "Calls sent down again, by the failure before");
constexpr Metric kAbandoned = Counter("holdfast.retries.abandoned", "{call}",
                                      "Calls that failed and were not retried any more");
constexpr Metric kTimeouts =
    Counter("holdfast.timeouts", "{attempt}", "Attempts that did not end before their deadline");
constexpr Metric kHedges =
    Counter("holdfast.hedges", "{hedge}", "Further copies of a call, sent or not affordable");
constexpr Metric kFallbacks =
    Counter("holdfast.fallbacks", "{call}", "Failures that a Fallback replaced");
constexpr Metric kRefusals =
    Counter("holdfast.refusals", "{call}", "Calls and attempts that a policy refused");
constexpr Metric kDryRuns = Counter("holdfast.dry_run.findings", "{call}",
                                    "What policies in a dry run would have refused or delayed");

constexpr Metric Times(std::string_view name, std::string_view help) {
  return {.name = name, .type = MetricType::kHistogram, .unit = "s", .help = help};
}

constexpr Metric kCallDuration = Times("holdfast.call.duration", "How long calls took");
constexpr Metric kAttemptDuration =
    Times("holdfast.attempt.duration", "How long runs of the executor took");
constexpr Metric kWaitDuration =
    Times("holdfast.wait.duration", "How long policies let calls wait");

std::size_t CodeOf(absl::StatusCode code) {
  const auto number = static_cast<std::size_t>(code);
  return number < kCodes ? number : static_cast<std::size_t>(absl::StatusCode::kUnknown);
}

std::string_view NameOfOutcome(std::size_t outcome) {
  return ToString(static_cast<CallOutcome>(outcome));
}

// Empty for OK.
std::string ErrorType(std::size_t code) {
  return code == 0 ? "" : absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
}

std::string ReasonText(std::size_t found) {
  return found == kWait ? "wait" : AttributeText(ToString(static_cast<RejectionKind>(found)));
}

// Whether a series is told before anything was counted, so that a rate sees its first event.
bool IsCommon(CallOutcome outcome, std::size_t code) {
  return outcome == CallOutcome::kSuccess && code == 0;
}

std::vector<PolicyLabel> Numbered(std::vector<PolicyLabel> policies) {
  std::set<std::pair<std::string_view, std::string>> taken;
  for (PolicyLabel& label : policies) {
    const std::string name = label.name;
    for (int number = 2; !taken.emplace(label.policy, label.name).second; ++number) {
      label.name = absl::StrCat(name, "#", number);
    }
  }
  return policies;
}

void Record(MadeOnce<DurationHistogram>& times, Duration took) {
  if (DurationHistogram* const histogram = times.Get()) histogram->Record(took);
}

}  // namespace

// Where the counters are that are not on every call's path.
struct StackMeter::Layout {
  static constexpr std::size_t Call(std::size_t outcome, bool retried, std::size_t code) {
    return (outcome * 2 + (retried ? 1 : 0)) * kCodes + code;
  }
  static constexpr std::size_t Attempt(std::size_t outcome, std::size_t code) {
    return kCallsEnd + outcome * kCodes + code;
  }
  static constexpr std::size_t Retry(std::size_t code) { return kAttemptsEnd + code; }
  static constexpr std::size_t GivingUp(std::size_t reason) { return kRetriesEnd + reason; }
  static constexpr std::size_t Timeout(bool of_call) { return kGivingUpEnd + (of_call ? 1 : 0); }
  static constexpr std::size_t Hedge(std::size_t outcome) { return kTimeoutsEnd + outcome; }
  static constexpr std::size_t kFallback() { return kHedgesEnd; }
  static constexpr std::size_t Refusal(std::size_t policy, std::size_t kind, std::size_t priority) {
    return kHedgesEnd + 1 + policy * kPerPolicy + kind * kPriorities + priority;
  }
  static constexpr std::size_t DryRun(std::size_t policy, std::size_t found) {
    return kHedgesEnd + 1 + policy * kPerPolicy + kKinds * kPriorities + found;
  }
  static constexpr std::size_t Size(std::size_t policies) {
    return kHedgesEnd + 1 + policies * kPerPolicy;
  }

  static constexpr std::size_t kCallsEnd = kCallOutcomes * 2 * kCodes;
  static constexpr std::size_t kAttemptsEnd = kCallsEnd + kCallOutcomes * kCodes;
  static constexpr std::size_t kRetriesEnd = kAttemptsEnd + kCodes;
  static constexpr std::size_t kGivingUpEnd = kRetriesEnd + kReasons;
  static constexpr std::size_t kTimeoutsEnd = kGivingUpEnd + 2;
  static constexpr std::size_t kHedgesEnd = kTimeoutsEnd + kHedgeOutcomes;
  static constexpr std::size_t kPerPolicy = kKinds * kPriorities + kKinds + 1;
};

StackMeter::StackMeter(std::vector<PolicyLabel> policies, bool retries)
    : policies_(Numbered(std::move(policies))), retries_(retries), wait_times_(policies_.size()) {}

void StackMeter::Add(std::size_t which) {
  StripedCounters* const counters = others_.Get(Layout::Size(policies_.size() + 1));
  if (counters != nullptr) counters->Add(which);
}

std::uint64_t StackMeter::Sum(std::size_t which) const {
  const StripedCounters* const counters = others_.get();
  return counters == nullptr ? 0 : counters->Sum(which);
}

std::uint64_t StackMeter::FirstTries() const {
  const DurationHistogram* const times = first_try_times_.get();
  return first_tries_.Sum(0) + (times == nullptr ? 0 : times->Count());
}

void StackMeter::CountCall(CallOutcome outcome, bool retried, absl::StatusCode code) {
  Add(Layout::Call(static_cast<std::size_t>(outcome), retried, CodeOf(code)));
}
void StackMeter::CountAttempt(CallOutcome outcome, absl::StatusCode code) {
  Add(Layout::Attempt(static_cast<std::size_t>(outcome), CodeOf(code)));
}
void StackMeter::CountRetry(absl::StatusCode code) { Add(Layout::Retry(CodeOf(code))); }
void StackMeter::CountGivingUp(EndReason why) {
  Add(Layout::GivingUp(static_cast<std::size_t>(why)));
}
void StackMeter::CountTimeout(bool of_call) { Add(Layout::Timeout(of_call)); }
void StackMeter::CountHedge(HedgeOutcome outcome) {
  Add(Layout::Hedge(static_cast<std::size_t>(outcome)));
}
void StackMeter::CountFallback() { Add(Layout::kFallback()); }
void StackMeter::CountRefusal(std::size_t policy, RejectionKind kind, Priority priority) {
  Add(Layout::Refusal(std::min(policy, policies_.size()), static_cast<std::size_t>(kind),
                      static_cast<std::size_t>(priority)));
}
void StackMeter::CountDryRun(std::size_t policy, const absl::Status& refusal) {
  const std::size_t found = refusal.ok() ? kWait : static_cast<std::size_t>(KindOf(refusal));
  Add(Layout::DryRun(std::min(policy, policies_.size()), found));
}

std::string_view StackMeter::NameOf(std::string_view policy) const {
  const auto label = std::ranges::find(policies_, policy, &PolicyLabel::policy);
  return label == policies_.end() ? std::string_view() : label->name;
}

void StackMeter::TimeCall(CallOutcome outcome, Duration took) {
  Record(call_times_[static_cast<std::size_t>(outcome)], took);
}
void StackMeter::TimeAttempt(CallOutcome outcome, Duration took) {
  Record(attempt_times_[static_cast<std::size_t>(outcome)], took);
}
void StackMeter::TimeWait(std::size_t policy, Duration took) {
  if (policy < wait_times_.size()) Record(wait_times_[policy], took);
}

void StackMeter::CountActiveCalls() const {
  if (active_.Get(std::size_t{1}) != nullptr) watches_.CountActive();
}

std::vector<DescribedPolicy> StackMeter::Describe() const {
  const Description* const description = description_.get();
  if (description == nullptr) return {};
  std::vector<DescribedPolicy> policies = (*description)();
  for (std::size_t i = 0; i < policies.size(); ++i) policies[i].name = policy(i).name;
  return policies;
}

void StackMeter::Collect(Collector& collector) const {
  CollectCalls(collector);
  CollectActive(collector);
  CollectAttempts(collector);
  CollectRetries(collector);
  CollectPolicies(collector);
  CollectTimes(collector);
}

// A first try is read before the attempts are, so that no more calls are told than attempts.
void StackMeter::CollectCalls(Collector& collector) const {
  for (std::size_t outcome = 0; outcome < kCallOutcomes; ++outcome) {
    for (const bool retried : {false, true}) {
      for (std::size_t code = 0; code < kCodes; ++code) {
        const bool common = IsCommon(static_cast<CallOutcome>(outcome), code);
        std::uint64_t sum = Sum(Layout::Call(outcome, retried, code));
        if (common && !retried) sum += FirstTries();
        if (sum == 0 && !common) continue;
        collector.Count(kCalls, sum,
                        {{attribute::kOutcome, NameOfOutcome(outcome)},
                         {attribute::kRetried, retried ? "true" : "false"},
                         {attribute::kErrorType, ErrorType(code)}});
      }
    }
  }
}

// A call may begin in a stripe that was read and end in one that was not.
void StackMeter::CollectActive(Collector& collector) const {
  const StripedCounters* const active = active_.get();
  if (active == nullptr) return;
  const auto sum = static_cast<std::int64_t>(active->Sum(0));
  collector.Gauge(kActive, static_cast<double>(std::max<std::int64_t>(sum, 0)));
}

void StackMeter::CollectAttempts(Collector& collector) const {
  for (std::size_t outcome = 0; outcome < kCallOutcomes; ++outcome) {
    for (std::size_t code = 0; code < kCodes; ++code) {
      const bool common = IsCommon(static_cast<CallOutcome>(outcome), code);
      std::uint64_t sum = Sum(Layout::Attempt(outcome, code));
      if (common) sum += FirstTries();
      if (sum == 0 && !common) continue;
      collector.Count(kAttempts, sum,
                      {{attribute::kOutcome, NameOfOutcome(outcome)},
                       {attribute::kErrorType, ErrorType(code)}});
    }
  }
}

void StackMeter::CollectRetries(Collector& collector) const {
  for (std::size_t code = 0; code < kCodes; ++code) {
    const std::uint64_t sum = Sum(Layout::Retry(code));
    if (sum > 0) collector.Count(kRetries, sum, {{attribute::kErrorType, ErrorType(code)}});
  }
  for (std::size_t reason = 0; reason < kReasons; ++reason) {
    const std::uint64_t sum = Sum(Layout::GivingUp(reason));
    if (sum == 0) continue;
    collector.Count(
        kAbandoned, sum,
        {{attribute::kReason, AttributeText(ToString(static_cast<EndReason>(reason)))}});
  }
  for (const bool of_call : {false, true}) {
    collector.Count(kTimeouts, Sum(Layout::Timeout(of_call)),
                    {{attribute::kScope, of_call ? "call" : "attempt"}});
  }
  for (std::size_t outcome = 0; outcome < kHedgeOutcomes; ++outcome) {
    collector.Count(kHedges, Sum(Layout::Hedge(outcome)),
                    {{attribute::kOutcome, kHedgeNames[outcome]}});
  }
  collector.Count(kFallbacks, Sum(Layout::kFallback()));
}

void StackMeter::CollectPolicies(Collector& collector) const {
  for (std::size_t number = 0; number <= policies_.size(); ++number) {
    const PolicyLabel& label = policy(number);
    for (std::size_t kind = 0; kind < kKinds; ++kind) {
      for (std::size_t priority = 0; priority < kPriorities; ++priority) {
        const std::uint64_t sum = Sum(Layout::Refusal(number, kind, priority));
        if (sum == 0) continue;
        collector.Count(kRefusals, sum,
                        {{attribute::kPolicy, label.policy},
                         {attribute::kPolicyName, label.name},
                         {attribute::kReason, ReasonText(kind)},
                         {attribute::kPriority, ToString(static_cast<Priority>(priority))}});
      }
    }
    for (std::size_t found = 0; found <= kWait; ++found) {
      const std::uint64_t sum = Sum(Layout::DryRun(number, found));
      if (sum == 0) continue;
      collector.Count(kDryRuns, sum,
                      {{attribute::kPolicy, label.policy},
                       {attribute::kPolicyName, label.name},
                       {attribute::kReason, ReasonText(found)}});
    }
  }
}

// Those of what has happened.
void StackMeter::CollectTimes(Collector& collector) const {
  const auto tell = [&](const Metric& metric, std::size_t outcome, const DurationHistogram* times) {
    const bool success = outcome == static_cast<std::size_t>(CallOutcome::kSuccess);
    const DurationHistogram* const more = success ? first_try_times_.get() : nullptr;
    if (times == nullptr && more == nullptr) return;
    collector.Histogram(metric, DurationHistogram::Counts(times, more),
                        {{attribute::kOutcome, NameOfOutcome(outcome)}});
  };
  for (std::size_t outcome = 0; outcome < kCallOutcomes; ++outcome) {
    tell(kCallDuration, outcome, call_times_[outcome].get());
    tell(kAttemptDuration, outcome, attempt_times_[outcome].get());
  }
  for (std::size_t number = 0; number < wait_times_.size(); ++number) {
    const auto* const times = wait_times_[number].get();
    if (times == nullptr) continue;
    const PolicyLabel& label = policy(number);
    collector.Histogram(kWaitDuration, times->Counts(),
                        {{attribute::kPolicy, label.policy}, {attribute::kPolicyName, label.name}});
  }
}

}  // namespace holdfast::internal
