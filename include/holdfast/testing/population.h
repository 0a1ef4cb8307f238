// A Population is up to 1e8 clients in a simulated world, each with a stack of real policies.
//
//   holdfast::testing::Population clients(
//       world, holdfast::testing::OpenClients{.count = 1000, .rate = 70}, backend,
//       [](std::int64_t) {
//         return holdfast::Stack(holdfast::Retry({.max_attempts = 4}), holdfast::Timeout(1s));
//       });
//   world.RunFor(1min);
//   log(clients.results().Goodput(), " successes per second");
#ifndef HOLDFAST_TESTING_POPULATION_H_
#define HOLDFAST_TESTING_POPULATION_H_

#include <absl/status/status.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "holdfast/base/internal/object_clock.h"
#include "holdfast/call/call.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/clients.h"
#include "holdfast/testing/internal/crowd.h"
#include "holdfast/testing/internal/hangar.h"
#include "holdfast/testing/reply.h"
#include "holdfast/testing/world.h"

namespace holdfast::testing {

// `make_stack(client)`, or `make_stack()`, is called once for each client, from 0 to count - 1, and
// returns the client's Stack, with policy objects of its own or shared ones. All of them use the
// world's clock. An exception of a policy or of the backend's function ends the call and counts as
// a failure and in Results::exceptions.
//
// An idle client needs 40 bytes and the memory of its policies. A population can't be moved.
template <class MakeStack>
class Population final : public sim_internal::Crowd {
 public:
  // Both throw std::invalid_argument with the text of Validate.
  Population(World& world, const OpenClients& options, Backend backend, MakeStack make_stack)
      : Crowd(world, options, std::move(backend)), arrival_(*this), hangar_(world, calls_) {
    MakeClients(make_stack);
    ScheduleArrival();
  }
  Population(World& world, const ClosedClients& options, Backend backend, MakeStack make_stack)
      : Crowd(world, options, std::move(backend)), arrival_(*this), hangar_(world, calls_) {
    MakeClients(make_stack);
    for (Client& client : clients_) {
      const TimePoint at = FirstCall();
      if (!Over(at)) world.Schedule(at, client);
    }
  }

 private:
  struct Client;

  struct Executor {
    void operator()(Call& call, const Reply<absl::Status>& reply) const {
      population->Attempt(client, call, reply);
    }
    Population* population;
    std::int64_t client;
  };

  static auto StackOf(MakeStack& make_stack, std::int64_t client) {
    if constexpr (std::invocable<MakeStack&, std::int64_t>) {
      return make_stack(client);
    } else {
      return make_stack();
    }
  }
  using StackPolicies =
      typename decltype(StackOf(std::declval<MakeStack&>(), std::int64_t{}))::Policies;
  using StackSegment = decltype(internal::SplitAtForkingPolicy(std::declval<StackPolicies>(),
                                                               std::declval<Executor>(), nullptr));
  using Policies = decltype(StackSegment::policies);
  using LevelExecutor = decltype(StackSegment::executor);

  // Receives the end of a call.
  struct EndCall {
    static void Begin(Call&) {}
    void Succeeded(Call& call, const absl::Status& result) const {
      population->recorder_.Ended(call, result, began, population->world_.Now());
      population->CallAgain(*client);
    }
    void Threw(Call&, const std::exception_ptr&) const {
      population->recorder_.Threw(began, population->world_.Now());
      population->CallAgain(*client);
    }
    Population* population;
    Client* client;
    TimePoint began;
  };

  struct Client final : public Event {
    Client(Population& the_population, StackSegment the_level)
        : population(&the_population), level(std::move(the_level)) {}
    void Happen() override { population->StartCall(*this); }

    Population* population;
    StackSegment level;
  };

  struct Arrival final : public Event {
    explicit Arrival(Population& the_population) : population(the_population) {}
    void Happen() override { population.Arrive(); }

    Population& population;
  };

  void MakeClients(MakeStack& make_stack) {
    clients_.reserve(static_cast<std::size_t>(count_));
    for (std::int64_t i = 0; i < count_; ++i) {
      auto policies = StackOf(make_stack, i).TakePolicies();
      internal::BindClocks(policies, Executor{this, i}, world_.clock());
      if (meter_ == nullptr) meter_ = internal::MeterFor(policies);
      clients_.emplace_back(
          *this, internal::SplitAtForkingPolicy(std::move(policies), Executor{this, i}, meter_));
    }
  }

  void StartCall(Client& client) {
    const TimePoint now = world_.Now();
    recorder_.Began(now);
    hangar_.Start(client.level, kNoOptions, EndCall{this, &client, now});
  }

  void CallAgain(Client& client) {
    if (open_) return;
    const TimePoint at = NextCall();
    if (!Over(at)) world_.Schedule(at, client);
  }

  void Arrive() {
    Client& client = *caller_;
    ScheduleArrival();
    StartCall(client);
  }

  // The next caller is chosen ahead, so that its memory can be prefetched.
  void ScheduleArrival() {
    caller_ = &clients_[static_cast<std::size_t>(NextCaller())];
    __builtin_prefetch(caller_);
    const TimePoint at = NextArrival();
    if (!Over(at)) world_.Schedule(at, arrival_);
  }

  static inline const CallOptions kNoOptions = {};

  std::shared_ptr<internal::StackMeter> meter_;  // of all clients together
  std::vector<Client> clients_;
  Arrival arrival_;
  Client* caller_ = nullptr;  // of the next arrival
  sim_internal::Hangar<absl::Status, Policies, LevelExecutor, EndCall> hangar_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTING_POPULATION_H_
