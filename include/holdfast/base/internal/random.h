// Randomness that no other thread and no other process has.
#ifndef HOLDFAST_BASE_INTERNAL_RANDOM_H_
#define HOLDFAST_BASE_INTERNAL_RANDOM_H_

#include <absl/random/random.h>

#include <cstdint>

namespace holdfast::internal {

// From the system. absl::BitGen takes its seed from a state that a child of fork() has in common
// with its parent and with its brothers.
std::uint64_t RandomSeed();

// This thread's generator, seeded by the system, and anew in a child of fork().
absl::InsecureBitGen& ThreadRandom();

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_RANDOM_H_
