// A Backoff computes the delay before each retry.
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

// How a delay d is randomized, so that clients that failed at the same time do not retry at the
// same time. Jitter is applied after the delay was limited to the maximum; applied before, it would
// give all limited delays the same value again. The first three are named as in "Exponential
// Backoff And Jitter" (AWS Architecture Blog, 2015).
enum class Jitter {
  kNone,          // d
  kFull,          // uniform in [0, d]
  kEqual,         // uniform in [d/2, d]
  kDecorrelated,  // uniform in [first, min(first * 3^retry, maximum)], where `first` is the delay
                  // before the first retry: the range of that article's decorrelated jitter, which
                  // here does not depend on the previous delay
};

// An immutable value, thread-safe. Delays do not overflow at any number of retries.
class Backoff {
 public:
  struct Options {
    TimeSpan initial = std::chrono::milliseconds(100);  // >= 0
    TimeSpan max = std::chrono::seconds(10);            // >= initial
    double multiplier = 2.0;                            // finite, >= 1
    Jitter jitter = Jitter::kFull;
  };

  Backoff();  // Exponential({})

  // The delay is initial * multiplier^(retry - 1), at most max. All of these functions throw
  // std::invalid_argument for arguments out of range.
  static Backoff Exponential(Options options);
  // The same delay (>= 0) each time, without jitter. With WithJitter(Jitter::kDecorrelated) it may
  // be up to three times as long.
  static Backoff Constant(TimeSpan delay);
  // The delay is step * retry, at most max, without jitter. 0 <= step <= max.
  static Backoff Linear(TimeSpan step, TimeSpan max);
  // The delay is delay(retry), limited to 0 to `max`, without jitter. The function may be called in
  // several threads at once; Delay throws what it throws.
  static Backoff Custom(std::function<TimeSpan(int retry)> delay, TimeSpan max = Duration::max());

  // Returns a Backoff with the same delays and this jitter.
  Backoff WithJitter(Jitter jitter) const;

  // Returns the delay before retry number `retry`; the first retry, which is the second attempt, is
  // 1, and a smaller number means 1. `gen` is used only where there is jitter.
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
