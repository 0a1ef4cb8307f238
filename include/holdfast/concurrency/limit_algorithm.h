// The algorithms by which an AdaptiveLimiter finds its limit, with their published defaults.
//
//   holdfast::AdaptiveLimiter limiter({.algorithm = holdfast::Gradient2{.tolerance = 1.1}});
//
// They are those of Netflix's concurrency-limits (github.com/Netflix/concurrency-limits;
// "Performance Under Load", Netflix Technology Blog, 2018). The comments say where they differ.
#ifndef HOLDFAST_CONCURRENCY_LIMIT_ALGORITHM_H_
#define HOLDFAST_CONCURRENCY_LIMIT_ALGORITHM_H_

#include <absl/status/status.h>

#include <chrono>
#include <cstdint>
#include <variant>

#include "holdfast/base/time.h"

namespace holdfast {

// Additive increase, multiplicative decrease (AIMDLimit). The limit grows by one call in each
// window, until calls are dropped or too slow. So it finds where a service begins to refuse calls,
// not where it begins to queue them, and the limit is a sawtooth.
struct Aimd {
  static constexpr std::int64_t kInitial = 20;
  static constexpr std::int64_t kMinimum = 20;
  static constexpr std::int64_t kMaximum = 200;

  double backoff_ratio = 0.9;                  // a drop multiplies the limit by it; in [0.5, 1)
  TimeSpan timeout = std::chrono::seconds(5);  // a mean latency above it counts as a drop; > 0
};

// TCP Vegas (VegasLimit; Brakmo and Peterson, "TCP Vegas: End to End Congestion Avoidance on a
// Global Internet", 1995). From the latency without load and the present latency it computes how
// many calls queue at the service, and keeps that number between `alpha` and `beta` times
// log10(limit), and at least between alpha and beta. So the limit settles that much above what
// keeps the service busy.
struct Vegas {
  static constexpr std::int64_t kInitial = 20;
  static constexpr std::int64_t kMinimum = 1;
  static constexpr std::int64_t kMaximum = 1000;

  double alpha = 3;      // > 0
  double beta = 6;       // > alpha
  double smoothing = 1;  // the part of each change that is made, in (0, 1]
  // The latency without load is measured once in probe_multiplier * limit calls, times a random
  // number in [0.5, 1); >= 1.
  std::int64_t probe_multiplier = 30;
};

// Gradient (Gradient2Limit). It multiplies the limit by the ratio of the latency without load to
// the present latency, times a tolerance, and adds the queue size. So the limit settles at
// `tolerance` times what keeps the service busy, plus the queue size: with the published 1.5, calls
// may queue for as long as half of the latency without load.
//
// Two differences from Netflix's. Theirs uses a long average of the latency in place of the latency
// without load; the average follows every overload that lasts, and the limit follows it to the
// maximum (their issues 88 and 134). Here that average is corrected by measurements, as for Vegas.
// Theirs ignores drops (issue 176); here they count as the greatest slowdown.
struct Gradient2 {
  static constexpr std::int64_t kInitial = 20;
  static constexpr std::int64_t kMinimum = 20;
  static constexpr std::int64_t kMaximum = 200;
  static constexpr std::int64_t kQueueSize = 4;

  double smoothing = 0.2;              // the part of each change that is made, in (0, 1]
  double tolerance = 1.5;              // >= 1
  std::int64_t long_window = 600;      // windows in the long average, >= 10
  std::int64_t probe_multiplier = 30;  // as for Vegas, >= 1
};

using LimitAlgorithm = std::variant<Aimd, Vegas, Gradient2>;

absl::Status Validate(const LimitAlgorithm& algorithm);

}  // namespace holdfast

#endif  // HOLDFAST_CONCURRENCY_LIMIT_ALGORITHM_H_
