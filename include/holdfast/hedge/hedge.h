// Hedge sends an idempotent call again that takes longer than most, without giving up on the first:
// the first success is the result, the others are cancelled. What must not run twice is sent once.
//
//   auto pool = std::make_shared<holdfast::ThreadPool>(holdfast::ThreadPool::Options{});
//   auto latencies = std::make_shared<holdfast::LatencyQuantile>(
//       holdfast::LatencyQuantile::Options{.quantile = 0.95});
//   auto fetch = holdfast::Stack(
//                    holdfast::Retry({.budget = budget}),
//                    holdfast::Hedge({.latencies = latencies, .budget = budget, .pool = pool},
//                                    holdfast::HedgeAll()),  // every call is idempotent
//                    holdfast::Timeout(2s))
//                    .Around(transport);
#ifndef HOLDFAST_HEDGE_HEDGE_H_
#define HOLDFAST_HEDGE_HEDGE_H_

#include <absl/status/status.h>

#include <chrono>
#include <concepts>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/base/result.h"
#include "holdfast/base/settings.h"
#include "holdfast/base/thread_pool.h"
#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/repeatability.h"
#include "holdfast/call/verdict.h"
#include "holdfast/retry/retry_budget.h"
#include "holdfast/timeout/latency_quantile.h"

namespace holdfast {

struct HedgeOptions {
  // From one sending to the next; > 0. With `latencies`, until those have learnt.
  TimeSpan delay = std::chrono::milliseconds(100);
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

namespace internal {

// In place of a caller's word: what the request says.
struct AskRequest {
  bool operator()(const Call&) const { return false; }
};

// The part of Hedge that knows no word.
class HedgePlan {
 public:
  explicit HedgePlan(HedgeOptions options);  // which are valid

  struct State {
    TimePoint sent = {};
  };

  void Begin(Call& call, State& state) const {
    if (options_.latencies != nullptr) state.sent = call.now();
  }
  void Succeeded(Call& call, const State& state) const;

  PolicyInfo Info(const Changes& changes) const;
  void BindClock(ClockBinder& binder) const;
  const HedgeOptions& options() const { return options_; }
  const std::shared_ptr<RetryBudget>& budget() const { return options_.budget; }
  ThreadPool* pool() const { return options_.pool.get(); }
  [[nodiscard]] TimePoint NextBranch(TimePoint now, int sent) const;
  [[nodiscard]] bool TakeBranch(TimePoint now) const;
  void ReturnBranch() const;

 private:
  HedgeOptions options_;
};

template <>
struct SettingsPlan<HedgeOptions> {
  using type = HedgePlan;
  static const HedgeOptions& OptionsOf(const HedgePlan& plan) { return plan.options(); }
  static HedgePlan After(const HedgePlan&, HedgeOptions next) { return HedgePlan(std::move(next)); }
  static absl::Status Keep(const HedgeOptions& present, HedgeOptions& next);
};

}  // namespace internal

// A caller's word for Hedge that every call may run twice at once.
struct HedgeAll {
  bool operator()(const Call&) const { return true; }
};

// As "The Tail at Scale" (Dean and Barroso, CACM 2013) has it. What is below runs once for each
// sending, side by side: policies outside see one call. A failure while another is under way waits
// for that; a failure while none is ends the call, for a Retry outside to try again. A refusal by a
// policy below is the result only if there is nothing better.
//
// Only a call that may run twice at once is sent again; any other goes through Hedge once. Which
// may, the request says, where its type does: of HTTP requests the idempotent ones without streams
// and callbacks (http/repeatable.h). Where the type of a call's first argument has no RequestTraits
// (repeatability.h), or there is no argument, Hedge needs a word of its caller, or it does not
// compile: HedgeAll(), or a function of the call that says whether this one, made twice, does no
// more than made once. Where the request says that it is not idempotent the word overrules it, and
// not where it can't be shared. Be sure of it: a loser may still come to the service when the call
// has returned, and the caller has asked for something else.
//
// The losers are asked to stop (their stop token; on the asynchronous driver they are cancelled)
// and nobody waits for them; they are neutral to a breaker and no sample of latency. What the call
// took, from its first sending, is one sample, whichever won: so that being hedged does not make a
// quantile believe that the service is fast.
//
// On the blocking driver what is below runs in the pool: the arguments of the call are copied (what
// a view or a pointer among them points to is not), the
// call goes on at its deadline with kDeadlineExceeded, and is refused with kResourceExhausted where
// the pool is full. There, Around throws std::invalid_argument if there is no pool. A request that
// can't be shared is awaited instead, beyond the deadline too: nothing of it is used once the call
// has returned.
template <class Word = internal::AskRequest>
class Hedge {
  static_assert(std::is_invocable_r_v<bool, const Word&, const Call&>,
                "Hedge: the second argument must be HedgeAll(), or a function that takes a const "
                "Call& and returns a bool");

