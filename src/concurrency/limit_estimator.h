// How an AdaptiveLimiter's limit follows from what its windows say: numbers only.
#ifndef HOLDFAST_SRC_CONCURRENCY_LIMIT_ESTIMATOR_H_
#define HOLDFAST_SRC_CONCURRENCY_LIMIT_ESTIMATOR_H_

#include <cstdint>
#include <optional>
#include <variant>

#include "holdfast/concurrency/limit_algorithm.h"
#include "src/concurrency/limit_window.h"
#include "src/concurrency/no_load_latency.h"

namespace holdfast::internal {

struct LimitBounds {
  std::int64_t initial = 1;
  std::int64_t minimum = 1;  // 1 <= minimum <= initial <= maximum
  std::int64_t maximum = 1;
};

// What an algorithm has learnt, and another goes on with.
struct LimitMemory {
  NoLoadLatency no_load{1};   // of Gradient2 its value is the long average
  std::int64_t averaged = 0;  // windows in that
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

// Finite whatever it is given, and within the bounds.
class LimitEstimator {
 public:
  // `queue_size` null: as published.
  LimitEstimator(const LimitAlgorithm& algorithm, const LimitBounds& bounds,
                 std::optional<std::int64_t> queue_size);

  void Update(const LimitWindow& window);

  // Goes on from the present estimate, moved into the new bounds, by another algorithm or the same.
  // What the one knew of the latency without load the other does. Does not allocate.
  void Change(const LimitAlgorithm& algorithm, const LimitBounds& bounds,
              std::optional<std::int64_t> queue_size);

  // What holds for the next window: less than the estimate while it probes.
  std::int64_t limit() const;
  double estimate() const { return estimate_; }
  bool probing() const;

 private:
  using Estimator = std::variant<AimdEstimator, VegasEstimator, Gradient2Estimator>;
  static Estimator Make(const LimitAlgorithm& algorithm, const LimitBounds& bounds,
                        std::optional<std::int64_t> queue_size, const LimitMemory& memory);
  std::optional<double> probe() const;

  LimitBounds bounds_;
  Estimator estimator_;
  double estimate_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_CONCURRENCY_LIMIT_ESTIMATOR_H_
