// The latency that a service has when the calls do not wait for each other.
#ifndef HOLDFAST_SRC_CONCURRENCY_NO_LOAD_LATENCY_H_
#define HOLDFAST_SRC_CONCURRENCY_NO_LOAD_LATENCY_H_

#include <cstdint>
#include <optional>

#include "src/concurrency/limit_window.h"

namespace holdfast::internal {

// It can't be measured under load, and at the limit there always is some. Whoever takes a latency
// under load for it (the newest, as Vegas does when it probes, or a long average, as Gradient2
// does) finds less of a queue than there is, raises the limit, and so the latency, and takes that
// for the next one: it drifts up without end.
//
// So it is measured when the calls in flight are so few that none can wait: at most kDrain of those
// that, by the present estimate, the service works on at once. Where traffic alone does not become
// so light, a probe is due from time to time: the limit is held down to that for one window. If the
// estimate is k times too high, the calls in flight are 0.8 k times what the service can work on,
// and the next estimate is at most 0.8 k too high: each probe makes it better, until it is right.
class NoLoadLatency {
 public:
  explicit NoLoadLatency(std::int64_t probe_multiplier) : probe_multiplier_(probe_multiplier) {}

  bool known() const { return value_ > 0; }
  double value() const { return value_; }

  // A window under a limit of `limit`, with a latency. `minimum` is the least limit.
  void Update(const LimitWindow& window, double limit, double minimum);

  void set_probe_multiplier(std::int64_t multiplier) { probe_multiplier_ = multiplier; }

  // For who has an estimate of its own between measurements: a long average.
  void set_value(double value) { value_ = value; }

  // The limit for the next window, if that is to measure.
  std::optional<double> probe() const { return probe_; }

 private:
  static constexpr double kDrain = 0.8;
  static constexpr std::int64_t kMinWindows = 10;  // between probes, so that they cost little

  void Measured(double latency);
  double NextJitter(const LimitWindow& window);

  std::int64_t probe_multiplier_;
  double value_ = 0;  // nanoseconds; 0: not known
  std::optional<double> probe_;
  std::int64_t windows_ = 0;  // since it was measured
  double calls_ = 0;          // since it was measured
  double jitter_ = 1;
  std::uint64_t random_ = 0;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_CONCURRENCY_NO_LOAD_LATENCY_H_
