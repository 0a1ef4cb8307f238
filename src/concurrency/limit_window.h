// What a window of calls says of a service.
#ifndef HOLDFAST_SRC_CONCURRENCY_LIMIT_WINDOW_H_
#define HOLDFAST_SRC_CONCURRENCY_LIMIT_WINDOW_H_

#include <cstdint>

namespace holdfast::internal {

struct LimitWindow {
  double latency = 0;          // the mean of those that succeeded, in nanoseconds; >= 1
  std::int64_t succeeded = 0;  // without any, there is no latency
  std::int64_t calls = 0;      // that it stands for: more than were measured where one stands for
                               // many
  std::int64_t in_flight = 0;  // the most at once, as far as was seen
  bool dropped = false;        // more were than the limiter tolerates
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_CONCURRENCY_LIMIT_WINDOW_H_
