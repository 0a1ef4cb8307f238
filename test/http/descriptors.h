#ifndef HOLDFAST_TEST_HTTP_DESCRIPTORS_H_
#define HOLDFAST_TEST_HTTP_DESCRIPTORS_H_

// What a program dies of that does not close what it opens.

#include <chrono>
#include <filesystem>
#include <iterator>
#include <thread>

namespace holdfast::test {

// Open file descriptors of this process, the one by which they are counted included.
inline int OpenDescriptors() {
  return static_cast<int>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"),
                                        std::filesystem::directory_iterator()));
}

// The servers of the tests run in this process, and close their ends in their own time. What leaks
// is still open after seconds.
template <class Condition>
bool Eventually(const Condition& condition) {
  for (int tries = 0; tries < 2000; ++tries) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // nobody says when one is closed
  }
  return condition();
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_DESCRIPTORS_H_
