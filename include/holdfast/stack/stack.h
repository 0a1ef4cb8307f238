// A Stack puts policies around any call, outermost first.
//
//   auto fetch = holdfast::Stack(holdfast::Timeout(10s),                // the whole call
//                                holdfast::Retry({.max_attempts = 4}),
//                                breaker,             // a std::shared_ptr<CircuitBreaker>
//                                holdfast::Timeout(2s))                 // one attempt
//                    .Around(executor);
//   absl::StatusOr<Reply> reply = fetch(request);
//   reply = fetch.With({.deadline = soon, .stop = token}, request);
#ifndef HOLDFAST_STACK_STACK_H_
#define HOLDFAST_STACK_STACK_H_

#include <absl/base/attributes.h>
#include <absl/status/status.h>

#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/call/call.h"
#include "holdfast/call/caught.h"
#include "holdfast/call/collector.h"
#include "holdfast/call/internal/stack_meter.h"
#include "holdfast/call/observer.h"
#include "holdfast/call/policy.h"
#include "holdfast/call/tracer.h"
#include "holdfast/call/verdict.h"
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
concept WantsToMove = !Executes<Executor, AttemptArg<Args>...> && CallableWith<Executor, Args...>;

template <class Executor, class... Args>
concept TakesOthers = !Executes<Executor, AttemptArg<Args>...> && !CallableWith<Executor, Args...>;

// holdfast/asio.h is included.
template <class Level>
concept HasAsyncDriver = requires(const Level& level) { AsyncDriver(level); };

template <class P>
concept HasBefore = requires(P& policy, Call& call, typename P::State& state) {
  { policy.Before(call, state) } -> std::same_as<Verdict>;
};

template <class Policies, class Executor>
Decorated<Executor, Policies> Decorate(StackSegment<Policies, Executor> level, Clock* clock) {
  return Decorated<Executor, Policies>(std::move(level), clock);
}

// What a part of a Stack stands for. Of a part that is refused nothing else is said.
template <class P>
auto AsPolicies(P policy) {
  static_assert(Policy<P> || HasBefore<P>,
                "a part of a Stack is a policy (State, Before, After), a std::shared_ptr to a "
                "policy object, or a Stack");
  static_assert(Policy<P> || !HasBefore<P>,
                "a policy of a Stack has no `template <class R> Next After(Call&, State&, R&)`, or "
                "its State can't be default-constructed: see docs/custom_policy.md");
  if constexpr (Policy<P>) {
    return std::tuple<P>(std::move(policy));
  } else {
    return std::tuple<>();
  }
}
template <class Object>
auto AsPolicies(std::shared_ptr<Object> object) {
  static_assert(HasPolicy<Object>,
                "Stack has no policy for this std::shared_ptr: include the header of the policy "
                "(circuit_break.h for a CircuitBreaker, rate_limit.h for a TokenBucket, bulkhead.h "
                "for a Semaphore, ...), or specialize holdfast::PolicyOf for an object of yours");
  if constexpr (HasPolicy<Object>) {
    using P = typename PolicyOf<Object>::type;
    return std::tuple<P>(P(std::move(object)));
  } else {
    return std::tuple<>();
  }
}
template <class... Parts>
auto AsPolicies(Stack<Parts...>&& stack) {
  return std::move(stack).TakePolicies();
}

}  // namespace internal

// A value: policies, outermost first. Copies share the policy objects that the policies share. A
// part is one of these:
//   - a policy;
//   - a std::shared_ptr to a policy object, which means the object's policy with default options:
//     Stack(breaker) is Stack(CircuitBreak(breaker)). It throws std::invalid_argument for a null
//     one. For an object of yours see PolicyOf (policy.h);
//   - another Stack, which means its policies in that place.
//
// Some orders of policies are wrong whatever the settings, and do not compile:
//   - a policy that replaces a failure (Fallback) inside of one that repeats or counts calls
//     (Retry, Hedge, CircuitBreak, KeyedCircuitBreak, AdaptiveThrottle, AdaptiveLimit):
//     the outer policy would take the substitute for a success of the service;
//   - a policy that may answer without a call (Cache) inside of one that counts or times calls
//     (Hedge, CircuitBreak, KeyedCircuitBreak, AdaptiveThrottle, AdaptiveLimit);
//   - a Retry inside of a Retry, unless the inner one is a NestedRetry.
// A policy of yours takes part in these rules by its traits (policy.h). Validate finds settings
// that contradict each other.
template <class... Parts>
class Stack {
 public:
  using Policies = decltype(std::tuple_cat(internal::AsPolicies(std::declval<Parts>())...));

  static_assert(internal::CheckOrder(std::type_identity<Policies>()));

