// An allocator for objects that come and go all the time.
#ifndef HOLDFAST_SRC_RATE_RECYCLING_H_
#define HOLDFAST_SRC_RATE_RECYCLING_H_

#include <array>
#include <cstddef>
#include <memory>

namespace holdfast::internal {

// Each thread keeps the memory of some of the objects that it gave up, for the next ones.
template <class T>
class Recycling {
 public:
  using value_type = T;

  Recycling() = default;
  template <class U>
  Recycling(const Recycling<U>&) {}  // NOLINT(google-explicit-constructor): as allocators are

  T* allocate(std::size_t n) {
    if (n == 1 && !kept_over && kept.size > 0) return kept.memory[--kept.size];
    return std::allocator<T>().allocate(n);
  }
  void deallocate(T* memory, std::size_t n) noexcept {
    if (n == 1 && !kept_over && kept.size < kMost) {
      kept.memory[kept.size++] = memory;
    } else {
      std::allocator<T>().deallocate(memory, n);
    }
  }

  friend bool operator==(const Recycling&, const Recycling&) { return true; }

 private:
  static constexpr std::size_t kMost = 32;

  struct Kept {
    ~Kept() {
      while (size > 0) std::allocator<T>().deallocate(memory[--size], 1);
      kept_over = true;
    }
    std::array<T*, kMost> memory = {};
    std::size_t size = 0;
  };

  static inline thread_local bool kept_over = false;  // the thread is ending
  static inline thread_local Kept kept;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_RATE_RECYCLING_H_
