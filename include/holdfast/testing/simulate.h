// Simulate runs calls through a stack of real policies in the virtual time of a World.
//
//   auto fetch = holdfast::testing::Simulate(
//       world, holdfast::Stack(holdfast::Timeout(1s), holdfast::Retry({.max_attempts = 4})),
//       [&](holdfast::Call&, holdfast::testing::Reply<absl::Status> reply) {
//         world.After(20ms, [reply] { reply.Done(absl::UnavailableError("busy")); });
//       });
//   world.At(5s, [&] { fetch([&](absl::Status status) { log(world.Now(), status); }); });
//   world.RunFor(1min);
#ifndef HOLDFAST_TESTING_SIMULATE_H_
#define HOLDFAST_TESTING_SIMULATE_H_

#include <absl/status/status.h>

#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "holdfast/base/internal/object_clock.h"
#include "holdfast/call/call.h"
#include "holdfast/call/caught.h"
#include "holdfast/stack/catching.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/internal/hangar.h"
#include "holdfast/testing/random.h"
#include "holdfast/testing/reply.h"
#include "holdfast/testing/world.h"

namespace holdfast::testing {

namespace sim_internal {

template <class T>
struct DoneWith : std::type_identity<std::function<void(T)>> {};

// The result of a call of an executor, of which the caller gets a T.
template <class T, class Executor>
struct FlightResult : std::type_identity<T> {};
template <class T, class Executor, class... Classify>
struct FlightResult<T, Catching<Executor, Classify...>> : std::type_identity<Caught<T>> {};

// Tells the caller of Simulate the result R as a T.
template <class T>
using Done =
    typename std::conditional_t<std::is_void_v<T>, std::type_identity<std::function<void()>>,
                                DoneWith<T>>::type;
template <class R>
struct TellCaller {
  using T = typename internal::ForCaller<R>::type;

  static void Begin(Call&) {}
  void Succeeded(Call& call, R result) const {
    if constexpr (internal::kIsCaught<R>) {
      if (auto error = result.ToThrow(); error != nullptr) return Threw(call, std::move(error));
    }
    if (done == nullptr) return;
    if constexpr (std::is_void_v<T>) {
      done();
    } else if constexpr (internal::kIsCaught<R>) {
      done(std::move(result).Release());
    } else {
      done(std::move(result));
    }
  }
  void Threw(Call&, std::exception_ptr error) const {
    if (failed == nullptr) std::rethrow_exception(std::move(error));
    failed(std::move(error));
  }

  Done<T> done;
  std::function<void(std::exception_ptr)> failed;
};

// Kept by the world, because calls may run as long as the world.
template <class R, class Policies, class Executor>
struct Simulation {
  Simulation(World& world, internal::StackSegment<Policies, Executor> the_level)
      : random(world.NewRandom()), level(std::move(the_level)), hangar(world, random) {}

  Random random;
  internal::StackSegment<Policies, Executor> level;
  Hangar<R, Policies, Executor, TellCaller<R>> hangar;
};

}  // namespace sim_internal

// An executor with a stack around it, in a world. A handle: copies are the same.
//
// A call begins at once. When it ends, `done` gets its result, or `failed` gets the exception of
// the executor or a policy; without `failed` the world's Run throws the exception. A wake-up and a
// stop request take effect in an event of their own, at the time at which they were made. An
// attempt that still runs at the call's deadline ends at exactly that time, with kDeadlineExceeded.
template <class R, class Policies, class Executor>
class Simulated {
 public:
  using Done = sim_internal::Done<typename internal::ForCaller<R>::type>;
  using Failed = std::function<void(std::exception_ptr)>;

  explicit Simulated(sim_internal::Simulation<R, Policies, Executor>& simulation)
      : simulation_(&simulation) {}

  void operator()(Done done = nullptr, Failed failed = nullptr) const {
    With(CallOptions{}, std::move(done), std::move(failed));
  }

  // The same with options for this call.
  void With(const CallOptions& options, Done done = nullptr, Failed failed = nullptr) const {
    simulation_->hangar.Start(simulation_->level, options, {std::move(done), std::move(failed)});
  }

 private:
  sim_internal::Simulation<R, Policies, Executor>* simulation_;
};

// `executor` is called for each attempt with the Call and a Reply<T>. It completes the reply at
// once or in a later event. An executor in Catching gets a Reply<Caught<T>> and may throw into it.
// Policies that fork (Hedge, Timeout with a pool) use no threads here. Policies use the world's
// random numbers, and objects without a clock use the world's clock, as with Around.
template <class T = absl::Status, class... Parts, class Executor>
auto Simulate(World& world, const Stack<Parts...>& stack, Executor executor) {
  using R = typename sim_internal::FlightResult<T, Executor>::type;
  auto level = stack.SegmentFor(std::move(executor), world.clock());
  using Simulation =
      sim_internal::Simulation<R, decltype(level.policies), decltype(level.executor)>;
  auto simulation = std::make_shared<Simulation>(world, std::move(level));
  Simulation& kept = *simulation;
  world.Keep(std::move(simulation));
  return Simulated<R, decltype(level.policies), decltype(level.executor)>(kept);
}

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTING_SIMULATE_H_
