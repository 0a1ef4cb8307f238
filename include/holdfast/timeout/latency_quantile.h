// A LatencyQuantile knows the latency that a given fraction of recent successes stayed within: what
// a timeout or a hedge can be derived from.
//
//   holdfast::LatencyQuantile latencies({.quantile = 0.95, .window = 1min});
//   latencies.Record(12ms);
//   if (auto p95 = latencies.Value()) log("19 of 20 within ", p95->count(), " ns");
//
// Most callers want AdaptiveTimeout or Hedge in a stack, which record what they let through.
#ifndef HOLDFAST_TIMEOUT_LATENCY_QUANTILE_H_
#define HOLDFAST_TIMEOUT_LATENCY_QUANTILE_H_

#include <absl/base/optimization.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/time.h"

namespace holdfast {

namespace internal {
class LearntLimit;
}

// Counts in the buckets of a log-linear histogram (HdrHistogram's), 32 to each doubling, from 1 ns
// to Duration::max(): 30 KiB, whatever is recorded. The value is the upper end of a bucket, so it
// is never less than the sample that it stands for and more by less than 1/32.
//
// There are two histograms, each of half a window: samples go to the newer one, the value is that
// of both, and when the newer one is half a window old the older one is forgotten. So the value is
// that of the last half to whole window. It follows the samples with a lag of at most a sixteenth
// of those that there are, or 1024 if that is less.
//
// Thread-safe. Recording and reading take no lock and O(1) time, but for those who find that the
// value has to be computed anew (a microsecond). Used by one thread, it is deterministic. Times may
// come out of order: an older `now` belongs to the present window.
class LatencyQuantile {
 public:
  struct Options {
    double quantile = 0.99;                      // in (0, 1]; 1: the largest sample
    TimeSpan window = std::chrono::seconds(30);  // how long a sample counts, at most; > 0
    // Samples without which there is no value, >= 1. With fewer than 1 / (1 - quantile) the value
    // is the largest; more of them make it steadier, and a service that has few calls unknown.
    std::int64_t min_samples = 20;
    std::string name = {};   // for messages
    Clock* clock = nullptr;  // of the methods without At; must outlive this
  };

  // Throws std::invalid_argument with the text of Validate.
  explicit LatencyQuantile(Options options);
  LatencyQuantile(const LatencyQuantile&) = delete;
  LatencyQuantile& operator=(const LatencyQuantile&) = delete;

  // Adds a sample; a negative one counts as 0.
  void Record(TimeSpan latency) { RecordAt(Now(), latency); }
  void RecordAt(TimePoint now, TimeSpan latency) {
    if (now >= turns_at()) Turn(now);
    halves_[newer_.load(std::memory_order_relaxed)][BucketOf(latency)].fetch_add(
        1, std::memory_order_relaxed);
    const std::uint64_t recorded = recorded_.fetch_add(1, std::memory_order_acq_rel) + 1;
    if (recorded >= compute_at_.load(std::memory_order_relaxed)) ComputeIfDue();
  }

  // The quantile of the samples in the window; nullopt while they are fewer than min_samples.
  [[nodiscard]] std::optional<Duration> Value() { return ValueAt(Now()); }
  [[nodiscard]] std::optional<Duration> ValueAt(TimePoint now) {
    const Duration value = Read(now);
    return value == kNoValue ? std::nullopt : std::optional<Duration>(value);
  }

  // Replaces the options, all of them, while calls run. The samples stay, and the value is at once
  // what the new options make of them. A new window counts from when the present half of it began:
  // so of a shorter one that half may be over, or both, as after a pause. (What is older than that
  // half counts until it is over, though a shorter window alone would have forgotten it.) Name and
  // clock stay: left out they are as before, and others are refused. kInvalidArgument, with nothing
  // changed, for what Validate refuses.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // Those of now: to change one, change a copy of them.
  Options options() const;
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options);

  double quantile() const { return options().quantile; }
  const std::string& name() const { return name_; }

  // For stacks: see internal/object_clock.h.
  void BindClock(internal::ClockBinder& binder, std::string_view policy) {
    binder.Bind(policy, name_, clock_);
  }

 private:
  friend class internal::LearntLimit;

  // Values below 2^6 have a bucket each; above, a bucket is what has the same highest bit and the
  // same five bits after it.
  static constexpr int kBitsAfterHighest = 5;
  static constexpr std::size_t kPerDoubling = std::size_t{1} << kBitsAfterHighest;
  static constexpr std::size_t kBuckets = (63 - kBitsAfterHighest + 1) * kPerDoubling;
  static constexpr Duration kNoValue{-1};

  using Histogram = std::array<std::atomic<std::uint64_t>, kBuckets>;

  static std::size_t BucketOf(Duration latency) {
    const auto value = static_cast<std::uint64_t>(std::max<Duration::rep>(latency.count(), 0));
    const int shift = std::max(63 - kBitsAfterHighest - std::countl_zero(value), 0);
    return static_cast<std::size_t>(shift) * kPerDoubling +
           static_cast<std::size_t>(value >> shift);
  }
  static Duration UpperEnd(std::size_t bucket);

  TimePoint Now() const { return clock_.Now(); }
  TimePoint turns_at() const {
    return TimePoint(Duration(turns_at_.load(std::memory_order_acquire)));
  }

  // The value or kNoValue: an optional costs ten times as much (g++ 12 builds it in memory).
  Duration Read(TimePoint now) {
    if (now >= turns_at()) Turn(now);
    return Duration(value_.load(std::memory_order_relaxed));
  }
  void Turn(TimePoint now);
  void ComputeIfDue();
  void Change(Options options);
  void TurnAt(TimePoint time);
  // With the mutex held.
  void Compute();
  Duration half_window() const { return std::max<Duration>(options_.window / 2, Duration(1)); }
  std::uint64_t CountIn(std::size_t bucket) const;

  // The mutex is held by whoever forgets a half, computes the value or changes the options; the
  // others only add to counters. `recorded_` is added to after the bucket, with release, and read
  // with acquire before the buckets are summed: so the thread that finds the value due sums every
  // sample up to then. `turns_at_` is stored with release after a turn is complete, so that who
  // finds it in the future reads a value, and a half to add to, at least as new. All else may be a
  // little older than it could be, and that is harmless: a thread that read `newer_` just before a
  // turn adds its sample to what is now the older half, one that slept through two turns may see it
  // forgotten at once.
  std::atomic<TimePoint::rep> turns_at_{TimePoint::min().time_since_epoch().count()};
  std::atomic<Duration::rep> value_{kNoValue.count()};
  std::atomic<std::size_t> newer_{0};
  std::atomic<std::uint64_t> compute_at_{0};  // when so many were ever recorded
  // Each on lines of its own: the line above is read by every call and hardly ever written.
  ABSL_CACHELINE_ALIGNED std::atomic<std::uint64_t> recorded_{0};
  ABSL_CACHELINE_ALIGNED std::array<Histogram, 2> halves_{};

  mutable std::mutex mutex_;
  Options options_;                      // as they were given; guarded by the mutex
  std::optional<TimePoint> half_began_;  // the newer one; so is this
  const std::string name_;
  internal::ObjectClock clock_;
};

absl::Status Validate(const LatencyQuantile::Options& options);

}  // namespace holdfast

#endif  // HOLDFAST_TIMEOUT_LATENCY_QUANTILE_H_
