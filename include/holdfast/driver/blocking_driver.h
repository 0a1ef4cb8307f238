// The blocking driver: runs a call in the calling thread, which sleeps while a policy waits. For
// driver authors; everybody else calls what Stack::Around returns.
//
//   R result = internal::RunBlocking<Args...>(level, clock, options, args...);
#ifndef HOLDFAST_DRIVER_BLOCKING_DRIVER_H_
#define HOLDFAST_DRIVER_BLOCKING_DRIVER_H_

#include <absl/base/attributes.h>

#include <tuple>
#include <type_traits>
#include <utility>

#include "holdfast/base/result.h"
#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/driver/fork.h"
#include "holdfast/driver/internal/blocking_call.h"
#include "holdfast/driver/internal/blocking_fork.h"
#include "holdfast/driver/machine.h"
#include "holdfast/driver/race.h"

namespace holdfast::internal {

template <class... Args, class Executor, class... Policies>
ABSL_ATTRIBUTE_ALWAYS_INLINE inline auto RunBlocking(
    StackSegment<std::tuple<Policies...>, Executor>& level, Clock* clock,
    const CallOptions& options, Args... args) {
  using R = typename AttemptResult<Executor, Args...>::type;
  static_assert(HasResultTraits<R> || !std::is_void_v<R>,
                "the executor returns nothing: put it in holdfast::Catching (catching.h), to which "
                "what does not throw is a success");
  static_assert(
      HasResultTraits<R> || std::is_void_v<R>,
      "specialize holdfast::ResultTraits for what the executor returns (result.h), or put "
      "the executor in holdfast::Catching (catching.h), to which what does not throw is a "
      "success");
  if constexpr (HasResultTraits<R>) {
    BlockingCall call(options, clock);
    call.SetRequest(args...);
    call.SetExecutor(level.executor);
    call.SetMeter(*level.meter, level.first_policy);
    driver::Machine<R, Policies...> machine(level.policies, call);
    const auto attempt = [&]() -> R { return Attempt<Args...>(level.executor, call, args...); };
    if constexpr (kIsParallel<Executor>) {
      // A call that was stopped while it waited for its branches is cancelled.
      const auto stopped = [&call] { return Branches::WasStopped(call); };
      Walk(machine, call, [&] { return ExecuteUnless(stopped, machine, attempt); });
    } else {
      Walk(machine, call, [&machine, &attempt] { return machine.Execute(attempt); });
    }
    return std::move(machine).TakeResult();
  }
}

}  // namespace holdfast::internal

#endif  // HOLDFAST_DRIVER_BLOCKING_DRIVER_H_
