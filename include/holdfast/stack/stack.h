// A Stack puts policies around any call, outermost first.
//
//   auto fetch = holdfast::Stack(holdfast::Timeout(10s),                // the whole call
//                                holdfast::Retry({.max_attempts = 4}),
//                                holdfast::CircuitBreak(breaker),       // each attempt
//                                holdfast::Timeout(2s))
//                    .Around(executor);
//   absl::StatusOr<Reply> reply = fetch(request);
//   reply = fetch.With({.deadline = soon, .stop = token}, request);
#ifndef HOLDFAST_STACK_STACK_H_
#define HOLDFAST_STACK_STACK_H_

#include <absl/base/attributes.h>
#include <absl/status/status.h>

#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/call/call.h"
#include "holdfast/call/caught.h"
#include "holdfast/driver/blocking_driver.h"
#include "holdfast/driver/machine.h"
#include "holdfast/stack/internal/stack_info.h"
#include "holdfast/stack/internal/stack_order.h"

namespace holdfast {

template <class Executor, class Policies>
class Decorated;

template <class... Parts>
class Stack;

namespace internal {

// An executor that could only be called with its arguments moved into it.
template <class Executor, class... Args>
concept WantsToMove =
    !Executes<Executor, AttemptArg<Args>...> && std::is_invocable_v<Executor&, Args...>;

template <class Policies, class Executor>
Decorated<Executor, Policies> Decorate(StackSegment<Policies, Executor> level, Clock* clock) {
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
//
// Orders that make no sense, whatever the settings, do not compile: a Fallback inside of a Retry, a
// Hedge or a breaker, which would take its answer for a success; and a Retry inside of a Retry,
// unless it is a NestedRetry. Validate finds what does not fit in numbers.
template <class... Parts>
class Stack {
 public:
  using Policies = decltype(std::tuple_cat(internal::AsPolicies(std::declval<Parts>())...));

  static_assert(internal::CheckOrder(std::type_identity<Policies>()));

  explicit Stack(Parts... parts)
      : policies_(std::tuple_cat(internal::AsPolicies(std::move(parts))...)) {}

  // The executor with this stack around it, callable with the executor's own arguments. The
  // executor is any callable that takes those arguments and a Call&, or else those arguments, and
  // returns a type that has ResultTraits; it is copied (std::ref keeps it where it is). A null
  // clock is SteadyClock(); the clock must outlive what is returned, and
  // attempts that were left to themselves.
  //
  // This is the place to give a clock to a stack and all of its policy objects: those without one
  // take it, and keep it for good, so it must outlive their methods without At as well. Throws
  // std::invalid_argument, with nothing taken, where an object or a stack inside of this one is on
  // another clock: a breaker that was opened at the time of one is half-open by that of the other.
  template <class Executor>
  auto Around(Executor executor, Clock* clock = nullptr) const {
    internal::BindClocks(policies_, executor, clock);
    return internal::Decorate(internal::SplitAtForkingPolicy(policies_, std::move(executor)),
                              clock);
  }

  // The same for an asynchronous executor, with holdfast/asio.h: see there. `io` may be an executor
  // of Asio, or a context, to run in where a handler has none of its own, and then an TimerClock*.
  template <class Executor, class... Io>
  auto AroundAsync(Executor executor, Io&&... io) const {
    internal::BindClocks(policies_, executor, internal::ClockAmong(io...));
    return DecorateAsync(internal::SplitAtForkingPolicy(policies_, std::move(executor)),
                         std::forward<Io>(io)...);
  }

  // For a log, as in `Timeout(10s) > Retry(4 attempts, backoff up to 700ms) > Timeout(2s)`: each
  // policy with the name of its object, if it has one, and its settings. Of a policy of yours it is
  // the kName, or else "policy", and what its Info() say (policy_info.h).
  std::string Describe() const { return internal::DescribeStack(Info()); }

  Policies TakePolicies() && { return std::move(policies_); }

  // For Validate, and for UpdateAll with what would change.
  std::vector<internal::NamedInfo> Info(const internal::Changes& changes = {}) const {
    return internal::InfoOfAll(policies_, changes);
  }

 private:
  Policies policies_;
};

// Refuses, with kInvalidArgument and a sentence, a stack whose settings do not fit each other:
//   - an attempt of a Retry may take as long as the Timeout around that;
//   - all its attempts, with the longest delays between them, may take longer than that, unless
//     max_elapsed ends them before;
//   - a Hedge sends the last one when the Timeout around it is over;
//   - a policy's max_wait is longer than the Timeout around it, or it has none and there is none;
//   - a Retry waits for refusals without a Timeout around it, or for a breaker that is open for as
//     long as that;
//   - a breaker's probe_lease is shorter than a call below it may take;
//   - a breaker's window of time is less than twice as long as a call below it may take: too many
//     of those that run out of time would be forgotten before they end;
//   - a half-open breaker lets more probes through at once than a Bulkhead inside of it.
// The first and third, and the factor of two, are those of Microsoft.Extensions.Http.Resilience
// (HttpStandardResilienceOptions and HttpStandardHedgingResilienceOptions).
//
// The Timeout around a policy is the tightest one outside of it. How long something may take is
// what the nearest one inside says; an AdaptiveTimeout says its max, and waiting for tokens or
// permits does not count. What is unlimited or unknown refuses nothing, nor does a policy of yours,
// unless it has Info() (policy_info.h). Limits are those of this moment.
template <class... Parts>
absl::Status Validate(const Stack<Parts...>& stack) {
  return internal::ValidateStack(stack.Info());
}

// An executor with a stack around it. Calls may run in any number of threads at once, as far as the
// executor and the user's own policies allow it; every policy of Holdfast does.
//
// Arguments are passed to each attempt unchanged and are never moved from: the executor gets an
// lvalue as it is, anything else as const. Around an executor in Catching a call returns what that
// returns, throws what it threw last, and throws a StatusError where a policy has something to say
// that the result has no room for.
template <class Executor, class Policies>
class Decorated {
 public:
  Decorated(internal::StackSegment<Policies, Executor> level, Clock* clock)
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
    if constexpr (internal::kIsCaught<decltype(WithCaught(options, std::forward<Args>(args)...))>) {
      return WithCaught(options, std::forward<Args>(args)...).Release();
    } else {
      return WithCaught(options, std::forward<Args>(args)...);
    }
  }

  // For drivers and whatever else is around it: the same, but what an executor in Catching threw is
  // in a Caught.
  template <class... Args>
    requires internal::Executes<Executor, internal::AttemptArg<Args>...>
  ABSL_ATTRIBUTE_ALWAYS_INLINE auto WithCaught(const CallOptions& options, Args&&... args) const {
    return internal::RunBlocking<internal::AttemptArg<Args>...>(policies_, executor_, clock_,
                                                                options, args...);
  }

  // For a stack around this one.
  TimeBelow TimeBelowAt(TimePoint now) const {
    return internal::BoundedBy(policies_, 0, now, internal::TimeIn(executor_, now));
  }

  // Only say why they can't be called with these.
  template <class... Args>
    requires internal::WantsToMove<Executor, Args...>
  void operator()(Args&&... args) const {
    With(CallOptions{}, std::forward<Args>(args)...);
  }
  template <class... Args>
    requires internal::WantsToMove<Executor, Args...>
  void With(const CallOptions&, Args&&...) const {
    static_assert(!internal::WantsToMove<Executor, Args...>,
                  "every attempt needs the arguments, so they are never moved from: take one that "
                  "can't be copied by const reference, or in a std::shared_ptr");
  }

  // For a stack around it.
  Clock* StackClock() const { return clock_ == nullptr ? SteadyClock() : clock_; }

 private:
  // Shared by all calls, const or not: what a policy or an executor keeps in itself, it must guard.
  mutable Policies policies_;
  mutable Executor executor_;
  Clock* clock_;
};

}  // namespace holdfast

#endif  // HOLDFAST_STACK_STACK_H_
