// The blocking driver below a policy that forks: branches of a call run in a thread pool, and the
// caller waits for them no longer than it must.
#ifndef HOLDFAST_DRIVER_INTERNAL_BLOCKING_FORK_H_
#define HOLDFAST_DRIVER_INTERNAL_BLOCKING_FORK_H_

#include <absl/status/status.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "holdfast/base/internal/validate.h"
#include "holdfast/base/result.h"
#include "holdfast/base/thread_pool.h"
#include "holdfast/driver/fork.h"
#include "holdfast/driver/internal/blocking_call.h"
#include "holdfast/driver/race.h"

namespace holdfast::internal {

// What runs of a branch in a thread of the pool.
template <class R, class Policies>
struct BlockingBranch {
  BlockingBranch(Policies& policies, CallOptions call_options, Clock* clock)
      : options(std::move(call_options)), call(options, clock), machine(policies, call) {}

  CallOptions options;
  BlockingCall call;
  typename MachineOver<R, Policies>::type machine;
};

template <class R, class Below, class... Args>
class BlockingRace final : public driver::Race<R, BlockingBranch<R, decltype(Below::policies)>>,
                           public std::enable_shared_from_this<BlockingRace<R, Below, Args...>> {
 public:
  template <class... A>
  BlockingRace(std::shared_ptr<Below> below, BlockingCall& call, A&&... args)
      : Base(call, call.waker()), below_(std::move(below)), args_(std::forward<A>(args)...) {}

  // Sends branches, and waits for them while there is time.
  template <class Fork>
  R Run(const Fork& fork, BlockingCall& call) {
    const GiveUpAtEnd guard{*this};
    const auto send = [&](Branch& branch) { return Send(branch, *fork.pool(), call.clock()); };
    if (!this->Begin(fork, call, send)) {
      return ResultTraits<R>::FromStatus(fork.pool()->refusal());
    }
    const auto stopped = [&call] { return call.stop().stop_requested(); };
    while (!this->Poll(fork, call, stopped(), send)) {
      if (this->must_stay()) {
        call.AwaitEnd();
      } else {
        call.Await(this->NextPollAt(call));
      }
    }
    return this->Resolve(stopped(), this->shared_from_this());
  }

 private:
  using Base = driver::Race<R, BlockingBranch<R, decltype(Below::policies)>>;
  using Branch = typename Base::Branch;

  // However Run ends, nobody rings the caller after that.
  struct GiveUpAtEnd {
    BlockingRace& race;
    ~GiveUpAtEnd() { race.GiveUp(race.shared_from_this()); }
  };

  bool Send(Branch& branch, ThreadPool& pool, Clock* clock) {
    branch.running.emplace(below_->policies, this->OptionsOf(branch), clock);
    branch.running->call.SetExecutor(below_->executor);
    std::apply([&](const Args&... args) { branch.running->call.SetRequest(args...); }, args_);
    return pool.TryRun([self = this->shared_from_this(), &branch] { self->Work(branch); });
  }

  // In a thread of the pool. A branch for which it was too late before it began does not begin.
  void Work(Branch& branch) {
    BlockingCall& call = branch.running->call;
    Branches::Number(branch.record, call);
    call.SetMeter(*below_->meter, below_->first_policy);
    if (!this->CallerWaiting()) branch.stop.request_stop();
    try {
      Walk(branch.running->machine, call, [&] { return Execute(branch); });
      branch.result.emplace(std::move(branch.running->machine).TakeResult());
    } catch (...) {
      branch.error = std::current_exception();
      branch.running->machine.Drop();  // while what is below still lives
    }
    Branches::Ended(branch.record, call, this->shared_from_this());
    Base::Ended(branch);
  }

  // What was asked to stop is neutral.
  driver::Step Execute(Branch& branch) {
    const auto stopped = [&branch] { return branch.stop.stop_requested(); };
    return ExecuteUnless(stopped, branch.running->machine, [&]() -> R {
      return std::apply(
          [&](const Args&... args) {
            return Attempt<const Args&...>(below_->executor, branch.running->call, args...);
          },
          args_);
    });
  }

  const std::shared_ptr<Below> below_;
  const std::tuple<Args...> args_;
};

template <class... Args, class Fork, class Policies, class Executor>
typename AttemptResult<ParallelAttempts<Fork, Policies, Executor>, Args...>::type Attempt(
    ParallelAttempts<Fork, Policies, Executor>& forked, BlockingCall& call, Args... args) {
  static_assert(CheckWord<Fork, Args...>());
  static_assert(CheckCopies<Args...>());
  static_assert((std::is_copy_constructible_v<std::decay_t<Args>> && ...),
                "below a policy that forks (Hedge, Timeout with a pool) each branch has copies of "
                "the arguments: pass one that can't be copied in a std::shared_ptr");
  using ForkedExecutor = ParallelAttempts<Fork, Policies, Executor>;
  using R = typename AttemptResult<ForkedExecutor, Args...>::type;
  using ThisRace = BlockingRace<R, typename ForkedExecutor::Below, std::decay_t<Args>...>;
  return std::make_shared<ThisRace>(forked.below, call, args...)->Run(forked.fork, call);
}

// Throws std::invalid_argument where a fork has no pool, or has the pool of one above it, whose
// branches would wait for threads that they hold themselves.
template <class Executor>
void CheckForks(const Executor&, const std::vector<const ThreadPool*>& = {}) {}
template <class Fork, class Policies, class Executor>
void CheckForks(const ParallelAttempts<Fork, Policies, Executor>& forked,
                std::vector<const ThreadPool*> above = {}) {
  const ThreadPool* const pool = forked.fork.pool();
  const std::string name(PolicyName<Fork>());
  if (pool == nullptr) {
    ThrowIfInvalid(absl::InvalidArgumentError(name + ": the blocking driver needs a thread pool"));
  }
  if (std::ranges::find(above, pool) != above.end()) {
    ThrowIfInvalid(absl::InvalidArgumentError(
        name + ": its thread pool runs a policy above it already; give it one of its own"));
  }
  above.push_back(pool);
  CheckForks(forked.below->executor, std::move(above));
}

}  // namespace holdfast::internal

#endif  // HOLDFAST_DRIVER_INTERNAL_BLOCKING_FORK_H_
