// Policy is the concept of a policy, for those who write one: see docs/custom_policy.md.
//
//   static_assert(holdfast::Policy<holdfast::Pace>);
#ifndef HOLDFAST_CALL_POLICY_H_
#define HOLDFAST_CALL_POLICY_H_

#include <absl/status/status.h>

#include <concepts>
#include <optional>
#include <string_view>
#include <type_traits>

#include "holdfast/base/result.h"
#include "holdfast/call/call.h"
#include "holdfast/call/verdict.h"

namespace holdfast {

namespace internal {

// Stands for any result, to find out whether a policy has an After. It converts to a reference to
// any type, for a policy that takes results of one type alone.
struct AnyResult {
  template <class R>
  operator R&() const;  // NOLINT(google-explicit-constructor)
};

}  // namespace internal

template <>
struct ResultTraits<internal::AnyResult> {
  static absl::Status StatusOf(const internal::AnyResult&);
  static internal::AnyResult FromStatus(absl::Status);
  static std::optional<Duration> RetryAfter(const internal::AnyResult&);
};

// The shape of a policy:
//   struct State { ... };                              // default-constructible; one per call
//   Verdict Before(Call& call, State& state);          // on the way down
//   template <class R>
//   Next After(Call& call, State& state, R& result);   // on the way up
// Both may be const. An After that is no template serves results of its type alone.
//
// A policy states facts about itself by members `static constexpr bool kName = true`. A Stack
// refuses an order of policies that contradicts them, at compile time:
// - kReplacesFailures: the policy puts a success in the place of a failure, as Fallback does. It
//   may not be inside of a policy with kRepeats or kJudgesBelow.
// - kAnswersInstead: the policy may return a result without a call to what is below it, as Cache
//   does. It may not be inside of a policy with kJudgesBelow.
// - kJudgesBelow: the policy takes the result from below for an answer of the service, and counts
//   or times it, as CircuitBreak, KeyedCircuitBreak, AdaptiveThrottle, AdaptiveLimit and Hedge do.
// - kRepeats: the policy may send a call down more than once, as Retry and Hedge do.
// - kMultiplies: the policy may send a call down several times, one after the other, as Retry does.
//   One of these inside of another multiplies the attempts; the inner one needs kNested.
// - kNested: the policy is meant to be inside of one with kMultiplies, as NestedRetry is.
template <class P>
concept Policy =
    std::is_default_constructible_v<typename P::State> &&
    requires(P& policy, Call& call, typename P::State& state, internal::AnyResult& result) {
      { policy.Before(call, state) } -> std::same_as<Verdict>;
      { policy.After(call, state, result) } -> std::same_as<Next>;
    };

// The policy that a Stack makes of a std::shared_ptr<Object>: PolicyOf<Object>::type, which is
// constructed from that pointer alone. The header of each policy specializes it for the policy's
// object; do the same for yours:
//   template <>
//   struct holdfast::PolicyOf<Quota> {
//     using type = QuotaLimit;
//   };
template <class Object>
struct PolicyOf;

namespace internal {

template <class Object>
concept HasPolicy = requires { typename PolicyOf<Object>::type; };

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
