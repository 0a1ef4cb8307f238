// How long what is below a policy may take, as the Timeouts there have it.
#ifndef HOLDFAST_CALL_INTERNAL_TIME_BELOW_H_
#define HOLDFAST_CALL_INTERNAL_TIME_BELOW_H_

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <tuple>
#include <utility>

#include "holdfast/base/time.h"

namespace holdfast {

// Duration::max(): nothing there bounds it.
struct TimeBelow {
  Duration attempt = Duration::max();  // one attempt: the tightest Timeout
  Duration call = Duration::max();     // all that a call does there: none outside of what repeats
};

namespace internal {

// A policy that bounds what is below it says so by a member
//   Duration LimitAt(TimePoint now) const;
// and one that may send a call down more than once by kRepeats (policy.h).
template <class P>
void Bound(const P& policy, TimePoint now, TimeBelow& below) {
  if constexpr (requires { requires P::kRepeats; }) below.call = Duration::max();
  if constexpr (requires {
                  { policy.LimitAt(now) } -> std::same_as<Duration>;
                }) {
    const Duration limit = policy.LimitAt(now);
    below.attempt = std::min(below.attempt, limit);
    below.call = std::min(below.call, limit);
  }
}

// Of all policies from number `depth` inwards, where what is below the last of them takes `below`.
template <class... P>
TimeBelow BoundedBy(const std::tuple<P...>& policies, std::size_t depth, TimePoint now,
                    TimeBelow below = {}) {
  constexpr std::size_t kCount = sizeof...(P);
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    ((kCount - 1 - I >= depth ? Bound(std::get<kCount - 1 - I>(policies), now, below) : void()),
     ...);
  }(std::make_index_sequence<kCount>());
  return below;
}

// An executor that has policies in it: a stack, or what is below a policy that forks.
template <class Executor>
concept BoundsTime = requires(const Executor& executor, TimePoint now) {
  { executor.TimeBelowAt(now) } -> std::same_as<TimeBelow>;
};

template <class Executor>
TimeBelow TimeIn(const Executor& executor, TimePoint now) {
  if constexpr (BoundsTime<Executor>) {
    return executor.TimeBelowAt(now);
  } else {
    return {};
  }
}

}  // namespace internal
}  // namespace holdfast

#endif  // HOLDFAST_CALL_INTERNAL_TIME_BELOW_H_
