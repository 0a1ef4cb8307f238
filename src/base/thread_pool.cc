#include "holdfast/base/thread_pool.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/process.h"
#include "holdfast/base/internal/refusals.h"
#include "holdfast/base/internal/thread.h"
#include "holdfast/base/internal/validate.h"

namespace holdfast {

absl::Status Validate(const ThreadPool::Options& options) {
  internal::OptionsChecker check("ThreadPool", options.name);
  check(options.max_threads >= 1 && options.max_threads <= ThreadPool::kMaxThreads,
        "max_threads must be in [1, ", ThreadPool::kMaxThreads, "], not ", options.max_threads);
  check(options.max_queue >= 0, "max_queue must be >= 0, not ", options.max_queue);
  return check.status();
}

struct ThreadPool::Shared {
  Shared(std::int64_t threads_at_most, std::int64_t queue_at_most)
      : max_threads(threads_at_most), max_queue(queue_at_most) {}

  // In a child of fork(): there are no threads, and what waits is the parent's to run.
  std::shared_ptr<Shared> MakeAnew() const {
    auto anew = std::make_shared<Shared>(max_threads, max_queue);
    anew->refused = refused;
    return anew;
  }
  void Abandon() noexcept {}

  // With the mutex held. Of the tasks, the first `usable` are as good as begun: free threads are on
  // their way to them.
  std::int64_t size() const { return static_cast<std::int64_t>(tasks.size()); }
  std::int64_t usable() const {
    return std::max<std::int64_t>(std::min(free, max_threads - running), 0);
  }
  std::int64_t idle() const { return std::max<std::int64_t>(usable() - size(), 0); }
  std::int64_t queued() const { return std::max<std::int64_t>(size() - usable(), 0); }
  bool may_start() const { return !stopping && std::ssize(threads) < max_threads; }

  // Queues the task, for which it starts a thread if none is idle; false if it refuses it.
  static bool Take(const std::shared_ptr<Shared>& shared, absl::AnyInvocable<void()>& task);

  // Starts a thread, which is free from the beginning; false if the system has none.
  static bool StartThread(const std::shared_ptr<Shared>& shared);
  static void Change(const std::shared_ptr<Shared>& shared, std::int64_t threads_at_most,
                     std::int64_t queue_at_most);
  void Work();

  mutable std::mutex mutex;
  std::int64_t max_threads;
  std::int64_t max_queue;
  std::condition_variable bell;
  std::deque<absl::AnyInvocable<void()>> tasks;
  std::vector<std::thread> threads;
  std::int64_t free = 0;     // threads that run no task
  std::int64_t running = 0;  // those that run one
  std::uint64_t refused = 0;
  bool stopping = false;
};

bool ThreadPool::Shared::Take(const std::shared_ptr<Shared>& shared,
                              absl::AnyInvocable<void()>& task) {
  if (shared->stopping) return false;
  if (shared->idle() == 0 && !(shared->may_start() && StartThread(shared)) &&
      (shared->threads.empty() || shared->queued() >= shared->max_queue)) {
    return false;
  }
  shared->tasks.push_back(std::move(task));
  shared->bell.notify_one();
  return true;
}

bool ThreadPool::Shared::StartThread(const std::shared_ptr<Shared>& shared) {
  try {
    shared->threads.reserve(shared->threads.size() + 1);  // a thread must not be dropped
    shared->threads.push_back(internal::StartThread([shared] { shared->Work(); }));
  } catch (const std::system_error&) {
    return false;
  } catch (const std::bad_alloc&) {
    return false;
  }
  ++shared->free;
  return true;
}

void ThreadPool::Shared::Change(const std::shared_ptr<Shared>& shared, std::int64_t threads_at_most,
                                std::int64_t queue_at_most) {
  const std::lock_guard lock(shared->mutex);
  shared->max_threads = threads_at_most;
  shared->max_queue = queue_at_most;
  while (shared->queued() > 0 && shared->may_start() && StartThread(shared)) {
  }
  shared->bell.notify_all();
}

void ThreadPool::Shared::Work() {
  const std::uint32_t generation = internal::ProcessGeneration();
  std::unique_lock lock(mutex);
  for (;;) {
    const auto may_run = [this] { return !tasks.empty() && running < max_threads; };
    bell.wait(lock, [&] { return stopping || may_run(); });
    if (!may_run()) return;  // what is left is for those that run one
    --free;
    ++running;
    absl::AnyInvocable<void()> task = std::move(tasks.front());
    tasks.pop_front();
    lock.unlock();
    try {
      task();
    } catch (...) {  // NOLINT(bugprone-empty-catch): nobody is there to hear of it
    }
    task = nullptr;  // what it owned may be the pool
    // It forked, and this is the child, whose only thread ends.
    if (generation != internal::ProcessGeneration()) return;
    lock.lock();
    --running;
    ++free;
  }
}

ThreadPool::ThreadPool(Options options)
    : name_(options.name),
      refusal_(internal::Refusal(absl::StatusCode::kResourceExhausted, RejectionKind::kBulkheadFull,
                                 "ThreadPool", options.name, "no thread for the task")),
      shared_(std::make_unique<internal::PerProcess<Shared>>(
          std::make_shared<Shared>(internal::Validated(options).max_threads, options.max_queue))) {}

ThreadPool::~ThreadPool() {
  Shared* const shared = shared_->IfOurs();
  if (shared == nullptr) return;
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(shared->mutex);
    shared->stopping = true;
    threads.swap(shared->threads);
  }
  shared->bell.notify_all();
  for (std::thread& thread : threads) {
    if (thread.get_id() == std::this_thread::get_id()) {
      thread.detach();
    } else {
      thread.join();
    }
  }
}

bool ThreadPool::TryRun(absl::AnyInvocable<void()> task) {
  const std::shared_ptr<Shared>& shared = shared_->Get();
  const std::lock_guard lock(shared->mutex);
  const bool taken = Shared::Take(shared, task);
  if (!taken) ++shared->refused;
  return taken;
}

absl::StatusOr<internal::Commit> ThreadPool::PrepareUpdate(Options options) {
  if (absl::Status status = internal::KeepNameAndValidate("ThreadPool", name_, nullptr, options);
      !status.ok()) {
    return status;
  }
  return [mine = shared_->Get(), max_threads = options.max_threads, max_queue = options.max_queue] {
    Shared::Change(mine, max_threads, max_queue);
  };
}

ThreadPool::Options ThreadPool::options() const {
  const Shared& shared = *shared_->Get();
  const std::lock_guard lock(shared.mutex);
  return {.max_threads = shared.max_threads, .max_queue = shared.max_queue, .name = name_};
}

std::int64_t ThreadPool::threads() const {
  const Shared& shared = *shared_->Get();
  const std::lock_guard lock(shared.mutex);
  return std::ssize(shared.threads);
}

std::int64_t ThreadPool::idle() const {
  const Shared& shared = *shared_->Get();
  const std::lock_guard lock(shared.mutex);
  return shared.idle();
}

std::int64_t ThreadPool::queued() const {
  const Shared& shared = *shared_->Get();
  const std::lock_guard lock(shared.mutex);
  return shared.queued();
}

std::uint64_t ThreadPool::refused() const {
  const Shared& shared = *shared_->Get();
  const std::lock_guard lock(shared.mutex);
  return shared.refused;
}

}  // namespace holdfast
