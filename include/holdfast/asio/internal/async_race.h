// The asynchronous driver below a policy that forks: each branch is an operation of its own.
#ifndef HOLDFAST_ASIO_INTERNAL_ASYNC_RACE_H_
#define HOLDFAST_ASIO_INTERNAL_ASYNC_RACE_H_

#include <exception>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include "holdfast/base/waker.h"
#include "holdfast/call/call.h"
#include "holdfast/driver/fork.h"
#include "holdfast/driver/race.h"

namespace holdfast::internal {

// Has copies of what its branches may outlive.
template <class R, class Below, class... Args>
struct AsyncRace final : driver::Race<R> {
  template <class Tuple>
  AsyncRace(std::shared_ptr<Below> what, Call& call, Waker& caller, const Tuple& a)
      : driver::Race<R>(call, caller), below(std::move(what)), args(a) {}

  const std::shared_ptr<Below> below;
  const std::tuple<Args...> args;
};

// What of a race there is to know where no policy forks.
struct NoRace {};

template <class Executor, class R, class... Args>
struct RaceFor {
  using type = NoRace;
};
template <class Fork, class Policies, class Executor, class R, class... Args>
struct RaceFor<ParallelAttempts<Fork, Policies, Executor>, R, Args...> {
  using type = AsyncRace<R, typename ParallelAttempts<Fork, Policies, Executor>::Below,
                         std::decay_t<Args>...>;
};

// Where a branch ends.
template <class ThisRace, class Executor>
struct BranchHandler {
  using TakesCaught = void;
  using executor_type = Executor;
  executor_type get_executor() const noexcept { return executor; }

  // Before its call begins, and before that goes away.
  void Enter(Call& call) const { Branches::Number(branch->record, call); }
  void Leave(Call& call) const { Branches::Ended(branch->record, call, race); }

  template <class R>
  void operator()(std::exception_ptr error, R result) const {
    branch->error = std::move(error);
    branch->result.emplace(std::move(result));
    race->Ended(*branch);
  }

  std::shared_ptr<ThisRace> race;
  typename ThisRace::Branch* branch;
  Executor executor;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_ASIO_INTERNAL_ASYNC_RACE_H_
