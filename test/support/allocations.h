// Counts what the program allocates, and lets memory run out. For a program that allocations.cc,
// which replaces operator new, is a part of; so for none with a sanitizer.
#ifndef HOLDFAST_TEST_SUPPORT_ALLOCATIONS_H_
#define HOLDFAST_TEST_SUPPORT_ALLOCATIONS_H_

#include <cstdint>
#include <functional>
#include <new>

namespace holdfast::testing {

// By this thread.
inline thread_local std::int64_t allocations = 0;
// Whether this thread gets no more memory.
inline thread_local bool out_of_memory = false;

// False if there was no memory for it.
inline bool WithoutMemory(const std::function<void()>& act) {
  out_of_memory = true;
  bool happened = true;
  try {
    act();
  } catch (const std::bad_alloc&) {
    happened = false;
  }
  out_of_memory = false;
  return happened;
}

}  // namespace holdfast::testing

#endif  // HOLDFAST_TEST_SUPPORT_ALLOCATIONS_H_
