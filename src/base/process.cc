#include "holdfast/base/internal/process.h"

#include <pthread.h>

namespace holdfast::internal {

constinit std::atomic<std::uint32_t> process_generation{0};

namespace {

void BeginChild() { process_generation.fetch_add(1, std::memory_order_relaxed); }

// It fails only where there is no memory for a handler at the program's start.
[[maybe_unused]] const int kRegistered = pthread_atfork(nullptr, nullptr, &BeginChild);

}  // namespace
}  // namespace holdfast::internal
