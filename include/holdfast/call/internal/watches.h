// Who observes and traces a stack, or observes a policy object.
#ifndef HOLDFAST_CALL_INTERNAL_WATCHES_H_
#define HOLDFAST_CALL_INTERNAL_WATCHES_H_

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/call/observer.h"
#include "holdfast/call/tracer.h"

namespace holdfast::internal {

// Some observers and tracers, and what each of them knows a stack as.
struct Watch {
  struct Watcher {
    std::shared_ptr<Observer> observer;
    Severity least;
    std::string name;
  };

  struct Traced {
    std::shared_ptr<Tracer> tracer;
    bool takes_contexts;
    std::string name;
  };

  bool Wants(Severity severity) const { return !watchers.empty() && severity >= least; }
  // What an observer throws is dropped.
  void Tell(Event event) const;

  std::vector<Watcher> watchers = {};
  Severity least = Severity::kWarning;  // of all
  std::vector<Traced> tracers = {};     // those last that take the contexts of others
  bool timed = false;                   // how long calls take is measured
  bool active = false;                  // how many calls run is counted
};

// Thread-safe; reading takes no lock. Each Watch lives as long as this does, so that a call may
// keep the one that it began with. It is complete when the release store publishes it.
class Watches {
 public:
  Watches() = default;
  Watches(const Watches&) = delete;
  Watches& operator=(const Watches&) = delete;

  // Null while nobody observes.
  const Watch* present() const { return present_.load(std::memory_order_acquire); }

  // One more observer. One that is there already is not added again, and gets the new name.
  void Add(std::string_view name, std::shared_ptr<Observer> observer);
  // The same of a tracer.
  void Trace(std::string_view name, std::shared_ptr<Tracer> tracer);
  // From now on `timed`; and `active`.
  void Time() { Set(&Watch::timed); }
  void CountActive() { Set(&Watch::active); }

 private:
  void Set(bool Watch::* what);
  std::unique_ptr<Watch> NextLocked() const;
  void ReplaceLocked(std::unique_ptr<Watch> next);

  std::atomic<const Watch*> present_{nullptr};
  std::mutex mutex_;
  std::vector<std::unique_ptr<const Watch>> all_;  // guarded by mutex_
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_CALL_INTERNAL_WATCHES_H_
