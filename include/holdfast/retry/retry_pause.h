// A RetryPause shares a Retry-After between calls: until when a backend has asked for a pause.
//
//   auto pause = std::make_shared<holdfast::RetryPause>();
//   holdfast::Retry reads({.pause = pause}), writes({.pause = pause});
#ifndef HOLDFAST_RETRY_RETRY_PAUSE_H_
#define HOLDFAST_RETRY_RETRY_PAUSE_H_

#include <absl/status/status.h>

#include <atomic>
#include <string>

#include "holdfast/base/time.h"

namespace holdfast {

// A Retry with a pause extends it when a failure asks for one (Retry-After), by max_retry_after at
// most. Until it is over, calls through every Retry with the same pause are rejected or wait, and
// no retry is sent (RetryOptions::pause).
//
// Thread-safe and lock-free. Relaxed memory order suffices, because the time is the only shared
// value.
class RetryPause {
 public:
  explicit RetryPause(const std::string& name = "");  // the backend's, for messages

  // The pause lasts until `until`, or longer if it already does.
  void Extend(TimePoint until) {
    TimePoint::rep before = until_.load(std::memory_order_relaxed);
    while (before < until.time_since_epoch().count() &&
           !until_.compare_exchange_weak(before, until.time_since_epoch().count(),
                                         std::memory_order_relaxed)) {
    }
  }
  // When the pause ends; TimePoint::min() if no backend has asked for one.
  [[nodiscard]] TimePoint until() const {
    return TimePoint(Duration(until_.load(std::memory_order_relaxed)));
  }

  // The rejection of a call that comes before that: kUnavailable.
  [[nodiscard]] const absl::Status& refusal() const { return refusal_; }

 private:
  std::atomic<TimePoint::rep> until_{TimePoint::min().time_since_epoch().count()};
  const absl::Status refusal_;
};

}  // namespace holdfast

#endif  // HOLDFAST_RETRY_RETRY_PAUSE_H_
