// A Backoff says how long to wait before a retry.
//
//   auto backoff = holdfast::Backoff::Exponential({.initial = 100ms, .max = 10s});
//   absl::BitGen gen;
//   holdfast::Duration delay = backoff.Delay(1, gen);   // before the second attempt
//
//   auto steady = holdfast::Backoff::Constant(2s).WithJitter(holdfast::Jitter::kEqual);
#ifndef HOLDFAST_BASE_BACKOFF_H_
#define HOLDFAST_BASE_BACKOFF_H_

#include <absl/random/bit_gen_ref.h>
#include <absl/status/status.h>

#include <chrono>
#include <functional>

#include "holdfast/base/time.h"

namespace holdfast {

// How a delay d is spread, so that clients that failed together don't come back together. All are
// applied after the clamp to the maximum: jitter before the clamp would pile the capped ones up
// again.
// The first three are named as in "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
enum class Jitter {
  kNone,          // d
  kFull,          // uniform in [0, d]
  kEqual,         // uniform in [d/2, d]
  kDecorrelated,  // uniform in [first, d'], with d' = first * 3^retry clamped to the maximum: the
                  // span of that article's decorrelated jitter, without its memory of the delay
                  // before; `first` is the delay before the first retry
};

// A value, immutable and thread-safe. All arithmetic saturates, at any number of retries.
class Backoff {
 public:
  struct Options {
    TimeSpan initial = std::chrono::milliseconds(100);  // >= 0
    TimeSpan max = std::chrono::seconds(10);            // >= initial
    double multiplier = 2.0;                            // finite, >= 1
    Jitter jitter = Jitter::kFull;
  };

  Backoff();  // Exponential({})

  // initial * multiplier^(retry - 1), at most max. They throw std::invalid_argument for options out
  // of range.
  static Backoff Exponential(Options options);
  // The same delay each time, without jitter; >= 0. Only Jitter::kDecorrelated makes it longer, up
  // to three times.
  static Backoff Constant(TimeSpan delay);
  // step * retry, at most max, without jitter; 0 <= step <= max.
  static Backoff Linear(TimeSpan step, TimeSpan max);
  // delay(retry), held to what is between 0 and `max`, without jitter. The function is called in
  // several threads at once; what it throws passes to the caller of Delay.
  static Backoff Custom(std::function<TimeSpan(int retry)> delay, TimeSpan max = Duration::max());

  // The same delays, spread.
  Backoff WithJitter(Jitter jitter) const;

  // The delay before retry number `retry`, from 1; less counts as 1. Only a jitter draws from
  // `gen`.
  Duration Delay(int retry, absl::BitGenRef gen) const;

 private:
  Backoff(Options options, Duration step) : options_(options), step_(step) {}

  Duration Clamp(double delay) const;
  Duration Clamped(int retry) const;

  Options options_;
  Duration step_{0};  // of a linear one: added for each retry after the first
  std::function<TimeSpan(int)> custom_;
};

absl::Status Validate(const Backoff::Options& options);

}  // namespace holdfast

#endif  // HOLDFAST_BASE_BACKOFF_H_
