// A forking policy runs what is below it in parallel branches of the call, and need not wait for
// all of them: Hedge, and Timeout with a thread pool. For driver authors; everybody else uses
// hedge.h and timeout.h.
//
//   static_assert(holdfast::driver::ForkingPolicy<holdfast::Hedge<>>);
#ifndef HOLDFAST_DRIVER_FORK_H_
#define HOLDFAST_DRIVER_FORK_H_

#include <concepts>
#include <cstddef>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include "holdfast/base/thread_pool.h"
#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/call/internal/stack_meter.h"
#include "holdfast/call/repeatability.h"
#include "holdfast/driver/machine.h"

namespace holdfast::driver {

// What a forking policy has beside the members of every policy. The first branch is sent at once.
// The result is the first success or, when all branches have ended without one, the first failure
// that is no refusal. At the call's deadline the call goes on without the branches that still run,
// unless MayLeave (repeatability.h) forbids it.
//
// A policy with `static constexpr bool kAsksRequest = true` does not compile around a call whose
// first argument has no RequestTraits.
template <class P>
concept ForkingPolicy =
    Policy<P> && requires(const P& policy, const Call& call, TimePoint now, int sent) {
      // When to send the next branch, where branch number `sent` was sent at `now`;
      // TimePoint::max(): never.
      { policy.NextBranch(now, sent) } -> std::same_as<TimePoint>;
      // Whether `call` may send another branch; asked when it is time for it.
      { policy.MayBranch(call) } -> std::same_as<bool>;
      // Pays for a branch, at `now`; false if the budget is spent.
      { policy.TakeBranch(now) } -> std::same_as<bool>;
      // Returns that payment: the branch could not be sent.
      { policy.ReturnBranch() } -> std::same_as<void>;
      // Where the blocking driver runs branches.
      { policy.pool() } -> std::same_as<ThreadPool*>;
    };

}  // namespace holdfast::driver

namespace holdfast::internal {

// An executor with the policies around it that no policy that forks is outside of: all of a stack
// or, where one forks, those down to it, or those below it.
template <class Policies, class Executor>
struct StackSegment {
  Policies policies;
  Executor executor;
  std::shared_ptr<StackMeter> meter;  // of the whole stack
  unsigned first_policy = 0;          // the number in the stack of the outermost of `policies`
};

// What is below the policy that forks. Copies share it with each other and with attempts that
// nobody waits for any more.
template <driver::ForkingPolicy Fork, class Policies, class Executor>
struct ParallelAttempts {
  using Below = StackSegment<Policies, Executor>;

  TimeBelow TimeBelowAt(TimePoint now) const {
    return BoundedBy(below->policies, 0, now, TimeIn(below->executor, now));
  }

  Fork fork;
  std::shared_ptr<Below> below;
};

template <class T>
inline constexpr bool kIsParallel = false;
template <class Fork, class Policies, class Executor>
inline constexpr bool kIsParallel<ParallelAttempts<Fork, Policies, Executor>> = true;
template <class Fork, class Policies, class Executor>
inline constexpr bool kForks<ParallelAttempts<Fork, Policies, Executor>> = true;

template <class... P>
consteval std::size_t FirstFork() {
  std::size_t first = 0;
  (void)((driver::ForkingPolicy<P> || (++first, false)) || ...);
  return first;
}

// Makes what is below the first policy that forks a part of the executor.
template <class Executor, class... P>
auto SplitAtForkingPolicy(std::tuple<P...> policies, Executor executor,
                          std::shared_ptr<StackMeter> meter, unsigned first_policy = 0) {
  constexpr std::size_t kFork = FirstFork<P...>();
  if constexpr (kFork == sizeof...(P)) {
    return StackSegment<std::tuple<P...>, Executor>{std::move(policies), std::move(executor),
                                                    std::move(meter), first_policy};
  } else {
    const auto part = [&policies]<std::size_t kBegin, std::size_t... I>(
                          std::integral_constant<std::size_t, kBegin>, std::index_sequence<I...>) {
      return std::make_tuple(std::move(std::get<kBegin + I>(policies))...);
    };
    auto fork = std::get<kFork>(policies);
    auto outer =
        part(std::integral_constant<std::size_t, 0>{}, std::make_index_sequence<kFork + 1>{});
    auto below = SplitAtForkingPolicy(part(std::integral_constant<std::size_t, kFork + 1>{},
                                           std::make_index_sequence<sizeof...(P) - kFork - 1>{}),
                                      std::move(executor), meter,
                                      first_policy + static_cast<unsigned>(kFork) + 1);
    using ForkedExecutor =
        ParallelAttempts<decltype(fork), decltype(below.policies), decltype(below.executor)>;
    using Below = typename ForkedExecutor::Below;
    return StackSegment<decltype(outer), ForkedExecutor>{
        std::move(outer),
        ForkedExecutor{std::move(fork), std::make_shared<Below>(std::move(below))},
        std::move(meter), first_policy};
  }
}

// For the static_assert of a driver, which knows the arguments of the call.
template <class Fork, class... Args>
consteval bool CheckWord() {
  if constexpr (requires { requires Fork::kAsksRequest; }) {
    static_assert(kSaysRepeatability<Args...>,
                  "Hedge may run this call twice at once, and nothing says that it may: give it "
                  "your word, Hedge(options, HedgeAll()) or a function of the call, or specialize "
                  "RequestTraits for the call's first argument (holdfast/call/repeatability.h)");
  }
  return true;
}

// Likewise: each branch has copies of the arguments, and may run on when the call has returned.
template <class... Args>
consteval bool CheckCopies() {
  static_assert(
      (kMayOutliveCall<std::decay_t<Args>> && ...),
      "below a policy that forks (Hedge, Timeout with a pool) an attempt may outlive the call, and "
      "a view, a pointer or a reference to an argument would dangle: pass a std::string, a "
      "std::vector or a std::shared_ptr instead, or, where what it points to lives long enough, "
      "specialize holdfast::kMayOutliveCall for its type (holdfast/call/repeatability.h)");
  return true;
}

template <class R, class Policies>
struct MachineOver;
template <class R, class... P>
struct MachineOver<R, std::tuple<P...>> {
  using type = driver::Machine<R, P...>;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_DRIVER_FORK_H_
