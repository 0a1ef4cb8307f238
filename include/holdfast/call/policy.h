// Policy is the concept of a policy, for those who write one.
//
//   static_assert(holdfast::Policy<holdfast::Pace>);
//
// A policy may say of itself, by a `static constexpr bool` member that is true, what makes some
// orders of policies wrong; stack_order.h refuses those at compile time:
//
// - kReplacesFailures: it puts a success in the place of a failure, as Fallback does. Then it may
//  not stand inside of a policy that repeats or judges.
// - kAnswersInstead: it may answer without a call to what is below it, as Cache does. Then it may
//  not stand inside of a policy that judges.
// - kJudgesBelow: it takes what comes back for an answer of the service, and counts or times it, as
//  CircuitBreak, KeyedCircuitBreak, AdaptiveThrottle, AdaptiveLimit and Hedge do.
// - kRepeats: it may send a call down more than once, as Retry and Hedge do.
// - kMultiplies: it may send a call down several times, one after the other, as Retry does. One
//  inside of another multiplies its attempts, and is refused unless it says kNested.
// - kNested: it is meant to stand inside of one that multiplies, as NestedRetry is.
#ifndef HOLDFAST_CALL_POLICY_H_
#define HOLDFAST_CALL_POLICY_H_

#include <concepts>
#include <string_view>
#include <type_traits>

#include "holdfast/call/call.h"
#include "holdfast/call/verdict.h"

namespace holdfast {

// The shape of a policy: see README.md, "Your own policy".
template <class P>
concept Policy = std::is_default_constructible_v<typename P::State> &&
                 requires(P& policy, Call& call, typename P::State& state) {
                   { policy.Before(call, state) } -> std::same_as<Verdict>;
                 };

namespace internal {

template <class P>
inline constexpr bool kReplacesFailures = requires { requires P::kReplacesFailures; };
template <class P>
inline constexpr bool kAnswersInstead = requires { requires P::kAnswersInstead; };
template <class P>
inline constexpr bool kJudgesBelow = requires { requires P::kJudgesBelow; };
template <class P>
inline constexpr bool kRepeats = requires { requires P::kRepeats; };
template <class P>
inline constexpr bool kMultiplies = requires { requires P::kMultiplies; };
template <class P>
inline constexpr bool kNested = requires { requires P::kNested; };

template <class P>
std::string_view PolicyName() {
  if constexpr (requires { std::string_view(P::kName); }) {
    return P::kName;
  } else {
    return "policy";
  }
}

}  // namespace internal
}  // namespace holdfast

#endif  // HOLDFAST_CALL_POLICY_H_
