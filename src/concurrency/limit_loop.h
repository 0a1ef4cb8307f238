// What an AdaptiveLimiter does under its mutex.
#ifndef HOLDFAST_SRC_CONCURRENCY_LIMIT_LOOP_H_
#define HOLDFAST_SRC_CONCURRENCY_LIMIT_LOOP_H_

#include <cstdint>

#include "holdfast/concurrency/adaptive_limiter.h"
#include "src/concurrency/limit_estimator.h"
#include "src/concurrency/limit_sampler.h"

namespace holdfast::internal {

class LimitLoop {
 public:
  LimitLoop(const LimitSampler& the_sampler, const LimitEstimator& the_estimator, double drop_share)
      : sampler(the_sampler), estimator(the_estimator), drop_share_(drop_share) {}

  // True where there is a limit to set anew.
  bool Adapt(TimePoint now) {
    if (!sampler.Ready(now)) return false;
    const LimitWindow window = sampler.Take(drop_share_);
    estimator.Update(window);
    if (window.succeeded > 0) latency = window.latency;
    return true;
  }

  void Change(const AdaptiveLimiter::Options& options, const LimitBounds& bounds) {
    const std::int64_t before = estimator.limit();
    sampler.Change(options.window, options.min_samples);
    estimator.Change(options.algorithm, bounds, options.queue_size);
    if (estimator.limit() != before) sampler.Drop();  // its calls began under an older limit
    drop_share_ = options.drop_share;
  }

  LimitSampler sampler;
  LimitEstimator estimator;
  double latency = 0;  // the mean of the last window in which calls succeeded, in ns; 0: none yet

 private:
  double drop_share_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_CONCURRENCY_LIMIT_LOOP_H_
