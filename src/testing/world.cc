#include "holdfast/testing/world.h"

#include <absl/status/status.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "holdfast/base/internal/validate.h"

namespace holdfast::testing {

void World::VirtualClock::WaitUntil(TimePoint, Parker&) {
  throw std::logic_error(
      "holdfast::testing::World: a simulated world has one thread, which must not wait");
}

void World::At(TimeSpan time, std::function<void()> happen) {
  if (free_functions_.empty()) free_functions_.push_back(&functions_.emplace_back(*this));
  Function& function = *free_functions_.back();
  free_functions_.pop_back();
  function.function = std::move(happen);
  Schedule(TimePoint(time), function);
}

void World::After(TimeSpan delay, std::function<void()> happen) {
  At(SaturatingAdd(Now(), delay).time_since_epoch(), std::move(happen));
}

void World::Function::Happen() {
  const std::function<void()> now = std::exchange(function, nullptr);
  world.free_functions_.push_back(this);
  now();
}

void World::OnProgress(TimeSpan every, std::function<bool(Duration)> progress) {
  if (every <= Duration::zero()) {
    internal::ThrowIfInvalid(
        absl::InvalidArgumentError("World: the interval of OnProgress must be > 0"));
  }
  progress_ = std::move(progress);
  progress_every_ = every;
  progress_at_ = progress_ == nullptr ? TimePoint::max() : SaturatingAdd(Now(), every);
}

bool World::Run() { return RunUntil(TimePoint::max()); }

bool World::RunUntil(TimePoint end) {
  for (;;) {
    const TimePoint until = std::min(end, progress_at_);
    const bool more = RunEvents(until);
    if (!more && end == TimePoint::max()) return true;
    if (until > Now()) clock_.set_now(until);
    if (Now() >= progress_at_) {
      progress_at_ = SaturatingAdd(progress_at_, progress_every_);
      if (!progress_(Now().time_since_epoch())) return false;
    }
    if (until == end) return true;
  }
}

// Whether anything is left.
bool World::RunEvents(TimePoint end) {
  while (Event* const event = queue_.Pop(end)) {
    clock_.set_now(queue_.last());
    ++events_;
    event->Happen();
  }
  return queue_.size() > 0;
}

}  // namespace holdfast::testing
