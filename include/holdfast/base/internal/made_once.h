// An object that is made when it is first needed.
#ifndef HOLDFAST_BASE_INTERNAL_MADE_ONCE_H_
#define HOLDFAST_BASE_INTERNAL_MADE_ONCE_H_

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
    T* present = get();
    if (present != nullptr) return present;
    try {
      auto made = std::make_unique<T>(std::forward<Args>(args)...);
      const bool mine = made_.compare_exchange_strong(
          present, made.get(), std::memory_order_acq_rel, std::memory_order_acquire);
      return mine ? made.release() : present;
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
  }

 private:
  std::atomic<T*> made_{nullptr};
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_MADE_ONCE_H_
