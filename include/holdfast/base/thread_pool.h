// A ThreadPool runs tasks in threads of its own. Hedge and Timeout run attempts in one, so that a
// call can go on without an attempt that is still running.
//
//   holdfast::ThreadPool pool({.max_threads = 8});
//   if (!pool.TryRun([] { Connect(); })) log(pool.refusal().message());
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

// A task for which no thread is idle starts a new thread, until there are `max_threads`; only then
// do tasks wait in a queue, first in, first out. So `max_threads` tasks run at the same time even
// if none of them ever ends. Threads stay until the pool is destroyed.
//
// Thread-safe; a task may use the pool that it runs in. An exception that leaves a task is dropped.
// The threads block all signals (internal/thread.h); a program that a task executes inherits that.
//
// In a child of fork() the pool has no threads and an empty queue, and starts new threads as
// needed; running and queued tasks belong to the parent. A task that forks must end the child, or
// execute a program in it, before the task returns: the child's only thread ends with the task.
class ThreadPool {
 public:
  struct Options {
    std::int64_t max_threads = 64;  // 1 to kMaxThreads
    // How many tasks may wait while every thread is busy; >= 0. Keep it small, since tasks behind
    // threads that hang wait in vain. With 0, a task may be refused right after another one was
    // seen to end, as a result is known a moment before the thread is idle.
    std::int64_t max_queue = 64;
    std::string name = {};  // for messages
  };
  static constexpr std::int64_t kMaxThreads = 4096;

  // Starts no thread. Throws std::invalid_argument with the text of Validate.
  explicit ThreadPool(Options options);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Accepts no more tasks, runs the queued ones, and returns when all tasks have ended; it waits
  // for ever for a task that never ends. The destructor may run inside a task, which drops the last
  // reference to the pool. It then joins all other threads; this thread exits after the task and
  // any queued tasks, which can't use the pool any more.
  ~ThreadPool();

  // Runs `task`, which must not be empty, in a thread of the pool. Returns false, with the task
  // destroyed and not run, if all threads are busy and max_queue tasks wait, if the pool is being
  // destroyed, or if the pool has no thread and the system can't start one.
  [[nodiscard]] bool TryRun(absl::AnyInvocable<void()> task);

  // The rejection to return when TryRun returned false: kResourceExhausted.
  const absl::Status& refusal() const { return refusal_; }

  // Replaces all options while tasks run. With a larger max_threads, queued tasks start at once, as
  // far as the system can start threads. With a smaller one, running tasks go on to their end,
  // after which no more than max_threads tasks run at the same time; surplus threads stay idle.
  // Queued tasks stay queued, whatever the new max_queue. The name can't change: an empty one keeps
  // it. Returns kInvalidArgument, with nothing changed, for another name and for options that
  // Validate refuses.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // Returns the options in force. To change one field, change it in a copy of these and Update.
  Options options() const;
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options);

  std::int64_t threads() const;   // started threads
  std::int64_t idle() const;      // started threads that could take a task
  std::int64_t queued() const;    // tasks that wait for a thread
  std::uint64_t refused() const;  // tasks that TryRun refused since the pool was made
  const std::string& name() const { return name_; }

 private:
  struct Shared;

  const std::string name_;
  const absl::Status refusal_;
  // Its threads hold it too: one that destroys the pool goes on after that.
  const std::unique_ptr<internal::PerProcess<Shared>> shared_;
};

absl::Status Validate(const ThreadPool::Options& options);

}  // namespace holdfast

#endif  // HOLDFAST_BASE_THREAD_POOL_H_
