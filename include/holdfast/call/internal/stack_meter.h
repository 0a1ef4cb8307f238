// Counts what happens to the calls through a stack, and tells it to those who observe the stack.
#ifndef HOLDFAST_CALL_INTERNAL_STACK_METER_H_
#define HOLDFAST_CALL_INTERNAL_STACK_METER_H_

#include <absl/base/attributes.h>
#include <absl/status/status.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/base/internal/made_once.h"
#include "holdfast/base/internal/striped_counters.h"
#include "holdfast/base/priority.h"
#include "holdfast/base/rejection.h"
#include "holdfast/base/time.h"
#include "holdfast/call/collector.h"
#include "holdfast/call/internal/duration_histogram.h"
#include "holdfast/call/internal/watches.h"
#include "holdfast/call/observer.h"
#include "holdfast/call/report.h"
#include "holdfast/call/tracer.h"

namespace holdfast::internal {

enum class HedgeOutcome : std::uint8_t { kWon, kLost, kFailed, kUnaffordable };
inline constexpr std::size_t kHedgeOutcomes = 4;

// A policy of the stack: its type, and the name of its object.
struct PolicyLabel {
  std::string_view policy;
  std::string name;
};

// Thread-safe. A success by the first attempt is one relaxed addition to a counter of the thread's
// stripe. All other counters are made when the first of them is needed: calls through a stack whose
// service is well need none. Where there is no memory for them, nothing is counted.
class StackMeter {
 public:
  // Equal policies get a number after their name.
  // `retries`: one of them sends calls down more than once, one after the other.
  StackMeter(std::vector<PolicyLabel> policies, bool retries);
  StackMeter(const StackMeter&) = delete;
  StackMeter& operator=(const StackMeter&) = delete;
  ~StackMeter() = default;

  // A call that succeeded by its first attempt, and that attempt.
  ABSL_ATTRIBUTE_ALWAYS_INLINE void CountFirstTry() { first_tries_.Add(0); }

  void CountCall(CallOutcome outcome, bool retried, absl::StatusCode code);
  void CountAttempt(CallOutcome outcome, absl::StatusCode code);
  void CountRetry(absl::StatusCode code);
  void CountGivingUp(EndReason why);
  void CountTimeout(bool of_call);
  void CountHedge(HedgeOutcome outcome);
  void CountFallback();
  // `policy` is its number in the stack, from 0; kNoPolicy: the call had no time left.
  void CountRefusal(std::size_t policy, RejectionKind kind, Priority priority);
  void CountDryRun(std::size_t policy, const absl::Status& refusal);  // OK: a wait
  static constexpr std::size_t kNoPolicy = static_cast<std::size_t>(-1);

  // CountFirstTry, where the call and the attempt both took that long. False, and nothing counted:
  // there is no memory.
  bool TimeFirstTry(Duration took) {
    DurationHistogram* const times = first_try_times_.Get();
    if (times != nullptr) times->Record(took);
    return times != nullptr;
  }

  // 1 when a call begins, -1 when it has ended; not before CountActiveCalls().
  void CountActive(int change) {
    if (StripedCounters* const active = active_.get()) {
      active->Add(0, static_cast<std::uint64_t>(std::int64_t{change}));
    }
  }

  // How long something took.
  void TimeCall(CallOutcome outcome, Duration took);
  void TimeAttempt(CallOutcome outcome, Duration took);
  void TimeWait(std::size_t policy, Duration took);

  bool retries() const { return retries_; }
  // The name of the first policy of that type.
  std::string_view NameOf(std::string_view policy) const;
  const PolicyLabel& policy(std::size_t number) const {
    return number < policies_.size() ? policies_[number] : no_policy_;
  }

  // Null while nobody observes.
  const Watch* watch() const { return watches_.present(); }
  void Observe(std::string_view name, std::shared_ptr<Observer> observer) const {
    watches_.Add(name, std::move(observer));
  }
  void Time() const { watches_.Time(); }
  void Trace(std::string_view name, std::shared_ptr<Tracer> tracer) const {
    watches_.Trace(name, std::move(tracer));
  }
  // From now on it counts the calls that run, of those that begin later.
  void CountActiveCalls() const;

  // What the policies say of themselves, for Describe. It may keep their objects, which live as
  // long as the stack and so as this. Only the first call has an effect.
  using Description = std::function<std::vector<DescribedPolicy>()>;
  bool described() const { return description_.get() != nullptr; }
  void DescribeBy(Description description) { description_.Get(std::move(description)); }

  // For a registry. Describe: the policies as they are now; none before DescribeBy.
  std::vector<DescribedPolicy> Describe() const;
  std::string_view name() const { return {}; }  // it has the name that the registry gives it
  void Collect(Collector& collector) const;

 private:
  struct Layout;

  void Add(std::size_t which);
  std::uint64_t Sum(std::size_t which) const;
  std::uint64_t FirstTries() const;
  void CollectCalls(Collector& collector) const;
  void CollectActive(Collector& collector) const;
  void CollectAttempts(Collector& collector) const;
  void CollectRetries(Collector& collector) const;
  void CollectPolicies(Collector& collector) const;
  void CollectTimes(Collector& collector) const;

  const std::vector<PolicyLabel> policies_;
  const PolicyLabel no_policy_;
  const bool retries_;
  StripedCounters first_tries_{1};               // but for those of first_try_times_
  MadeOnce<DurationHistogram> first_try_times_;  // of the call, and as much of the attempt
  MadeOnce<StripedCounters> others_;
  std::array<MadeOnce<DurationHistogram>, kCallOutcomes> call_times_;
  std::array<MadeOnce<DurationHistogram>, kCallOutcomes> attempt_times_;
  std::vector<MadeOnce<DurationHistogram>> wait_times_;  // of each policy
  // One counter, the sum of what is added modulo 2^64: each stripe may be below zero.
  mutable MadeOnce<StripedCounters> active_;

  mutable Watches watches_;
  MadeOnce<Description> description_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_CALL_INTERNAL_STACK_METER_H_
