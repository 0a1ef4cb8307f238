#include "src/http/watchdog.h"

#include "holdfast/base/internal/thread.h"

namespace holdfast::http::internal {

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

Watchdog::Watch::Watch(Watchdog& watchdog, TimePoint deadline, Connection& connection)
    : watchdog_(watchdog), entry_(deadline, &connection) {
  if (deadline == TimePoint::max()) return;
  bool sooner = false;
  {
    const std::lock_guard lock(watchdog_.mutex_);
    if (!watchdog_.thread_.joinable()) {
      watchdog_.thread_ = holdfast::internal::StartThread([&watchdog] { watchdog.Run(); });
    }
    watchdog_.watched_.insert(entry_);
    sooner = deadline < watchdog_.sleeps_until_;
  }
  if (sooner) watchdog_.wake_.notify_one();
}

Watchdog::Watch::~Watch() {
  if (entry_.first == TimePoint::max()) return;
  const std::lock_guard lock(watchdog_.mutex_);
  watchdog_.watched_.erase(entry_);
}

void Watchdog::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const TimePoint now = holdfast::internal::ReadClock(nullptr);
    while (!watched_.empty() && watched_.begin()->first <= now) {
      // Under the lock, so that no watch can end meanwhile; it does not block.
      watched_.begin()->second->Interrupt(Interruption::kDeadline);
      watched_.erase(watched_.begin());
    }
    sleeps_until_ = watched_.empty() ? TimePoint::max() : watched_.begin()->first;
    if (watched_.empty()) {
      wake_.wait(lock);
    } else {
      wake_.wait_until(lock, sleeps_until_);
    }
  }
}

}  // namespace holdfast::http::internal
