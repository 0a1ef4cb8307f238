// AbandonedAttempt keeps the permits and the like of an attempt until the attempt has really ended,
// after the call stopped waiting for it: a Timeout with a pool abandoned it, or it lost to a Hedge.
//
//   // Held by the driver that runs the attempt.
//   auto attempt = std::make_shared<holdfast::driver::AbandonedAttempt>();
//   attempt->Keep(admission);  // a std::shared_ptr to anything
#ifndef HOLDFAST_CALL_ABANDONED_ATTEMPT_H_
#define HOLDFAST_CALL_ABANDONED_ATTEMPT_H_

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace holdfast::driver {

// Drivers hold it by std::shared_ptr, one reference for each attempt that still runs: what it keeps
// is released with the last reference. Thread-safe.
class AbandonedAttempt {
 public:
  AbandonedAttempt() = default;
  AbandonedAttempt(const AbandonedAttempt&) = delete;
  AbandonedAttempt& operator=(const AbandonedAttempt&) = delete;

  void Keep(std::shared_ptr<void> admission) {
    const std::lock_guard lock(mutex_);
    kept_.push_back(std::move(admission));
  }

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<void>> kept_;
};

}  // namespace holdfast::driver

#endif  // HOLDFAST_CALL_ABANDONED_ATTEMPT_H_
