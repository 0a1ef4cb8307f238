// The orders of policies that make no sense, whatever their settings. They don't compile.
#ifndef HOLDFAST_STACK_INTERNAL_STACK_ORDER_H_
#define HOLDFAST_STACK_INTERNAL_STACK_ORDER_H_

#include <tuple>
#include <type_traits>

#include "holdfast/call/policy.h"

namespace holdfast::internal {

// By their traits (policy.h); the compiler names the two.
template <class Outer, class Inner>
consteval bool CheckPair() {
  static_assert(
      !kReplacesFailures<Inner> || !(kRepeats<Outer> || kJudgesBelow<Outer>),
      "a Fallback is inside of a policy that tries again or counts failures (Retry, Hedge, "
      "CircuitBreak, KeyedCircuitBreak, AdaptiveThrottle, AdaptiveLimit): that policy would take "
      "the substitute for a success of the service, so that it never tries again, never opens and "
      "never refuses; put the Fallback outside of it");
  static_assert(
      !kAnswersInstead<Inner> || !kJudgesBelow<Outer>,
      "a Cache is inside of a policy that counts calls or measures how long they take (Hedge, "
      "CircuitBreak, KeyedCircuitBreak, AdaptiveThrottle, AdaptiveLimit): that policy would count "
      "what the Cache knows as an answer of the service; put the Cache outside of it");
  static_assert(
      !kMultiplies<Inner> || kNested<Inner> || !kMultiplies<Outer>,
      "Retry inside of Retry: their attempts multiply; keep one of them, or say that it is meant "
      "with NestedRetry (nested_retry.h) for the inner one");
  return true;
}

template <class Outer, class... Inner>
consteval bool CheckBelow() {
  return (CheckPair<Outer, Inner>() && ...);
}

// Of policies outermost first.
consteval bool CheckOrder(std::type_identity<std::tuple<>>) { return true; }
template <class Outer, class... Inner>
consteval bool CheckOrder(std::type_identity<std::tuple<Outer, Inner...>>) {
  return CheckBelow<Outer, Inner...>() && CheckOrder(std::type_identity<std::tuple<Inner...>>());
}

}  // namespace holdfast::internal

#endif  // HOLDFAST_STACK_INTERNAL_STACK_ORDER_H_
