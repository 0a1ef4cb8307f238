// The priority of a call. Under overload, calls of a lower priority are refused first.
//
//   auto result = fetch.With({.priority = holdfast::Priority::kCritical}, request);
#ifndef HOLDFAST_BASE_PRIORITY_H_
#define HOLDFAST_BASE_PRIORITY_H_

#include <cstddef>
#include <string_view>

namespace holdfast {

// Ordered by <. It only matters under overload: see Bulkhead, AdaptiveLimit, AdaptiveThrottle.
enum class Priority : unsigned char {
  kSheddable,  // may fail for a while without harm: prefetching, batch jobs that run again
  kLow,        // may fail occasionally and is retried later
  kNormal,     // the default: a user waits for the call
  kCritical,   // refused last: payments, sign-in, health checks
};

inline constexpr std::size_t kPriorities = 4;

std::string_view ToString(Priority priority);

}  // namespace holdfast

#endif  // HOLDFAST_BASE_PRIORITY_H_
