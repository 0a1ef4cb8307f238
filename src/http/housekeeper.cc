#include "src/http/housekeeper.h"

#include <new>
#include <utility>

#include "holdfast/base/internal/process.h"
#include "holdfast/base/internal/thread.h"

namespace holdfast::http::internal {

Housekeeper& Housekeeper::OfProcess() {
  // Leaked: its thread may run while the process ends.
  static const auto& of_process =
      *new holdfast::internal::PerProcess<Housekeeper>(std::make_shared<Housekeeper>());
  return *of_process.Get();
}

void Housekeeper::Visit(std::weak_ptr<Tidied> whom, TimePoint at) {
  const std::lock_guard lock(mutex_);
  const auto visit = visits_.emplace(at, std::move(whom));
  if (!running_) {
    try {
      holdfast::internal::StartThread([this] { Run(); }).detach();
    } catch (...) {
      visits_.erase(visit);
      throw;
    }
    running_ = true;
  } else if (visit == visits_.begin()) {
    changed_.notify_one();
  }
}

void Housekeeper::Run() {
  std::unique_lock lock(mutex_);
  while (!visits_.empty()) {
    const auto first = visits_.begin();
    const TimePoint now = holdfast::internal::ReadClock(nullptr);
    if (now < first->first) {
      changed_.wait_until(lock, first->first);
      continue;
    }
    auto node = visits_.extract(first);
    lock.unlock();
    TimePoint next = TimePoint::max();
    if (const auto whom = node.mapped().lock()) next = whom->TidyUp(now);
    lock.lock();
    if (next == TimePoint::max()) continue;
    node.key() = next;
    visits_.insert(std::move(node));
  }
  running_ = false;
}

}  // namespace holdfast::http::internal
