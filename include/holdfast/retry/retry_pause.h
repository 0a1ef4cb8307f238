// A RetryPause is until when a backend has asked to be left alone, for all calls to it.
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

// Thread-safe and lock-free. Relaxed: the time is all there is to agree on.
class RetryPause {
 public:
  explicit RetryPause(const std::string& name = "");  // of the backend, for messages

  // Never makes it shorter.
  void Extend(TimePoint until) {
    TimePoint::rep before = until_.load(std::memory_order_relaxed);
    while (before < until.time_since_epoch().count() &&
           !until_.compare_exchange_weak(before, until.time_since_epoch().count(),
                                         std::memory_order_relaxed)) {
    }
  }
  // TimePoint::min() if nobody has asked yet.
  [[nodiscard]] TimePoint until() const {
    return TimePoint(Duration(until_.load(std::memory_order_relaxed)));
  }

  // Of a call that comes before that: kUnavailable.
  [[nodiscard]] const absl::Status& refusal() const { return refusal_; }

 private:
  std::atomic<TimePoint::rep> until_{TimePoint::min().time_since_epoch().count()};
  const absl::Status refusal_;
};

}  // namespace holdfast

#endif  // HOLDFAST_RETRY_RETRY_PAUSE_H_
