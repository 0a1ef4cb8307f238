// How the limit of an AdaptiveLimiter follows from its windows of calls: numbers only, no clock and
// no thread.
//
// Model. The estimate L is a real number. After each window it moves by the algorithm's rule, is
// clamped to the bounds, and truncated it is the limit of the next window. In the rules, latency is
// the mean of the window's successes, R is the latency without load, and "dropped" means that more
// than the tolerated share of calls was dropped.
//
//   AIMD        dropped or latency > timeout:  L *= backoff_ratio
//               otherwise:                     L += 1
//   Vegas       queue = L * (1 - R / latency): by Little's law, L calls in flight at a latency of
//               which R is work have that many calls waiting. u = max(1, log10 L), or
//               queue_size / alpha if that is given:
//               dropped:                       L -= max(1, log10 L)
//               queue <= u:                    L += beta * u       (far from saturation)
//               queue < alpha * u:             L += max(1, log10 L)
//               queue > beta * u:              L -= max(1, log10 L)
//               each times `smoothing`
//   Gradient2   g = clamp(tolerance * R / latency, 0.5, 1):
//               dropped:                       L += smoothing * (L / 2 - L)
//               otherwise:                     L += smoothing * (L * g + queue_size - L)
//
// Windows that change nothing. If less than half of the limit was in flight, the limit did not hold
// the calls back, and their latency says nothing of what more calls would do: L does not grow. A
// window without a success has no latency. A probe's window (no_load_latency.h) ran under a limit
// that was lowered on purpose: it gives R and leaves L.
//
// For Gradient2, R moves between measurements as a long exponential average of the latency, as
// Netflix's does; for Vegas it does not move up.
//
// Invariants.
//   - minimum <= estimate() <= maximum, and it is finite whatever a window contains: latencies are
//     clamped to [1 ns, 292 years], and a result that is not finite is dropped.
//   - limit() is the estimate, or the probe's limit where that is lower, and within the bounds.
#ifndef HOLDFAST_SRC_CONCURRENCY_LIMIT_ESTIMATOR_H_
#define HOLDFAST_SRC_CONCURRENCY_LIMIT_ESTIMATOR_H_

#include <cstdint>
#include <optional>
#include <variant>

#include "holdfast/concurrency/limit_algorithm.h"
#include "src/concurrency/limit_sampler.h"
#include "src/concurrency/no_load_latency.h"

namespace holdfast::internal {

struct LimitBounds {
  std::int64_t initial = 1;
  std::int64_t minimum = 1;  // 1 <= minimum <= initial <= maximum
  std::int64_t maximum = 1;
};

// What one algorithm has learned, for the next one to go on with.
struct LimitMemory {
  NoLoadLatency no_load{1};   // for Gradient2 its value is the long average
  std::int64_t averaged = 0;  // windows in that average
};

class AimdEstimator {
 public:
  explicit AimdEstimator(const Aimd& options) : options_(options) {}
  double Next(const LimitWindow& window, double limit) const;
  static std::optional<double> probe() { return std::nullopt; }
  static LimitMemory memory() { return {}; }

 private:
  Aimd options_;
};

class VegasEstimator {
 public:
  VegasEstimator(const Vegas& options, std::optional<std::int64_t> queue_size, double minimum,
                 const LimitMemory& memory)
      : options_(options), queue_size_(queue_size), minimum_(minimum), no_load_(memory.no_load) {
    no_load_.set_probe_multiplier(options.probe_multiplier);
  }
  double Next(const LimitWindow& window, double limit);
  std::optional<double> probe() const { return no_load_.probe(); }
  LimitMemory memory() const { return {.no_load = no_load_}; }

 private:
  double Change(const LimitWindow& window, double limit) const;

  Vegas options_;
  std::optional<std::int64_t> queue_size_;
  double minimum_;
  NoLoadLatency no_load_;
};

class Gradient2Estimator {
 public:
  Gradient2Estimator(const Gradient2& options, double queue_size, double minimum,
                     const LimitMemory& memory)
      : options_(options),
        queue_size_(queue_size),
        minimum_(minimum),
        no_load_(memory.no_load),
        averaged_(memory.averaged) {
    no_load_.set_probe_multiplier(options.probe_multiplier);
  }
  double Next(const LimitWindow& window, double limit);
  std::optional<double> probe() const { return no_load_.probe(); }
  LimitMemory memory() const { return {.no_load = no_load_, .averaged = averaged_}; }

 private:
  void Average(double latency);

  Gradient2 options_;
  double queue_size_;
  double minimum_;
  NoLoadLatency no_load_;  // its value is the long average
  std::int64_t averaged_;
};

class LimitEstimator {
 public:
  // `queue_size` nullopt: the algorithm's published default.
  LimitEstimator(const LimitAlgorithm& algorithm, const LimitBounds& bounds,
                 std::optional<std::int64_t> queue_size);

  void Update(const LimitWindow& window);

  // Goes on from the present estimate, clamped to the new bounds, with another algorithm or the
  // same one, which takes over the latency without load. Does not allocate.
  void Change(const LimitAlgorithm& algorithm, const LimitBounds& bounds,
              std::optional<std::int64_t> queue_size);

  // The limit for the next window: lower than the estimate while it probes.
  std::int64_t limit() const;
  double estimate() const { return estimate_; }
  bool probing() const;
  double no_load_latency() const;  // nanoseconds; 0: unknown, as to Aimd it always is

 private:
  using Estimator = std::variant<AimdEstimator, VegasEstimator, Gradient2Estimator>;
  static Estimator Make(const LimitAlgorithm& algorithm, const LimitBounds& bounds,
                        std::optional<std::int64_t> queue_size, const LimitMemory& memory);
  std::optional<double> probe() const;
  LimitMemory memory() const;

  LimitBounds bounds_;
  Estimator estimator_;
  double estimate_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_CONCURRENCY_LIMIT_ESTIMATOR_H_
