// What to do after a compare-and-swap that another thread's has made fail.
#ifndef HOLDFAST_SRC_RATE_COLLISION_H_
#define HOLDFAST_SRC_RATE_COLLISION_H_

#include <algorithm>
#include <atomic>

namespace holdfast::internal {

// Gets out of the other's way for a moment, for longer each time: threads that try again at once
// take the cache line from each other before they are done with it.
class Collision {
 public:
  void Yield() {
    for (int i = 0; i < pauses_; ++i) Pause();
    pauses_ = std::min(2 * pauses_, kMostPauses);
  }

 private:
  static constexpr int kFirstPauses = 16;
  static constexpr int kMostPauses = 256;

  static void Pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb");
#else
    std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
  }

  int pauses_ = kFirstPauses;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_RATE_COLLISION_H_