 public:
  static constexpr std::string_view kName = "Hedge";
  static constexpr bool kRepeats = true;  // these two: see policy.h
  static constexpr bool kJudgesBelow = true;
  // For drivers: it has no word of its caller.
  static constexpr bool kAsksRequest = std::same_as<Word, internal::AskRequest>;

  // Throws std::invalid_argument with the text of Validate. `word` is called with a const Call&
  // when it is time to send one again, in the thread that made the call, in as many at once as make
  // calls. What it throws passes to the caller.
  explicit Hedge(HedgeOptions options, Word word = {})
      : plan_(std::move(options)), word_(std::move(word)) {}
  // The same with options that change; throws for null settings. A template, so that Hedge({})
  // means default options.
  template <std::same_as<Settings<HedgeOptions>> S>
  explicit Hedge(std::shared_ptr<S> settings, Word word = {})
      : plan_(std::move(settings)), word_(std::move(word)) {}

  using State = internal::HedgePlan::State;

  Verdict Before(Call& call, State& state) const {
    plan_.first().Begin(call, state);
    return Verdict::Proceed();
  }

  template <class R>
  Next After(Call& call, State& state, R& result) const {
    if (ResultTraits<R>::StatusOf(result).ok() && !call.rejected())
      plan_.first().Succeeded(call, state);
    return Next::Done();
  }

  PolicyInfo Info(const internal::Changes& changes = {}) const {
    return plan_.With(changes).Info(changes);
  }

  void BindClock(internal::ClockBinder& binder) const { plan_.first().BindClock(binder); }

  // The one that it was given, or its own; never null.
  const std::shared_ptr<RetryBudget>& budget() const { return plan_.first().budget(); }

  // For drivers (fork.h).
  ThreadPool* pool() const { return plan_.first().pool(); }
  [[nodiscard]] TimePoint NextBranch(TimePoint now, int sent) const {
    return plan_.Read()->NextBranch(now, sent);
  }
  [[nodiscard]] bool MayBranch(const Call& call) const {
    // The word is not asked where it does not matter.
    return MayRunAtOnce(call) || (MayRunAtOnce(call, /*idempotent=*/true) && word_(call));
  }
  [[nodiscard]] bool TakeBranch(TimePoint now) const { return plan_.first().TakeBranch(now); }
  void ReturnBranch() const { plan_.first().ReturnBranch(); }

 private:
  internal::Live<HedgeOptions> plan_;
  [[no_unique_address]] Word word_;
};

Hedge(HedgeOptions) -> Hedge<>;
template <std::same_as<Settings<HedgeOptions>> S>
Hedge(std::shared_ptr<S>) -> Hedge<>;
template <std::same_as<Settings<HedgeOptions>> S, class Word>
Hedge(std::shared_ptr<S>, Word) -> Hedge<Word>;
template <class Word>
Hedge(HedgeOptions, Word) -> Hedge<Word>;

}  // namespace holdfast

#endif  // HOLDFAST_HEDGE_HEDGE_H_
