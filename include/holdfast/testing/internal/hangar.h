// The simulated driver: calls in flight in a World, in places that are used again. Included by
// simulate.h and population.h.
#ifndef HOLDFAST_TESTING_INTERNAL_HANGAR_H_
#define HOLDFAST_TESTING_INTERNAL_HANGAR_H_

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "holdfast/call/call.h"
#include "holdfast/driver/fork.h"
#include "holdfast/testing/internal/sim_call.h"
#include "holdfast/testing/internal/sim_flight.h"
#include "holdfast/testing/random.h"
#include "holdfast/testing/world.h"

namespace holdfast::testing::sim_internal {

template <class R, class Policies, class Executor, class Done>
class Hangar;

// The places of the branches, where the executor is what a fork has below it.
template <class R, class Executor>
struct Branches {
  Branches(World&, Random&) {}
};
template <class R, class Fork, class Policies, class Executor>
struct Branches<R, internal::ParallelAttempts<Fork, Policies, Executor>> {
  Branches(World& world, Random& random) : hangar(world, random) {}
  Hangar<R, Policies, Executor, EndBranch<R>> hangar;
};

// The places of all calls through stacks of one type. A place lives as long as the hangar, for the
// world's queue and replies that nobody awaits may refer to it long after its call; the one used
// last is used next, since it is in the cache.
template <class R, class Policies, class Executor, class Done>
class Hangar {
 public:
  using Flight = SimFlight<R, Policies, Executor, Done>;

  Hangar(World& world, Random& random) : world_(world), random_(random), branches_(world, random) {}
  Hangar(const Hangar&) = delete;
  Hangar& operator=(const Hangar&) = delete;

  void Start(internal::StackSegment<Policies, Executor>& level, const CallOptions& options,
             Done done) {
    if (free_ == nullptr) Grow();
    Flight* const flight = std::exchange(free_, free_->next_free());
    flight->Start(*this, level, options, std::move(done));
  }

  void Free(Flight& flight) {
    flight.set_next_free(free_);
    free_ = &flight;
  }

  World& world() const { return world_; }
  Random& random() const { return random_; }
  Branches<R, Executor>& branches() { return branches_; }

 private:
  void Grow() {
    constexpr std::size_t kSlab = 64;
    slabs_.push_back(std::make_unique<Flight[]>(kSlab));
    for (std::size_t i = kSlab; i-- > 0;) Free(slabs_.back()[i]);
  }

  World& world_;
  Random& random_;
  [[no_unique_address]] Branches<R, Executor> branches_;
  Flight* free_ = nullptr;
  std::vector<std::unique_ptr<Flight[]>> slabs_;
};

}  // namespace holdfast::testing::sim_internal

#endif  // HOLDFAST_TESTING_INTERNAL_HANGAR_H_