  explicit Stack(Parts... parts)
      : policies_(std::tuple_cat(internal::AsPolicies(std::move(parts))...)),
        meter_(internal::MeterFor(policies_)) {}

  // Returns the executor with this stack around it, callable with the executor's own arguments. The
  // executor is any callable that takes those arguments, or those arguments and a Call& at the end,
  // and returns a type with ResultTraits. One that can be called both ways gets the Call only if it
  // has a `static constexpr bool kTakesCall = true`. The executor is copied; std::ref avoids that.
  //
  // `clock`: null means SteadyClock(). The clock must outlive the returned callable and any
  // abandoned attempt. Policy objects of this stack that have no clock take this one and keep it,
  // so the clock must outlive their methods without At as well. Throws std::invalid_argument, with
  // nothing changed, if a policy object or a stack inside of this one has another clock: the times
  // of two clocks can't be compared.
  template <class Executor>
  auto Around(Executor executor, Clock* clock = nullptr) const {
    return internal::Decorate(SegmentFor(std::move(executor), clock), clock);
  }

  // The same for an asynchronous executor; needs holdfast/asio.h, which documents it. `io` is
  // nothing, or an executor or a context of Asio, in which calls run whose handler has no executor
  // of its own, optionally followed by a TimerClock*.
  template <class Executor, class... Io>
  auto AroundAsync(Executor executor, Io&&... io) const {
    using Level = decltype(SegmentFor(std::move(executor), nullptr));
    static_assert(internal::HasAsyncDriver<Level>,
                  "AroundAsync needs the asynchronous driver: include holdfast/asio.h");
    if constexpr (internal::HasAsyncDriver<Level>) {
      Clock* const clock = internal::ClockAmong(io...);
      return DecorateAsync(SegmentFor(std::move(executor), clock), std::forward<Io>(io)...);
    }
  }

  // Returns a text for logs, as in `Timeout(10s) > Retry(4 attempts, backoff up to 700ms) >
  // Timeout(2s)`: for each policy its name, the name of its object, if it has one, and its
  // settings. For a policy of yours that is its kName, or else "policy", and the settings of its
  // Info() (policy_info.h).
  std::string Describe() const { return internal::DescribeStack(Info()); }

  Policies TakePolicies() && { return std::move(policies_); }

  // For Validate; for UpdateAll, as if `changes` had been made.
  std::vector<internal::NamedInfo> Info(const internal::Changes& changes = {}) const {
    return internal::InfoOfAll(policies_, changes);
  }

  // Returns this stack, and from now on `observer` is told what happens to the calls through it,
  // through its copies, and through what their Around has returned or will return; and when a
  // circuit breaker of the stack changes its state. `name` stands in each event. Of calls that run
  // meanwhile nothing is told, or a part. The observer is kept as long as the stack and its copies.
  // Throws std::invalid_argument for a null observer.
  Stack Observed(std::string_view name, const std::shared_ptr<Observer>& observer) const {
    internal::NotNull(observer, "Observed: the Observer");
    const CollectedObjects objects = Objects();
    for (const CollectedObject& object : objects.all()) {
      const auto kept = object.object.lock();
      if (object.observe != nullptr && kept != nullptr) object.observe(kept.get(), name, observer);
    }
    return *this;
  }

  // Returns this stack, and from now on `tracer` makes spans of the calls through it, through its
  // copies, and through what their Around has returned or will return, and of their attempts; not
  // of calls that run meanwhile. `name` is the stack's in each span. Several tracers may be
  // attached. Each is kept as long as the stack and its copies. Throws std::invalid_argument for a
  // null tracer.
  Stack Traced(std::string_view name, const std::shared_ptr<Tracer>& tracer) const {
    meter_->Trace(name, internal::NotNull(tracer, "Traced: the Tracer"));
    return *this;
  }

  // For drivers: the policies around the executor, with that clock.
  template <class Executor>
  auto SegmentFor(Executor executor, Clock* clock) const {
    internal::BindClocks(policies_, executor, clock);
    return internal::SplitAtForkingPolicy(policies_, std::move(executor), meter_);
  }

  // For a registry of metrics (metrics/metrics.h): the counters of the stack, and the objects of
  // its policies.
  CollectedObjects Objects() const { return internal::ObjectsOfAll(policies_, meter_); }

 private:
  Policies policies_;
  std::shared_ptr<internal::StackMeter> meter_;
};

