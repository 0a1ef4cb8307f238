// Which stripe of something striped a thread is to take, and how many there are to be.
#ifndef HOLDFAST_BASE_INTERNAL_THREAD_NUMBER_H_
#define HOLDFAST_BASE_INTERNAL_THREAD_NUMBER_H_

#include <absl/base/optimization.h>

#include <cstddef>

namespace holdfast::internal {

inline constinit thread_local std::size_t thread_number = 0;  // 0: none yet

std::size_t TakeThreadNumber();

// From 1, in the order in which threads ask first.
inline std::size_t ThreadNumber() {
  const std::size_t number = thread_number;
  return ABSL_PREDICT_TRUE(number != 0) ? number : TakeThreadNumber();
}

// A power of two: about twice as many as there are processors, so that few of the threads that run
// at a time share a stripe.
std::size_t StripeCount();

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_THREAD_NUMBER_H_
