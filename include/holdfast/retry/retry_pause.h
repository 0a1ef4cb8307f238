// A RetryPause shares a Retry-After between calls: until when a backend has asked for a pause.
//
//   auto pause = std::make_shared<holdfast::RetryPause>();
//   holdfast::Retry reads({.pause = pause}), writes({.pause = pause});
#ifndef HOLDFAST_RETRY_RETRY_PAUSE_H_
#define HOLDFAST_RETRY_RETRY_PAUSE_H_

#include <absl/status/status.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/time.h"
#include "holdfast/call/collector.h"

namespace holdfast {

// A Retry with a pause extends it when a failure asks for one (Retry-After), by max_retry_after at
// most. Until it is over, calls through every Retry with the same pause are rejected or wait, and
// no retry is sent (RetryOptions::pause).
//
// Thread-safe and lock-free. Relaxed memory order suffices: the time and the number of extensions
// are values by themselves.
class RetryPause {
 public:
  // `name`: the backend's, for messages. `clock`: which its times are of; null: that of the first
  // stack with this pause, and SteadyClock() until then. It must outlive this.
  explicit RetryPause(const std::string& name = "", Clock* clock = nullptr);

  // The pause lasts until `until`, or longer if it already does.
  void Extend(TimePoint until) {
    TimePoint::rep before = until_.load(std::memory_order_relaxed);
    while (before < until.time_since_epoch().count()) {
      if (until_.compare_exchange_weak(before, until.time_since_epoch().count(),
                                       std::memory_order_relaxed)) {
        extensions_.fetch_add(1, std::memory_order_relaxed);
        return;
      }
    }
  }
  // When the pause ends; TimePoint::min() if no backend has asked for one.
  [[nodiscard]] TimePoint until() const {
    return TimePoint(Duration(until_.load(std::memory_order_relaxed)));
  }

  // The rejection of a call that comes before that: kUnavailable.
  [[nodiscard]] const absl::Status& refusal() const { return refusal_; }

  // Tells holdfast.retry_pause.*.
  void Collect(Collector& collector) const;

  const std::string& name() const { return name_; }

  // For stacks: see internal/object_clock.h.
  void BindClock(internal::ClockBinder& binder, std::string_view policy) {
    binder.Bind(policy, name_, clock_);
  }

 private:
  std::atomic<TimePoint::rep> until_{TimePoint::min().time_since_epoch().count()};
  std::atomic<std::uint64_t> extensions_{0};
  const std::string name_;
  const absl::Status refusal_;
  internal::ObjectClock clock_;
};

}  // namespace holdfast

#endif  // HOLDFAST_RETRY_RETRY_PAUSE_H_
