// An object that is made when it is first needed.
#ifndef HOLDFAST_BASE_INTERNAL_MADE_ONCE_H_
#define HOLDFAST_BASE_INTERNAL_MADE_ONCE_H_

#include <absl/base/attributes.h>
#include <absl/base/optimization.h>

#include <atomic>
#include <memory>
#include <new>
#include <utility>

namespace holdfast::internal {

// Thread-safe and lock-free: threads that need it first at the same time each make one, and all but
// one of these are dropped. The release half of the exchange publishes it to those who load it with
// acquire.
template <class T>
class MadeOnce {
 public:
  MadeOnce() = default;
  MadeOnce(const MadeOnce&) = delete;
  MadeOnce& operator=(const MadeOnce&) = delete;
  ~MadeOnce() { delete made_.load(std::memory_order_acquire); }

  // Null before it is made.
  T* get() const { return made_.load(std::memory_order_acquire); }

  // A T of these arguments; null where there is no memory for it.
  template <class... Args>
  T* Get(Args&&... args) noexcept {
    T* const present = get();
    return ABSL_PREDICT_TRUE(present != nullptr) ? present : Make(std::forward<Args>(args)...);
  }

 private:
  // By itself, so that Get costs those who find it made no more than the look.
  template <class... Args>
  ABSL_ATTRIBUTE_NOINLINE T* Make(Args&&... args) noexcept {
    try {
      auto made = std::make_unique<T>(std::forward<Args>(args)...);
      T* present = nullptr;
      const bool mine = made_.compare_exchange_strong(
          present, made.get(), std::memory_order_acq_rel, std::memory_order_acquire);
      return mine ? made.release() : present;
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
  }

  std::atomic<T*> made_{nullptr};
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_MADE_ONCE_H_
