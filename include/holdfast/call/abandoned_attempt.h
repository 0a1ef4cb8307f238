// AbandonedAttempt keeps what an attempt was admitted with until the attempt has really ended, when
// the call no longer waits for it: a Timeout walked away from it, or it lost to a Hedge.
//
//   // Whoever runs the attempt holds this one; the call keeps it too while it waits.
//   auto attempt = std::make_shared<holdfast::AbandonedAttempt>();
//   attempt->Keep(admission);  // a std::shared_ptr to anything
#ifndef HOLDFAST_CALL_ABANDONED_ATTEMPT_H_
#define HOLDFAST_CALL_ABANDONED_ATTEMPT_H_

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace holdfast {

// Ends with the last attempt that holds a reference to it. Thread-safe.
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

}  // namespace holdfast

#endif  // HOLDFAST_CALL_ABANDONED_ATTEMPT_H_
