// What runs a call in the calling thread, whether or not a policy of it forks.
#ifndef HOLDFAST_DRIVER_INTERNAL_BLOCKING_CALL_H_
#define HOLDFAST_DRIVER_INTERNAL_BLOCKING_CALL_H_

#include <absl/base/attributes.h>
#include <absl/base/optimization.h>

#include <concepts>
#include <functional>
#include <optional>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>

#include "holdfast/base/result.h"
#include "holdfast/base/time.h"
#include "holdfast/base/waker.h"
#include "holdfast/call/call.h"
#include "holdfast/driver/fork.h"
#include "holdfast/driver/machine.h"

namespace holdfast::internal {

// How an argument reaches each attempt: an lvalue as it is, anything else as const, never moved
// from.
template <class Arg>
using AttemptArg = std::conditional_t<std::is_lvalue_reference_v<Arg>, Arg, const Arg&>;

// The return type of a decorated executor's overload for arguments that its executor does not take.
// That overload only states why the call does not compile, so nothing here counts it as callable.
struct NotCallable {};
template <class R>
concept IsResult = !std::same_as<std::remove_cvref_t<R>, NotCallable>;

// An executor that is itself a decorated one, and so can be told what the call knows.
template <class Executor, class... Args>
concept TakesOptions = requires(Executor& executor, const CallOptions& options, Args... args) {
  { executor.With(options, static_cast<Args>(args)...) } -> IsResult;
};

// One of Holdfast's own, which hands on what it caught instead of throwing it.
template <class Executor, class... Args>
concept HandsOnCaught = requires(Executor& executor, const CallOptions& options, Args... args) {
  executor.WithCaught(options, static_cast<Args>(args)...);
};

template <class Executor, class... Args>
concept CallableWith =
    std::is_invocable_v<Executor&, Args...> && IsResult<std::invoke_result_t<Executor&, Args...>>;

// An executor that can be called with the arguments alone is called so, and is not even asked
// whether it takes a Call& as well: the body of a variadic lambda need not compile with one. One
// that has a kTakesCall gets the Call.
template <class Executor, class... Args>
concept ExecutesItself = TakesOptions<Executor, Args...> || CallableWith<Executor, Args...> ||
                         CallableWith<Executor, Args..., Call&>;

template <class Executor, class... Args>
inline constexpr bool kExecutes = ExecutesItself<Executor, Args...>;
// A branch gets copies of the arguments: it may outlive the call.
template <class Fork, class Policies, class Executor, class... Args>
inline constexpr bool kExecutes<ParallelAttempts<Fork, Policies, Executor>, Args...> =
    kExecutes<Executor, const std::decay_t<Args>&...>;

template <class Executor, class... Args>
concept Executes = kExecutes<Executor, Args...>;

class BlockingCall final : public Call {
 public:
  BlockingCall(const CallOptions& options, Clock* clock) : Call(options, clock) {}

  using Call::clock;
  using Call::SetExecutor;
  using Call::SetMeter;
  using Call::SetRequest;

  Waker& waker() override;

  void Wait(TimePoint until) { Wait(until, &Clock::WaitUntil); }
  // Waits for another thread at work.
  void Await(TimePoint until) { Wait(until, &Clock::WaitUntilWokenByPeer); }
  // The same when nothing else ends the wait, the caller's stop token included.
  void AwaitEnd();

 private:
  void Wait(TimePoint until, void (Clock::*wait)(TimePoint, Parker&));
  Parker& parker();

  std::optional<Parker> parker_;  // made by the first wait
};

// Runs an executor once; with the call only where it can't be called without.
template <class... Args, class Executor>
decltype(auto) Attempt(Executor& executor, Call& call, Args... args) {
  if constexpr (TakesOptions<Executor, Args...>) {
    const CallOptions options{.deadline = call.deadline(),
                              .stop = call.stop(),
                              .key = call.key(),
                              .priority = call.priority(),
                              .outer = &call};
    if constexpr (HandsOnCaught<Executor, Args...>) {
      return executor.WithCaught(options, args...);
    } else {
      return executor.With(options, args...);
    }
  } else if constexpr (!TakesCall<Executor> && CallableWith<Executor, Args...>) {
    return std::invoke(executor, args...);
  } else {
    return std::invoke(executor, args..., call);
  }
}

template <class Executor, class... Args>
struct AttemptResult {
  using type = std::remove_cvref_t<decltype(Attempt<Args...>(
      std::declval<Executor&>(), std::declval<BlockingCall&>(), std::declval<Args>()...))>;
};
template <class Fork, class Policies, class Executor, class... Args>
struct AttemptResult<ParallelAttempts<Fork, Policies, Executor>, Args...>
    : AttemptResult<Executor, const std::decay_t<Args>&...> {};

// One run of the executor, which is neutral, however it ended, if `stopped()` after it.
template <class Stopped, class M, class F>
driver::Step ExecuteUnless(const Stopped& stopped, M& machine, const F& attempt) {
  using R = std::invoke_result_t<const F&>;
  machine.Begin();
  std::optional<R> result;
  try {
    result.emplace(attempt());
  } catch (...) {
    if (stopped()) return machine.Cancel();
    machine.Fail();
    throw;
  }
  if (stopped()) return machine.Cancel();
  return machine.Complete([&result]() -> R { return *std::move(result); });
}

// The driver: walks the machine to its end. `execute` runs the executor, through it.
template <class M, class Execute>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline void Walk(M& machine, BlockingCall& call,
                                              const Execute& execute) {
  driver::Step step = machine.Start();
  if (ABSL_PREDICT_TRUE(step == driver::Step::kExecute)) step = execute();
  while (ABSL_PREDICT_FALSE(step != driver::Step::kDone)) {
    if (step == driver::Step::kWait) call.Wait(machine.wait_until());
    step = step == driver::Step::kExecute ? execute() : machine.Resume();
  }
}

}  // namespace holdfast::internal

#endif  // HOLDFAST_DRIVER_INTERNAL_BLOCKING_CALL_H_
