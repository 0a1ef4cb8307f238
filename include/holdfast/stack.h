// A Stack puts policies around any call, outermost first.
//
//   auto fetch = holdfast::Stack(holdfast::Timeout(10s),                // the whole call
//                                holdfast::Retry({.max_attempts = 4}),
//                                holdfast::CircuitBreak(breaker),       // each attempt
//                                holdfast::Timeout(2s))
//                    .Around(executor);
//   absl::StatusOr<Reply> reply = fetch(request);
//   reply = fetch.With({.deadline = soon, .stop = token}, request);
#ifndef HOLDFAST_STACK_H_
#define HOLDFAST_STACK_H_

#include <absl/base/attributes.h>

#include <tuple>
#include <utility>

#include "holdfast/blocking_driver.h"
#include "holdfast/call.h"
#include "holdfast/machine.h"

namespace holdfast {

template <class Executor, class Policies>
class Decorated;

template <class... Parts>
class Stack;

namespace internal {

template <class Policies, class Executor>
Decorated<Executor, Policies> Decorate(Level<Policies, Executor> level, Clock* clock) {
  return Decorated<Executor, Policies>(std::move(level), clock);
}

template <class P>
auto AsPolicies(P policy) {
  static_assert(Policy<P>, "a part of a Stack is a policy (State, Before, After) or a Stack");
  return std::tuple<P>(std::move(policy));
}
template <class... Parts>
auto AsPolicies(Stack<Parts...>&& stack) {
  return std::move(stack).TakePolicies();
}

}  // namespace internal

// A value: policies, outermost first. Copies share the policy objects that the policies share. A
// Stack among the parts stands for its own policies in that place.
template <class... Parts>
class Stack {
 public:
  using Policies = decltype(std::tuple_cat(internal::AsPolicies(std::declval<Parts>())...));

  explicit Stack(Parts... parts)
      : policies_(std::tuple_cat(internal::AsPolicies(std::move(parts))...)) {}

  // The executor with this stack around it, callable with the executor's own arguments. The
  // executor is any callable that takes those arguments and a Call&, or else those arguments, and
  // returns a type that has ResultTraits; it is copied (std::ref keeps it where it is). A null
  // clock is SteadyClock(); the clock must outlive what is returned, and
  // attempts that were left to themselves.
  template <class Executor>
  auto Around(Executor executor, Clock* clock = nullptr) const {
    return internal::Decorate(internal::SplitAtFork(policies_, std::move(executor)), clock);
  }

  // The same for an asynchronous executor, with holdfast/asio.h: see there. `io` may be an executor
  // of Asio, or a context, to run in where a handler has none of its own, and then an AlarmClock*.
  template <class Executor, class... Io>
  auto AroundAsync(Executor executor, Io&&... io) const {
    return DecorateAsync(internal::SplitAtFork(policies_, std::move(executor)),
                         std::forward<Io>(io)...);
  }

  Policies TakePolicies() && { return std::move(policies_); }

 private:
  Policies policies_;
};

// An executor with a stack around it. Calls may run in any number of threads at once, as far as the
// executor and the user's own policies allow it; every policy of Holdfast does.
//
// Arguments are passed to each attempt unchanged and are never moved from: the executor gets an
// lvalue as it is, anything else as const.
template <class Executor, class Policies>
class Decorated {
 public:
  Decorated(internal::Level<Policies, Executor> level, Clock* clock)
      : policies_(std::move(level.policies)),
        executor_(std::move(level.executor)),
        clock_(internal::NullIfSteady(clock)) {
    internal::CheckForks(executor_);
  }

  // Inlined where it is called: that saves a sixth of what a stack of five costs, and all that
  // waits, refuses or tries again is out of line.
  template <class... Args>
    requires internal::Executes<Executor, internal::AttemptArg<Args>...>
  ABSL_ATTRIBUTE_ALWAYS_INLINE auto operator()(Args&&... args) const {
    return With(CallOptions{}, std::forward<Args>(args)...);
  }

  // The same with what the caller has to say about this one call.
  template <class... Args>
    requires internal::Executes<Executor, internal::AttemptArg<Args>...>
  ABSL_ATTRIBUTE_ALWAYS_INLINE auto With(const CallOptions& options, Args&&... args) const {
    return internal::RunBlocking<internal::AttemptArg<Args>...>(policies_, executor_, clock_,
                                                                options, args...);
  }

 private:
  // Shared by all calls, const or not: what a policy or an executor keeps in itself, it must guard.
  mutable Policies policies_;
  mutable Executor executor_;
  Clock* clock_;
};

}  // namespace holdfast

#endif  // HOLDFAST_STACK_H_
