#ifndef HOLDFAST_TEST_SUPPORT_THREADS_H_
#define HOLDFAST_TEST_SUPPORT_THREADS_H_

#include <cstddef>
#include <latch>
#include <thread>
#include <vector>

namespace holdfast::test {

// Runs `body(i)` in `n` threads that begin at the same moment, and waits for all of them.
template <class F>
void InThreads(int n, const F& body) {
  std::latch start(n);
  std::vector<std::jthread> threads;
  threads.reserve(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) {
    threads.emplace_back([&start, &body, i] {
      start.arrive_and_wait();
      body(i);
    });
  }
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_SUPPORT_THREADS_H_
