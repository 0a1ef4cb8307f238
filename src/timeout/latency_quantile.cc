// How a LatencyQuantile works.
//
// Model. Two histograms of counters, halves_[0] and halves_[1], each for half a window. `newer_`
// says which one gets samples. The value is the quantile of their sum; it is kept in `value_`, so
// that a reader takes two loads. Two events compute it again, both with the mutex held:
//
//   turn     the first thread that comes at or after `turns_at_` clears the older half, makes it
//            the newer one, and moves `turns_at_` half a window on. After a pause of a half window
//            or more it clears both, and counts halves from the present.
//   refresh  the thread whose sample is number `compute_at_` sums the buckets and sets the next
//            number: one sixteenth of the samples further on, 1 to 1024.
//
// A look (Look) computes what a turn at that time would, and stores nothing.
//
// Bucket b of a value v >= 64 is given by the highest bit of v and the 5 bits after it, so buckets
// are v/64 to v/32 wide, and their upper end is less than 1/32 above v.
//
// Invariants.
//   - A sample is counted in the half that was the newer one when its thread read `newer_`: in the
//     present half, or in the one before if a turn came between. So it counts for half a window to
//     a whole one, plus the time that its thread was interrupted. A thread that is interrupted for
//     two turns may count in a half while that is cleared, which loses its sample or keeps it for
//     too long by half a window: one sample, which changes no quantile of many.
//   - `recorded_` never decreases, and counts each sample after its bucket does. It decides when
//     the value is computed, not what it is.
//   - `value_` is kNoValue, or the quantile of at least min_samples samples.
//
// Memory orders. The counters in the buckets are added to with relaxed order, and `recorded_` after
// that with acq_rel. The thread that refreshes reads `recorded_` with acquire before it sums the
// buckets: so it sees every sample whose number it has seen, and the value at `compute_at_` samples
// covers all of them. `turns_at_` is stored with release at the end of a turn and read with acquire
// by every call: a thread that finds it in the future also sees the value, and `newer_`, of that
// turn. `value_`, `newer_` and `compute_at_` are otherwise read with relaxed order: an older value
// was right a moment ago, and nothing is reached through any of them. Writers of these hold the
// mutex, so no two of them race.
#include "holdfast/timeout/latency_quantile.h"

#include <cmath>
#include <utility>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/validate.h"

namespace holdfast {
namespace {

// The value is computed again after so many more samples: that takes as long as about a hundred
// recordings, which once in 1024 is negligible.
constexpr std::uint64_t kLagShare = 16;
constexpr std::uint64_t kMaxLag = 1024;

}  // namespace

absl::Status Validate(const LatencyQuantile::Options& options) {
  internal::OptionsChecker check("LatencyQuantile", options.name);
  check(options.quantile > 0 && options.quantile <= 1, "quantile must be in (0, 1], not ",
        options.quantile);
  check(options.window > Duration::zero(), "window must be > 0");
  check(options.min_samples >= 1, "min_samples must be >= 1, not ", options.min_samples);
  return check.status();
}

LatencyQuantile::LatencyQuantile(Options options)
    : options_(internal::Validated(std::move(options))),
      name_(options_.name),
      clock_(options_.clock) {
  compute_at_.store(static_cast<std::uint64_t>(options_.min_samples), std::memory_order_relaxed);
}

LatencyQuantile::Options LatencyQuantile::options() const {
  const std::lock_guard lock(mutex_);
  Options options = options_;
  options.clock = clock_.given();
  return options;
}

absl::StatusOr<internal::Commit> LatencyQuantile::PrepareUpdate(Options options) {
  if (absl::Status status =
          internal::KeepNameAndValidate("LatencyQuantile", name_, clock_.given(), options);
      !status.ok()) {
    return status;
  }
  return [this, options = std::move(options)]() mutable { Change(std::move(options)); };
}

void LatencyQuantile::Change(Options options) {
  const std::lock_guard lock(mutex_);
  const bool same = options.quantile == options_.quantile && options.window == options_.window &&
                    options.min_samples == options_.min_samples;
  if (same) return;
  options_ = std::move(options);
  Compute();
  if (half_began_) TurnAt(SaturatingAdd(*half_began_, half_window()));
}

// Begins a new half window, unless another thread has.
void LatencyQuantile::Turn(TimePoint now) {
  const std::lock_guard lock(mutex_);
  const TimePoint end = turns_at();
  if (now < end) return;
  const auto forget = [](Histogram& half) {
    for (std::atomic<std::uint64_t>& count : half) count.store(0, std::memory_order_relaxed);
  };
  const std::size_t newer = newer_.load(std::memory_order_relaxed);
  forget(halves_[1 - newer]);
  newer_.store(1 - newer, std::memory_order_relaxed);
  // After a pause both halves are too old, and the next begins now. So it does at the first call.
  const bool paused = Paused(now, end);
  if (paused) forget(halves_[newer]);
  Compute();
  half_began_ = paused ? now : end;
  TurnAt(SaturatingAdd(*half_began_, half_window()));
}

void LatencyQuantile::TurnAt(TimePoint time) {
  turns_at_.store(time.time_since_epoch().count(), std::memory_order_release);
}

void LatencyQuantile::ComputeIfDue() {
  const std::lock_guard lock(mutex_);
  if (recorded_.load(std::memory_order_acquire) >= compute_at_.load(std::memory_order_relaxed)) {
    Compute();
  }
}

void LatencyQuantile::Compute() {
  const std::uint64_t recorded = recorded_.load(std::memory_order_acquire);
  const Samples samples = SamplesOf([this](std::size_t bucket) {
    return halves_[0][bucket].load(std::memory_order_relaxed) +
           halves_[1][bucket].load(std::memory_order_relaxed);
  });
  const std::uint64_t lag = samples.value == kNoValue
                                ? static_cast<std::uint64_t>(options_.min_samples) - samples.count
                                : std::clamp<std::uint64_t>(samples.count / kLagShare, 1, kMaxLag);
  value_.store(samples.value.count(), std::memory_order_relaxed);
  compute_at_.store(recorded + lag, std::memory_order_relaxed);
}

template <class CountIn>
LatencyQuantile::Samples LatencyQuantile::SamplesOf(const CountIn& count_in) const {
  std::uint64_t total = 0;
  for (std::size_t bucket = 0; bucket < Buckets::kBuckets; ++bucket) total += count_in(bucket);
  if (total < static_cast<std::uint64_t>(options_.min_samples)) {
    return {.count = total, .value = kNoValue};
  }
  // As HdrHistogram does, from just below: 0.07 * 100 is more than 7 in floating point.
  const double rank =
      std::max(std::ceil(std::nextafter(options_.quantile, 0.0) * static_cast<double>(total)), 1.0);
  std::size_t bucket = 0;
  std::uint64_t seen = count_in(0);
  while (static_cast<double>(seen) < rank && bucket + 1 < Buckets::kBuckets)
    seen += count_in(++bucket);
  return {.count = total, .value = Buckets::Last(bucket)};
}

Duration LatencyQuantile::Look(TimePoint now) const {
  if (now >= turns_at()) {
    const std::lock_guard lock(mutex_);
    const TimePoint end = turns_at();
    if (now >= end) {
      if (Paused(now, end)) return kNoValue;
      const Histogram& newer = halves_[newer_.load(std::memory_order_relaxed)];
      return SamplesOf([&newer](std::size_t bucket) {
               return newer[bucket].load(std::memory_order_relaxed);
             })
          .value;
    }
  }
  return Duration(value_.load(std::memory_order_relaxed));
}

}  // namespace holdfast
