// The blocking driver: runs a call in the calling thread, which sleeps where a policy waits. For
// those who write a driver; everybody else calls what Stack::Around returns.
//
//   R result = internal::RunBlocking<Args...>(policies, executor, clock, options, args...);
#ifndef HOLDFAST_BLOCKING_DRIVER_H_
#define HOLDFAST_BLOCKING_DRIVER_H_

#include <absl/base/attributes.h>
#include <absl/base/optimization.h>

#include <functional>
#include <optional>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>

#include "holdfast/call.h"
#include "holdfast/machine.h"
#include "holdfast/result.h"
#include "holdfast/time.h"
#include "holdfast/waker.h"

namespace holdfast::internal {

// How an argument reaches each attempt: an lvalue as it is, anything else as const, never moved
// from.
template <class Arg>
using AttemptArg = std::conditional_t<std::is_lvalue_reference_v<Arg>, Arg, const Arg&>;

// An executor that is itself a decorated one, and so can be told what the call knows.
template <class Executor, class... Args>
concept TakesOptions = requires(Executor& executor, const CallOptions& options, Args... args) {
  executor.With(options, static_cast<Args>(args)...);
};

template <class Executor, class... Args>
concept Executes =
    TakesOptions<Executor, Args...> || std::is_invocable_v<Executor&, Args..., Call&> ||
    std::is_invocable_v<Executor&, Args...>;

// Runs an executor once, with the call where it takes one.
template <class... Args, class Executor>
decltype(auto) Attempt(Executor& executor, Call& call, Args... args) {
  if constexpr (TakesOptions<Executor, Args...>) {
    return executor.With(
        CallOptions{
            .deadline = call.deadline(), .stop = call.stop(), .key = call.key(), .outer = &call},
        args...);
  } else if constexpr (std::is_invocable_v<Executor&, Args..., Call&>) {
    return std::invoke(executor, args..., call);
  } else {
    return std::invoke(executor, args...);
  }
}

class BlockingCall final : public Call {
 public:
  BlockingCall(const CallOptions& options, Clock* clock) : Call(options, clock) {}

  Waker& waker() override;

  void Wait(TimePoint until);

 private:
  Parker& parker();

  std::optional<Parker> parker_;  // made by the first wait
};

template <class... Args, class Executor, class... Policies>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline auto RunBlocking(std::tuple<Policies...>& policies,
                                                     Executor& executor, Clock* clock,
                                                     const CallOptions& options, Args... args) {
  using R =
      std::remove_cvref_t<decltype(Attempt<Args...>(executor, std::declval<Call&>(), args...))>;
  static_assert(HasResultTraits<R>,
                "specialise holdfast::ResultTraits for what the executor returns (result.h)");
  BlockingCall call(options, clock);
  Machine<R, Policies...> machine(policies, call);
  const auto attempt = [&]() -> R { return Attempt<Args...>(executor, call, args...); };
  Step step = machine.Start();
  if (ABSL_PREDICT_TRUE(step == Step::kExecute)) step = machine.Execute(attempt);
  while (ABSL_PREDICT_FALSE(step != Step::kDone)) {
    if (step == Step::kWait) call.Wait(machine.wait_until());
    step = step == Step::kExecute ? machine.Execute(attempt) : machine.Resume();
  }
  return std::move(machine).TakeResult();
}

}  // namespace holdfast::internal

#endif  // HOLDFAST_BLOCKING_DRIVER_H_
