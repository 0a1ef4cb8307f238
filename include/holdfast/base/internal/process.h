// Tells a process from the one that it was forked from, where what the parent's threads did is
// copied and the threads themselves are not.
#ifndef HOLDFAST_BASE_INTERNAL_PROCESS_H_
#define HOLDFAST_BASE_INTERNAL_PROCESS_H_

#include <absl/base/optimization.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

namespace holdfast::internal {

// How many forks this process is away from the first one. Changed in a child of fork() before that
// returns, while there is one thread; so relaxed does. A child of _Fork() or of clone() itself
// looks like its parent.
extern constinit std::atomic<std::uint32_t> process_generation;

inline std::uint32_t ProcessGeneration() {
  return process_generation.load(std::memory_order_relaxed);
}

// What one process can't take over from another: threads, connections. In a child of fork() the
// first use makes another, and the parent's is left as it is: not even destroyed, since its locks
// may be held by threads that are not there, and its memory may be half changed. T has
//
//   std::shared_ptr<T> MakeAnew() const;   // from what never changes
//   void Abandon() noexcept;               // called in the child in place of the destructor
//
// Thread-safe. An object is published with release and found with acquire; whoever loses the race
// to make one takes the winner's.
template <class T>
class PerProcess {
 public:
  explicit PerProcess(std::shared_ptr<T> object)
      : owned_(new Owned{ProcessGeneration(), std::move(object)}) {}
  PerProcess(const PerProcess&) = delete;
  PerProcess& operator=(const PerProcess&) = delete;
  ~PerProcess() {
    Owned* const owned = owned_.load(std::memory_order_relaxed);
    if (owned->generation == ProcessGeneration()) {
      delete owned;
    } else {
      owned->object->Abandon();  // and leaked
    }
  }

  const std::shared_ptr<T>& Get() const {
    Owned* const owned = owned_.load(std::memory_order_acquire);
    return ABSL_PREDICT_TRUE(owned->generation == ProcessGeneration()) ? owned->object
                                                                       : Renew(owned);
  }

  // Null where it is the parent's.
  T* IfOurs() const {
    Owned* const owned = owned_.load(std::memory_order_acquire);
    return owned->generation == ProcessGeneration() ? owned->object.get() : nullptr;
  }

 private:
  struct Owned {
    std::uint32_t generation;
    std::shared_ptr<T> object;
  };

  const std::shared_ptr<T>& Renew(Owned* owned) const {
    auto fresh = std::make_unique<Owned>(Owned{ProcessGeneration(), owned->object->MakeAnew()});
    Owned* const parents = owned;
    if (!owned_.compare_exchange_strong(owned, fresh.get(), std::memory_order_acq_rel,
                                        std::memory_order_acquire)) {
      return owned->object;
    }
    parents->object->Abandon();  // and leaked
    return fresh.release()->object;
  }

  mutable std::atomic<Owned*> owned_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_PROCESS_H_
