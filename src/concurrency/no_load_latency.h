// The latency that a service has without load, that is, while calls do not wait for each other.
//
// Why it is hard. Vegas and Gradient2 compare the present latency with it, and at the limit there
// always is load. An algorithm that takes a latency under load for it (the newest, as Netflix's
// Vegas does when it probes, or a long average, as Netflix's Gradient2 does) underestimates the
// queue, raises the limit and with it the latency, and takes that for the next one: it drifts up
// without end.
//
// So it is measured only while so few calls are in flight that none should wait: at most kDrain
// (four fifths) of the calls that, by the present estimate, the service works on at once. If
// traffic never becomes so light, a probe is due from time to time: the limit is lowered to that
// for one window. The estimate converges: if it is k times too high, the calls in flight during a
// probe are 0.8 k times what the service can work on, so the next estimate is at most 0.8 k times
// too high.
#ifndef HOLDFAST_SRC_CONCURRENCY_NO_LOAD_LATENCY_H_
#define HOLDFAST_SRC_CONCURRENCY_NO_LOAD_LATENCY_H_

#include <cstdint>
#include <optional>

#include "src/concurrency/limit_sampler.h"

namespace holdfast::internal {

class NoLoadLatency {
 public:
  explicit NoLoadLatency(std::int64_t probe_multiplier) : probe_multiplier_(probe_multiplier) {}

  bool known() const { return value_ > 0; }
  double value() const { return value_; }

  // Takes a window that ran under `limit`. `minimum` is the lowest limit that a probe may set.
  void Update(const LimitWindow& window, double limit, double minimum);

  void set_probe_multiplier(std::int64_t multiplier) { probe_multiplier_ = multiplier; }

  // For an algorithm with an estimate of its own between measurements: the long average.
  void set_value(double value) { value_ = value; }

  // The limit for the next window, if that is a probe.
  std::optional<double> probe() const { return probe_; }

 private:
  static constexpr double kDrain = 0.8;
  static constexpr std::int64_t kMinWindows = 10;  // between probes, so that they cost little

  void Measured(double latency);
  double NextJitter(const LimitWindow& window);

  std::int64_t probe_multiplier_;
  double value_ = 0;  // nanoseconds; 0: unknown
  std::optional<double> probe_;
  std::int64_t windows_ = 0;  // since it was measured
  double calls_ = 0;          // since it was measured
  double jitter_ = 1;
  std::uint64_t random_ = 0;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_CONCURRENCY_NO_LOAD_LATENCY_H_
