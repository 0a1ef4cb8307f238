// refused: below a policy that forks (Hedge, Timeout with a pool) each branch has copies of the
// arguments: pass one that can't be copied in a std::shared_ptr
#include <memory>

#include "holdfast/base/thread_pool.h"
#include "holdfast/stack/stack.h"
#include "holdfast/timeout/timeout.h"

#ifdef WRONG_ORDER
using Pointer = std::unique_ptr<int>;
#else
using Pointer = std::shared_ptr<int>;
#endif

inline absl::Status Send(const Pointer&) { return {}; }

auto Call(const std::shared_ptr<holdfast::ThreadPool>& pool) {
  return holdfast::Stack(holdfast::Timeout(std::chrono::seconds(1), pool)).Around(Send)(Pointer());
}