// Reports settings that contradict each other: OK, or kInvalidArgument with a sentence that names
// the policies and says what to change. It refuses a stack in which
//   - one attempt of a Retry may take as long as the Timeout around the Retry;
//   - all attempts of a Retry, with the longest delays between them, may take longer than the
//     Timeout around the Retry, unless its max_elapsed ends them earlier;
//   - a Hedge sends its last attempt when the Timeout around the Hedge has expired;
//   - the max_wait of a policy is longer than the Timeout around it, or both are missing;
//   - a Retry waits for refusals and has no Timeout around it, or waits for a breaker that stays
//     open for at least as long as that Timeout;
//   - the probe_lease of a breaker is shorter than a call below the breaker may take;
//   - the window of a breaker is less than twice as long as a call below it may take: too many
//     of the calls that time out would be forgotten before they end;
//   - a half-open breaker admits more probes at once than a Bulkhead inside of it admits calls;
//   - a breaker closes after more probes than the min_samples of an AdaptiveTimeout inside of it.
// The first and third rule, and the factor of two, are those of
// Microsoft.Extensions.Http.Resilience (HttpStandardResilienceOptions and
// HttpStandardHedgingResilienceOptions).
//
// "The Timeout around a policy" is the tightest Timeout outside of it. How long a call or an
// attempt may take is the limit of the nearest Timeout inside; for an AdaptiveTimeout that is its
// max. Time spent waiting for tokens or permits is not counted. Settings that are unlimited or
// unknown are ignored, as is a policy of yours that has no Info() (policy_info.h). Validate reads
// the settings as they are at this moment.
template <class... Parts>
absl::Status Validate(const Stack<Parts...>& stack) {
  return internal::ValidateStack(stack.Info());
}

// An executor with a stack around it. Calls may run in any number of threads at once, if the
// executor and your own policies allow it; every policy of Holdfast does.
//
// Each attempt gets the same arguments, which are never moved from: the executor gets an lvalue as
// it is, and anything else as const. Around an executor in Catching, a call returns what the
// executor returned, or throws what its last attempt threw; where a policy refuses the call or cuts
// it off and the result type can't hold a status, the call throws a StatusError.
template <class Executor, class Policies>
class Decorated {
 public:
  Decorated(internal::StackSegment<Policies, Executor> level, Clock* clock)
      : level_(std::move(level)), clock_(internal::NullIfSteady(clock)) {
    internal::CheckForks(level_.executor);
  }

  // Makes a call. Out of line, with the policies inlined into it: inlined at each place that calls,
  // they would take 3 KB of code there.
  template <class... Args>
    requires internal::Executes<Executor, internal::AttemptArg<Args>...>
  ABSL_ATTRIBUTE_NOINLINE auto operator()(Args&&... args) const {
    return Run(CallOptions{}, std::forward<Args>(args)...);
  }

  // The same with options of this one call.
  template <class... Args>
    requires internal::Executes<Executor, internal::AttemptArg<Args>...>
  ABSL_ATTRIBUTE_NOINLINE auto With(const CallOptions& options, Args&&... args) const {
    return Run(options, std::forward<Args>(args)...);
  }

  // For driver authors: the same, but what an executor in Catching threw is returned in a Caught.
  template <class... Args>
    requires internal::Executes<Executor, internal::AttemptArg<Args>...>
  ABSL_ATTRIBUTE_ALWAYS_INLINE auto WithCaught(const CallOptions& options, Args&&... args) const {
    return internal::RunBlocking<internal::AttemptArg<Args>...>(level_, clock_, options, args...);
  }

  // For a stack around this one.
  TimeBelow TimeBelowAt(TimePoint now) const {
    return internal::BoundedBy(level_.policies, 0, now, internal::TimeIn(level_.executor, now));
  }

  // These overloads only state why the call does not compile.
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

  template <class... Args>
    requires internal::TakesOthers<Executor, Args...>
  internal::NotCallable operator()(Args&&... args) const {
    return With(CallOptions{}, std::forward<Args>(args)...);
  }
  template <class... Args>
    requires internal::TakesOthers<Executor, Args...>
  internal::NotCallable With(const CallOptions&, Args&&...) const {
    static_assert(!internal::TakesOthers<Executor, Args...>,
                  "the executor in this stack can't be called with these arguments, neither alone "
                  "nor with a Call& after them");
    return {};
  }

  // For a stack around it.
  Clock* StackClock() const { return clock_ == nullptr ? SteadyClock() : clock_; }

 private:
  template <class... Args>
  ABSL_ATTRIBUTE_ALWAYS_INLINE auto Run(const CallOptions& options, Args&&... args) const {
    if constexpr (internal::kIsCaught<decltype(WithCaught(options, std::forward<Args>(args)...))>) {
      return WithCaught(options, std::forward<Args>(args)...).Release();
    } else {
      return WithCaught(options, std::forward<Args>(args)...);
    }
  }

  // Shared by all calls, const or not: what a policy or an executor keeps in itself, it must guard.
  mutable internal::StackSegment<Policies, Executor> level_;
  Clock* clock_;
};

}  // namespace holdfast

#endif  // HOLDFAST_STACK_STACK_H_
