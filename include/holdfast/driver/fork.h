// A policy that forks sends what is below it on branches of the call, of which it need not await
// all: Hedge, and Timeout given a thread pool. What a driver must know to run one; everybody else
// uses hedge.h and timeout.h.
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
#include "holdfast/call/repeatability.h"
#include "holdfast/driver/machine.h"

namespace holdfast::driver {

// Beside the shape of every policy. The first branch is sent at once; the first success is the
// result, or else, when no branch is left, the first failure that is no refusal. At the call's
// deadline the call goes on without those that are still under way, unless it must not (MayLeave).
//
// A policy with a kAsksRequest that is true does not compile around a call whose request says
// nothing of running twice.
template <class P>
concept ForkingPolicy =
    Policy<P> && requires(const P& policy, const Call& call, TimePoint now, int sent) {
      // When to send one more, at `now`, when number `sent` was sent; TimePoint::max(): never.
      { policy.NextBranch(now, sent) } -> std::same_as<TimePoint>;
      // Whether `call` may: asked when it is time.
      { policy.MayBranch(call) } -> std::same_as<bool>;
      // Pays for it, at `now`; false if it can't.
      { policy.TakeBranch(now) } -> std::same_as<bool>;
      // It could not be sent, and costs nothing.
      { policy.ReturnBranch() } -> std::same_as<void>;
      // Where the blocking driver runs branches.
      { policy.pool() } -> std::same_as<ThreadPool*>;
    };

}  // namespace holdfast::driver

namespace holdfast::internal {

// What is below the policy that forks. Copies share it with each other and with attempts that
// nobody waits for any more.
template <driver::ForkingPolicy Fork, class Policies, class Executor>
struct ParallelAttempts {
  struct Below {
    Policies policies;
    Executor executor;
  };
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

// An executor with the policies around it that are outside of any fork.
template <class Policies, class Executor>
struct StackSegment {
  Policies policies;
  Executor executor;
};

template <class... P>
consteval std::size_t FirstFork() {
  std::size_t first = 0;
  (void)((driver::ForkingPolicy<P> || (++first, false)) || ...);
  return first;
}

// Makes what is below the first policy that forks a part of the executor.
template <class Executor, class... P>
auto SplitAtForkingPolicy(std::tuple<P...> policies, Executor executor) {
  constexpr std::size_t kFork = FirstFork<P...>();
  if constexpr (kFork == sizeof...(P)) {
    return StackSegment<std::tuple<P...>, Executor>{std::move(policies), std::move(executor)};
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
                                      std::move(executor));
    using ForkedExecutor =
        ParallelAttempts<decltype(fork), decltype(below.policies), decltype(below.executor)>;
    using Below = typename ForkedExecutor::Below;
    return StackSegment<decltype(outer), ForkedExecutor>{
        std::move(outer),
        ForkedExecutor{std::move(fork), std::make_shared<Below>(Below{std::move(below.policies),
                                                                      std::move(below.executor)})}};
  }
}

// For the static_assert of a driver, which knows the arguments of the call.
template <class Fork, class... Args>
consteval bool CheckWord() {
  if constexpr (requires { requires Fork::kAsksRequest; }) {
    static_assert(kSaysRepeatability<Args...>,
                  "Hedge may run this call twice at once, and nothing says that it may: give it "
                  "your word, Hedge(options, HedgeAll()) or a function of the call, or specialise "
                  "RequestTraits for the call's first argument (holdfast/repeatability.h)");
  }
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
