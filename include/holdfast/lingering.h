// Lingering keeps what an attempt was admitted with until the attempt has really ended, when the
// call no longer waits for it: a Timeout walked away from it, or it lost to a Hedge.
//
//   auto attempt = std::make_shared<holdfast::Lingering>();   // held by whoever runs the attempt
//   attempt->Keep(admission);                                 // a std::shared_ptr to anything
#ifndef HOLDFAST_LINGERING_H_
#define HOLDFAST_LINGERING_H_

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace holdfast {

// Ends with the last attempt that holds a reference to it. Thread-safe.
class Lingering {
 public:
  Lingering() = default;
  Lingering(const Lingering&) = delete;
  Lingering& operator=(const Lingering&) = delete;

  void Keep(std::shared_ptr<void> admission) {
    const std::lock_guard lock(mutex_);
    kept_.push_back(std::move(admission));
  }

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<void>> kept_;
};

}  // namespace holdfast

#endif  // HOLDFAST_LINGERING_H_
