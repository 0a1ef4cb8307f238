// Hedge starts a second copy of a slow idempotent call: the first success is the result, and the
// other copies are cancelled. A call that must not run twice is sent once.
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
#include "holdfast/call/collector.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/repeatability.h"
#include "holdfast/call/verdict.h"
#include "holdfast/retry/retry_budget.h"
#include "holdfast/timeout/latency_quantile.h"

namespace holdfast {

struct HedgeOptions {
  // The delay before each hedge, since the copy before it; > 0. With `latencies`: used until they
  // have enough samples.
  TimeSpan delay = std::chrono::milliseconds(100);
  // The delay is their value: with a quantile of 0.95, one call in twenty is hedged. Hedge records
  // its calls there. Null: the delay is fixed.
  std::shared_ptr<LatencyQuantile> latencies = nullptr;
  // Copies sent beside the first, at most; 1 to kMaxHedges.
  int max_hedges = 1;
  // Each hedge withdraws from it, as a retry does, and each success deposits. So in the long run
  // hedges add at most a fifth to the load, with the default budget. Null: this Hedge makes one
  // with default options, which its copies share. Share it with a Retry around this Hedge.
  // RetryBudget::Unlimited(): no budget.
  std::shared_ptr<RetryBudget> budget = nullptr;
  // Where the blocking driver runs calls, which it requires; its threads bound the copies that run
  // at once. The asynchronous driver does not use it.
  std::shared_ptr<ThreadPool> pool = nullptr;

  static constexpr int kMaxHedges = 16;
};

absl::Status Validate(const HedgeOptions& options);

namespace internal {

// The default word: only the request says whether it may run twice.
struct AskRequest {
  bool operator()(const Call&) const { return false; }
};

// The part of Hedge that does not depend on the word.
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
  void Objects(CollectedObjects& objects, std::string_view kind) const;
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

// Tells a Hedge that every call may run twice at once.
struct HedgeAll {
  bool operator()(const Call&) const { return true; }
};

// After "The Tail at Scale" (Dean and Barroso, CACM 2013). A call's copies run side by side, each
// through all policies below; policies outside see one call.
// - The first success is the result. A failure while another copy runs waits for that one. A
//   failure of the last copy ends the call, and a Retry outside may try again. A rejection by a
//   policy below is the result only if no copy has a better one.
// - The losers are asked to stop (by their stop token; the asynchronous driver cancels them) and
//   nobody waits for them. They are neutral to a breaker and no sample of latency. The call's time,
//   from its first copy on, is one sample, whichever copy won: so hedging does not make the service
//   seem faster than it is.
//
// Only a call that may run twice at once is hedged; any other goes through Hedge once. The request
// says so by its type (RequestTraits, repeatability.h): of HTTP requests, the idempotent ones
// without streams and callbacks (http/repeatable.h). If the type of the call's first argument has
// no RequestTraits, or the call has no argument, Hedge compiles only with a second argument, the
// word: HedgeAll(), or a function of the call that says whether running this one twice does no more
// than running it once. The word overrules a request that says it is not idempotent, but not one
// that cannot be shared. A loser may still reach the service after the call has returned.
//
// On the blocking driver the copies run in the pool. The arguments of the call are copied, but not
// what a view or a pointer among them points to. The call returns kDeadlineExceeded at its
// deadline, and is rejected with kResourceExhausted if the pool is full. Around throws
// std::invalid_argument if there is no pool. A request that cannot be shared is waited for beyond
// the deadline, because it must not be used once the call has returned.
//
// Thread-safe.
template <class Word = internal::AskRequest>
class Hedge {
  static_assert(std::is_invocable_r_v<bool, const Word&, const Call&>,
                "Hedge: the second argument must be HedgeAll(), or a function that takes a const "
                "Call& and returns a bool");

 public:
  static constexpr std::string_view kName = "Hedge";
  static constexpr bool kRepeats = true;  // these two: see policy.h
  static constexpr bool kJudgesBelow = true;
  // For drivers: there is no word.
  static constexpr bool kAsksRequest = std::same_as<Word, internal::AskRequest>;

  // Throws std::invalid_argument with the text of Validate. `word(const Call&)` returns a bool; it
  // is called before each hedge, in the thread that makes the call, by several threads at once. Its
  // exceptions pass to the caller.
  explicit Hedge(HedgeOptions options, Word word = {})
      : plan_(std::move(options)), word_(std::move(word)) {}
  // With options that change while calls run. Throws std::invalid_argument for null settings.
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
  // First the one that rejects calls.
  void Objects(CollectedObjects& objects) const { plan_.first().Objects(objects, kName); }

  // The budget of the options, or the one that this Hedge made; never null.
  const std::shared_ptr<RetryBudget>& budget() const { return plan_.first().budget(); }

  // For drivers (fork.h).
  ThreadPool* pool() const { return plan_.first().pool(); }
  [[nodiscard]] TimePoint NextBranch(TimePoint now, int sent) const {
    return plan_.Read()->NextBranch(now, sent);
  }
  [[nodiscard]] bool MayBranch(const Call& call) const {
    // The word is not called where it makes no difference.
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
