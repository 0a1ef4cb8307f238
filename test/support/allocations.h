// Counts what the program allocates, by replacing operator new. For one source of a program, and
// none with a sanitizer.
#ifndef HOLDFAST_TEST_SUPPORT_ALLOCATIONS_H_
#define HOLDFAST_TEST_SUPPORT_ALLOCATIONS_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace holdfast::testing {

// By this thread.
inline thread_local std::int64_t allocations = 0;
// Whether this thread gets no more memory.
inline thread_local bool out_of_memory = false;

inline void* CountedAllocation(std::size_t size) {
  ++allocations;
  if (out_of_memory) throw std::bad_alloc();
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}

inline void* CountedAllocation(std::size_t size, std::align_val_t alignment) {
  const auto align = static_cast<std::size_t>(alignment);
  ++allocations;
  if (out_of_memory) throw std::bad_alloc();
  if (void* memory = std::aligned_alloc(align, (size + align - 1) / align * align)) return memory;
  throw std::bad_alloc();
}

}  // namespace holdfast::testing

// NOLINTBEGIN(misc-definitions-in-headers): for one file of a program.
void* operator new(std::size_t size) { return holdfast::testing::CountedAllocation(size); }
void* operator new[](std::size_t size) { return holdfast::testing::CountedAllocation(size); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return holdfast::testing::CountedAllocation(size, alignment);
}
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
// NOLINTEND(misc-definitions-in-headers)

#endif  // HOLDFAST_TEST_SUPPORT_ALLOCATIONS_H_
