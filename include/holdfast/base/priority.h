// How much a call matters. Where not all calls can be served, those that matter less are refused
// first.
//
//   auto result = fetch.With({.priority = holdfast::Priority::kCritical}, request);
#ifndef HOLDFAST_BASE_PRIORITY_H_
#define HOLDFAST_BASE_PRIORITY_H_

#include <cstddef>
#include <string_view>

namespace holdfast {

// Compared by <. Bulkhead, AdaptiveLimit and AdaptiveThrottle say what each means to them; while
// there is room for all, nothing.
enum class Priority : unsigned char {
  kSheddable,  // may fail for a while and nobody minds: prefetching, batches that run again
  kLow,        // is expected to fail now and then, and retried later
  kNormal,     // somebody waits for it; what a call has that says nothing
  kCritical,   // the last to be refused: paying, signing in, health checks
};

inline constexpr std::size_t kPriorities = 4;

std::string_view ToString(Priority priority);

}  // namespace holdfast

#endif  // HOLDFAST_BASE_PRIORITY_H_
