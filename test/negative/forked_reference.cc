// refused: below a policy that forks (Hedge, Timeout with a pool) an attempt may outlive the call,
// and a view, a pointer or a reference to an argument would dangle: pass a std::string, a
// std::vector or a std::shared_ptr instead, or, where what it points to lives long enough,
// specialize holdfast::kMayOutliveCall for its type (holdfast/call/repeatability.h)
#include <functional>
#include <memory>

#include "holdfast/base/thread_pool.h"
#include "holdfast/stack/stack.h"
#include "holdfast/timeout/timeout.h"

#ifdef WRONG_ORDER
using Argument = std::reference_wrapper<int>;
#else
using Argument = std::shared_ptr<int>;
#endif

auto Call(const std::shared_ptr<holdfast::ThreadPool>& pool, const Argument& argument) {
  return holdfast::Stack(holdfast::Timeout(std::chrono::seconds(1), pool)).Around([](const auto&) {
    return absl::OkStatus();
  })(argument);
}
