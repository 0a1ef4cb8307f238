// Counts what the program allocates, and lets memory run out. For a program that allocations.cc,
// which replaces operator new, is a part of; so for none with a sanitizer.
#ifndef HOLDFAST_TEST_SUPPORT_ALLOCATIONS_H_
#define HOLDFAST_TEST_SUPPORT_ALLOCATIONS_H_

#include <cstdint>

namespace holdfast::testing {

// By this thread.
inline thread_local std::int64_t allocations = 0;
// Whether this thread gets no more memory.
inline thread_local bool out_of_memory = false;

}  // namespace holdfast::testing

#endif  // HOLDFAST_TEST_SUPPORT_ALLOCATIONS_H_
