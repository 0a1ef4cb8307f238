#include "load.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace demo {
namespace {

holdfast::Duration Arrival(const Options& options, int request) {
  return std::chrono::duration_cast<holdfast::Duration>(
      std::chrono::duration<double>(request / options.rate));
}

// False if stopped before that.
bool SleepUntil(holdfast::TimePoint until, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any bell;
  std::unique_lock lock(mutex);
  bell.wait_until(lock, stop, until, [] { return false; });
  return !stop.stop_requested();
}

}  // namespace

holdfast::Duration Span(const Options& options) { return Arrival(options, options.requests); }

void RunLoad(const Options& options, const std::function<Send()>& make_send, Recorder& recorder,
             const std::stop_token& stop) {
  std::atomic<int> next{0};  // the next request to take; relaxed, only the number matters
  const auto work = [&](const Send& send) {
    for (;;) {
      const int request = next.fetch_add(1, std::memory_order_relaxed);
      if (request >= options.requests) return;
      const holdfast::TimePoint due = recorder.began() + Arrival(options, request);
      if (!SleepUntil(due, stop)) return;
      const std::string failure = send(due, stop);
      if (stop.stop_requested()) return;
      recorder.Call(due, failure);
    }
  };
  std::vector<std::jthread> workers;
  workers.reserve(static_cast<std::size_t>(options.concurrency));
  for (int i = 0; i < options.concurrency; ++i) workers.emplace_back(work, make_send());
}

}  // namespace demo
