#include "holdfast/call/internal/watches.h"

#include <algorithm>
#include <utility>

namespace holdfast::internal {

void Watch::Tell(Event event) const {
  for (const Watcher& watcher : watchers) {
    if (event.severity < watcher.least) continue;
    event.stack = watcher.name;
    try {
      watcher.observer->OnEvent(event);
    } catch (...) {  // NOLINT(bugprone-empty-catch): an observer must not change what it observes
    }
  }
}

void Watches::Add(std::string_view name, std::shared_ptr<Observer> observer) {
  const Severity least = observer->least_severity();
  const std::lock_guard lock(mutex_);
  auto next = NextLocked();
  const auto known = std::ranges::find(next->watchers, observer, &Watch::Watcher::observer);
  if (known == next->watchers.end()) {
    next->least = std::min(next->least, least);
    next->watchers.push_back({std::move(observer), least, std::string(name)});
  } else if (known->name != name) {
    known->name = name;
  } else {
    return;
  }
  ReplaceLocked(std::move(next));
}

void Watches::Trace(std::string_view name, std::shared_ptr<Tracer> tracer) {
  const bool takes_contexts = tracer->takes_contexts();
  const std::lock_guard lock(mutex_);
  auto next = NextLocked();
  auto& tracers = next->tracers;
  const auto known = std::ranges::find(tracers, tracer, &Watch::Traced::tracer);
  if (known == tracers.end()) {
    const auto behind = takes_contexts
                            ? tracers.end()
                            : std::ranges::find(tracers, true, &Watch::Traced::takes_contexts);
    tracers.insert(behind, {std::move(tracer), takes_contexts, std::string(name)});
  } else if (known->name != name) {
    known->name = name;
  } else {
    return;
  }
  ReplaceLocked(std::move(next));
}

void Watches::Set(bool Watch::* what) {
  const std::lock_guard lock(mutex_);
  if (!all_.empty() && (*all_.back()).*what) return;
  auto next = NextLocked();
  (*next).*what = true;
  ReplaceLocked(std::move(next));
}

std::unique_ptr<Watch> Watches::NextLocked() const {
  return all_.empty() ? std::make_unique<Watch>() : std::make_unique<Watch>(*all_.back());
}

void Watches::ReplaceLocked(std::unique_ptr<Watch> next) {
  all_.push_back(std::move(next));
  present_.store(all_.back().get(), std::memory_order_release);
}

}  // namespace holdfast::internal
