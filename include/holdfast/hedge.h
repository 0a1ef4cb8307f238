// Hedge sends an idempotent call again that takes longer than most, without giving up on the first:
// the first success is the result, the others are cancelled.
//
//   auto pool = std::make_shared<holdfast::ThreadPool>(holdfast::ThreadPool::Options{});
//   auto latencies = std::make_shared<holdfast::LatencyQuantile>(
//       holdfast::LatencyQuantile::Options{.quantile = 0.95});
//   auto fetch = holdfast::Stack(
//                    holdfast::Retry({.budget = budget}),
//                    holdfast::Hedge({.latencies = latencies, .budget = budget, .pool = pool}),
//                    holdfast::Timeout(2s))
//                    .Around(transport);
#ifndef HOLDFAST_HEDGE_H_
#define HOLDFAST_HEDGE_H_

#include <absl/status/status.h>

#include <chrono>
#include <memory>
#include <string_view>

#include "holdfast/call.h"
#include "holdfast/internal/validate.h"
#include "holdfast/latency_quantile.h"
#include "holdfast/policy_facts.h"
#include "holdfast/result.h"
#include "holdfast/retry_budget.h"
#include "holdfast/thread_pool.h"
#include "holdfast/time.h"
#include "holdfast/verdict.h"

namespace holdfast {

struct HedgeOptions {
  // From one sending to the next; > 0. With `latencies`, until those have learnt.
  Duration delay = std::chrono::milliseconds(100);
  // The delay is their value: with a quantile of 0.95 one call in twenty is sent again. Hedge tells
  // them what its calls take; null: `delay` is fixed.
  std::shared_ptr<LatencyQuantile> latencies = nullptr;
  int max_hedges = 1;  // sent beside the first; 1 to kMaxHedges
  // Each of them spends from it, as a retry does, and each success repays. Null: one of this
  // Hedge's own, which its copies share. Give a Retry around it the same; RetryBudget::Unlimited():
  // none.
  std::shared_ptr<RetryBudget> budget = nullptr;
  // What the blocking driver runs calls in; the asynchronous one needs none.
  std::shared_ptr<ThreadPool> pool = nullptr;

  static constexpr int kMaxHedges = 16;
};

absl::Status Validate(const HedgeOptions& options);

// As "The Tail at Scale" (Dean and Barroso, CACM 2013) has it. What is below runs once for each
// sending, side by side: policies outside see one call. A failure while another is under way waits
// for that; a failure while none is ends the call, for a Retry outside to try again. A refusal by a
// policy below is the result only if there is nothing better.
//
// The losers are asked to stop (their stop token; on the asynchronous driver they are cancelled)
// and nobody waits for them; they are neutral to a breaker and no sample of latency. What the call
// took, from its first sending, is one sample, whichever won: so that being hedged does not make a
// quantile believe that the service is fast.
//
// On the blocking driver what is below runs in the pool: the arguments of the call are copied (what
// a view or a pointer among them points to is not), the
// call goes on at its deadline with kDeadlineExceeded, and is refused with kResourceExhausted where
// the pool is full. There, Around throws std::invalid_argument if there is no pool.
class Hedge {
 public:
  static constexpr std::string_view kName = "Hedge";
  static constexpr bool kRepeats = true;

  // Throws std::invalid_argument with the text of Validate.
  explicit Hedge(HedgeOptions options);

  struct State {
    TimePoint sent = {};
  };

  Verdict Before(Call& call, State& state) const {
    if (options_.latencies != nullptr) state.sent = call.now();
    return Verdict::Proceed();
  }

  template <class R>
  Next After(Call& call, State& state, R& result) const {
    if (ResultTraits<R>::StatusOf(result).ok() && !call.rejected()) Succeeded(call, state);
    return Next::Done();
  }

  PolicyFacts Facts() const;

  // The one that it was given, or its own; never null.
  const std::shared_ptr<RetryBudget>& budget() const { return options_.budget; }

  // For drivers (fork.h).
  ThreadPool* pool() const { return options_.pool.get(); }
  TimePoint NextBranch(TimePoint now, int sent) const;
  bool TakeBranch(TimePoint now) const;
  void ReturnBranch() const;

 private:
  void Succeeded(Call& call, const State& state) const;

  HedgeOptions options_;
};

}  // namespace holdfast

#endif  // HOLDFAST_HEDGE_H_
