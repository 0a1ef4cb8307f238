// A LatencyQuantile tracks a quantile of recent latencies, from which a timeout or a hedging delay
// can be derived.
//
//   holdfast::LatencyQuantile latencies({.quantile = 0.95, .window = 1min});
//   latencies.Record(12ms);
//   if (auto p95 = latencies.Value()) log("19 of 20 within ", p95->count(), " ns");
//
// Most callers want AdaptiveTimeout or Hedge in a stack, which record the calls below them.
#ifndef HOLDFAST_TIMEOUT_LATENCY_QUANTILE_H_
#define HOLDFAST_TIMEOUT_LATENCY_QUANTILE_H_

#include <absl/base/optimization.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/log_linear.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/time.h"
#include "holdfast/call/collector.h"

namespace holdfast {

namespace internal {
class LearnedLimit;
}

// A log-linear histogram (as HdrHistogram's) with 32 buckets for each power of two, from 1 ns to
// Duration::max(). It takes 30 KiB, whatever is recorded. The value is the upper end of a bucket:
// never less than the sample that it stands for, and greater by less than 1/32.
//
// The window is approximated by two histograms, of half a window each. Samples go to the newer one;
// the value is that of both together. When the newer one is half a window old, it becomes the older
// one, whose samples are dropped. So the value covers between half a window and a whole one. It is
// computed again after each sixteenth more samples, or each 1024 if that is fewer.
//
// Thread-safe. Recording and reading take no lock and O(1) time, except in the thread that computes
// the value again (a microsecond). With one thread it is deterministic. A `now` that is older than
// one already seen counts as the present.
class LatencyQuantile {
 public:
  struct Options {
    double quantile = 0.99;  // in (0, 1]; 1: the maximum
    // The age after which a sample is dropped, at most (and at least half of that); > 0.
    TimeSpan window = std::chrono::seconds(30);
    // The fewest samples in the window for which there is a value; >= 1. Below 1 / (1 - quantile)
    // samples the value is the maximum. A larger minimum is steadier but leaves services with few
    // calls without a value.
    std::int64_t min_samples = 20;
    std::string name = {};   // for messages
    Clock* clock = nullptr;  // for methods without At; null: SteadyClock(); must outlive this
  };

  // Throws std::invalid_argument with the text of Validate.
  explicit LatencyQuantile(Options options);
  LatencyQuantile(const LatencyQuantile&) = delete;
  LatencyQuantile& operator=(const LatencyQuantile&) = delete;

  // Adds a sample; a negative one counts as 0.
  void Record(TimeSpan latency) { RecordAt(Now(), latency); }
  void RecordAt(TimePoint now, TimeSpan latency) {
    if (now >= turns_at()) Turn(now);
    halves_[newer_.load(std::memory_order_relaxed)][Buckets::BucketOf(latency)].fetch_add(
        1, std::memory_order_relaxed);
    const std::uint64_t recorded = recorded_.fetch_add(1, std::memory_order_acq_rel) + 1;
    if (recorded >= compute_at_.load(std::memory_order_relaxed)) ComputeIfDue();
  }

  // The quantile of the samples in the window; nullopt if they are fewer than min_samples.
  [[nodiscard]] std::optional<Duration> Value() { return ValueAt(Now()); }
  [[nodiscard]] std::optional<Duration> ValueAt(TimePoint now) {
    const Duration value = Read(now);
    return value == kNoValue ? std::nullopt : std::optional<Duration>(value);
  }

  // Replaces all options while calls run. The samples stay, and the value at once follows the new
  // options. A new window counts from when its present half began: so with a shorter one that half
  // may be over, or both, as after a pause. (Samples of the older half are dropped only when the
  // present half is over, even if the shorter window would have dropped them.) Name and clock
  // cannot change: leave them out, or give the present ones. kInvalidArgument, with nothing
  // changed, for what Validate refuses and for another name or clock.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // The present options; to change one of them, Update with a changed copy.
  Options options() const;
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options);

  // Tells holdfast.latency_quantile.value, once there is a value. No half ends by that: after the
  // end of one it tells the value of the other alone.
  void Collect(Collector& collector) const;

  double quantile() const { return options().quantile; }
  std::int64_t min_samples() const { return options().min_samples; }
  const std::string& name() const { return name_; }

  // For stacks: see internal/object_clock.h.
  void BindClock(internal::ClockBinder& binder, std::string_view policy) {
    binder.Bind(policy, name_, clock_);
  }

 private:
  friend class internal::LearnedLimit;

  using Buckets = internal::LogLinear<5>;
  static constexpr Duration kNoValue{-1};

  using Histogram = std::array<std::atomic<std::uint64_t>, Buckets::kBuckets>;

  TimePoint Now() const { return clock_.Now(); }
  TimePoint turns_at() const {
    return TimePoint(Duration(turns_at_.load(std::memory_order_acquire)));
  }

  // The value or kNoValue; an optional would take ten times as long (g++ 12 builds it in memory).
  Duration Read(TimePoint now) {
    if (now >= turns_at()) Turn(now);
    return Duration(value_.load(std::memory_order_relaxed));
  }
  // What Read would return, with nothing changed.
  Duration Look(TimePoint now) const;
  void Turn(TimePoint now);
  void ComputeIfDue();
  void Change(Options options);
  void TurnAt(TimePoint time);
  // With the mutex held.
  void Compute();
  // `value` is the quantile, or kNoValue for fewer samples than min_samples.
  struct Samples {
    std::uint64_t count;
    Duration value;
  };
  template <class CountIn>
  Samples SamplesOf(const CountIn& count_in) const;  // in each bucket
  // Whether at `now` both halves are too old; `end` is when the newer one was over.
  bool Paused(TimePoint now, TimePoint end) const {
    return SaturatingSub(now, end) >= half_window();
  }
  Duration half_window() const { return std::max<Duration>(options_.window / 2, Duration(1)); }

  // The mutex is held to drop a half, compute the value or change the options; all else only adds
  // to counters. Why the memory orders suffice: see latency_quantile.cc.
  std::atomic<TimePoint::rep> turns_at_{TimePoint::min().time_since_epoch().count()};
  std::atomic<Duration::rep> value_{kNoValue.count()};
  std::atomic<std::size_t> newer_{0};
  std::atomic<std::uint64_t> compute_at_{0};  // at this number of samples
  // On cache lines of their own: every call reads the line above, which hardly ever changes.
  ABSL_CACHELINE_ALIGNED std::atomic<std::uint64_t> recorded_{0};
  ABSL_CACHELINE_ALIGNED std::array<Histogram, 2> halves_{};

  mutable std::mutex mutex_;
  Options options_;                      // guarded by the mutex
  std::optional<TimePoint> half_began_;  // the newer half; guarded by the mutex
  const std::string name_;
  internal::ObjectClock clock_;
};

absl::Status Validate(const LatencyQuantile::Options& options);

}  // namespace holdfast

#endif  // HOLDFAST_TIMEOUT_LATENCY_QUANTILE_H_
