// A ThreadPool runs tasks that nobody need wait for: attempts that their caller may walk away from.
//
//   holdfast::ThreadPool pool({.max_threads = 8});
//   if (!pool.TryRun([] { Connect(); })) log(pool.refusal().message());
//
// Most callers hand one to Hedge or to Timeout.
#ifndef HOLDFAST_BASE_THREAD_POOL_H_
#define HOLDFAST_BASE_THREAD_POOL_H_

#include <absl/functional/any_invocable.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "holdfast/base/internal/changes.h"

namespace holdfast {

namespace internal {
template <class T>
class PerProcess;
}

// Starts a thread when there is a task and no idle one to take it, up to `max_threads`, and only
// then lets tasks wait: so as many tasks as that run at once, even if none of them ever ends. Tasks
// that wait begin in the order in which they came. Threads stay until the pool is destroyed.
//
// Thread-safe; tasks may use the pool that they run in. What a task throws is swallowed. The
// threads block all signals (internal/thread.h), which a program that a task executes takes over.
//
// In a child of fork() a pool begins anew, without threads: what ran and what waited is the
// parent's. A task that forks must end the child, or let it execute a program, before it returns:
// the child's only thread ends with it.
class ThreadPool {
 public:
  struct Options {
    std::int64_t max_threads = 64;  // 1 to kMaxThreads
    // Tasks that wait while every thread is busy; >= 0. A few, since where every thread hangs those
    // wait for nothing; not none, since a task's result is known before its thread is free again.
    std::int64_t max_queue = 64;
    std::string name = {};  // for messages
  };
  static constexpr std::int64_t kMaxThreads = 4096;

  // Starts no thread. Throws std::invalid_argument with the text of Validate.
  explicit ThreadPool(Options options);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Takes no more tasks, runs those that wait, and returns when all have ended: a task that never
  // ends keeps it waiting. It may run in a thread of the pool, where a task drops the last
  // reference to it: then it awaits the other threads, and its own goes on when that task has
  // returned, if need be with tasks that wait (these can't use the pool any more).
  ~ThreadPool();

  // Runs `task`, which must not be empty, in a thread of the pool. False, with the task destroyed
  // and not run, if all threads are busy and max_queue tasks wait, while the pool is being
  // destroyed, or if the system gives it no first thread.
  bool TryRun(absl::AnyInvocable<void()> task);

  // For callers to return when TryRun is false: a rejection, kResourceExhausted.
  const absl::Status& refusal() const { return refusal_; }

  // Replaces the options, all of them, while tasks run. More threads take tasks that wait at once,
  // as far as the system has them. Of too many threads those that run a task go on until that has
  // ended, and then no more than the new max_threads run one at once; the others stay, idle. Tasks
  // that wait stay, whatever the new max_queue. The name stays: left out it is as before, and
  // another is refused. kInvalidArgument, with nothing changed, for that and for what Validate
  // refuses.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // Those of now: to change one, change a copy of them.
  Options options() const;
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options);

  std::int64_t threads() const;  // that were started
  std::int64_t idle() const;     // of them, those that could take a task
  std::int64_t queued() const;   // tasks that wait for a thread
  const std::string& name() const { return name_; }

 private:
  struct Shared;
  static std::shared_ptr<Shared> MakeShared(Options options);

  const std::string name_;
  const absl::Status refusal_;
  // Its threads hold it too: one that destroys the pool goes on after that.
  const std::unique_ptr<internal::PerProcess<Shared>> shared_;
};

absl::Status Validate(const ThreadPool::Options& options);

}  // namespace holdfast

#endif  // HOLDFAST_BASE_THREAD_POOL_H_
