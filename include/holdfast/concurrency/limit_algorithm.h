// The algorithms that an AdaptiveLimiter can follow, with the defaults that were published for
// them.
//
//   holdfast::AdaptiveLimiter limiter({.algorithm = holdfast::Gradient2{.tolerance = 1.1}});
//
// They are those of Netflix's concurrency-limits (github.com/Netflix/concurrency-limits;
// "Performance Under Load", Netflix Technology Blog, 2018), and where they differ from it, it is
// said.
#ifndef HOLDFAST_CONCURRENCY_LIMIT_ALGORITHM_H_
#define HOLDFAST_CONCURRENCY_LIMIT_ALGORITHM_H_

#include <absl/status/status.h>

#include <chrono>
#include <cstdint>
#include <variant>

#include "holdfast/base/time.h"

namespace holdfast {

// Additive increase, multiplicative decrease (AIMDLimit): it grows by one for each window, until
// calls are dropped or too slow. So it finds where a service begins to refuse, not where it begins
// to queue, and its limit is a sawtooth.
struct Aimd {
  static constexpr std::int64_t kInitial = 20;
  static constexpr std::int64_t kMinimum = 20;
  static constexpr std::int64_t kMaximum = 200;

  double backoff_ratio = 0.9;                  // in [0.5, 1): what a drop leaves of the limit
  TimeSpan timeout = std::chrono::seconds(5);  // a mean latency above it is a drop; > 0
};

// From the latency without load and the present one it works out how many calls wait at the service
// rather than being worked on, and keeps that between `alpha` and `beta` times log10(limit), at
// least alpha and beta (VegasLimit, after Brakmo and Peterson, "TCP Vegas: End to End Congestion
// Avoidance on a Global Internet", 1995). So it settles that much above what keeps the service
// busy.
struct Vegas {
  static constexpr std::int64_t kInitial = 20;
  static constexpr std::int64_t kMinimum = 1;
  static constexpr std::int64_t kMaximum = 1000;

  double alpha = 3;                    // > 0
  double beta = 6;                     // > alpha
  double smoothing = 1;                // in (0, 1]: how much of the way a change goes
  std::int64_t probe_multiplier = 30;  // the latency without load is measured every so many times
                                       // the limit calls, times a random number in [0.5, 1); >= 1
};

// Multiplies the limit by how the latency compares to that without load, times a tolerance, and
// adds the queue size (Gradient2Limit). So it settles at `tolerance` times what keeps the service
// busy, plus the queue size: with the published 1.5 about half of the latency may be queueing.
//
// Netflix's takes a long-term average of the latency for that without load, which follows every
// overload that lasts, and the limit follows it to its maximum (their issues 88 and 134). Here that
// average is set right by measuring, as Vegas does. Theirs pays no heed to drops (issue 176), here
// they count as the greatest slowness.
struct Gradient2 {
  static constexpr std::int64_t kInitial = 20;
  static constexpr std::int64_t kMinimum = 20;
  static constexpr std::int64_t kMaximum = 200;
  static constexpr std::int64_t kQueueSize = 4;

  double smoothing = 0.2;              // in (0, 1]: how much of the way a change goes
  double tolerance = 1.5;              // >= 1
  std::int64_t long_window = 600;      // windows in the average; >= 10
  std::int64_t probe_multiplier = 30;  // as Vegas has it
};

using LimitAlgorithm = std::variant<Aimd, Vegas, Gradient2>;

absl::Status Validate(const LimitAlgorithm& algorithm);

}  // namespace holdfast

#endif  // HOLDFAST_CONCURRENCY_LIMIT_ALGORITHM_H_
