#include "stats.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace demo {

Recorder::Recorder(std::string client, holdfast::TimePoint began) : began_(began) {
  run_.client = std::move(client);
}

void Recorder::Call(holdfast::TimePoint due, const std::string& failure) {
  const holdfast::Duration now = Elapsed();
  std::lock_guard lock(mutex_);
  run_.calls.push_back({.due = due - began_, .done = now, .ok = failure.empty()});
  if (failure.empty()) return;
  ++run_.failures[failure];
  ++failed_;
}

void Recorder::Attempt() {
  const holdfast::Duration now = Elapsed();
  std::lock_guard lock(mutex_);
  run_.attempts.push_back(now);
}

void Recorder::RefusedAttempt(const std::string& policy) {
  std::lock_guard lock(mutex_);
  ++run_.refused_attempts[policy];
}

void Recorder::RefusedCall(const std::string& policy) {
  std::lock_guard lock(mutex_);
  ++run_.refused_calls[policy];
}

void Recorder::Breaker(holdfast::BreakerState to) {
  const holdfast::Duration now = Elapsed();
  std::lock_guard lock(mutex_);
  run_.changes.push_back({.at = now, .to = to});
}

Progress Recorder::progress() const {
  std::lock_guard lock(mutex_);
  return {
      .elapsed = std::max(Elapsed(), holdfast::Duration::zero()),
      .ok = static_cast<int>(run_.calls.size()) - failed_,
      .failed = failed_,
      .breaker = run_.changes.empty() ? holdfast::BreakerState::kClosed : run_.changes.back().to};
}

Run Recorder::TakeRun() && {
  std::lock_guard lock(mutex_);
  return std::move(run_);
}

int CountOk(const Run& run) {
  return static_cast<int>(std::ranges::count_if(run.calls, &CallRecord::ok));
}

int Sum(const Tally& tally) {
  int sum = 0;
  for (const auto& [key, count] : tally) sum += count;
  return sum;
}

holdfast::Duration Latency(const Run& run, double quantile) {
  std::vector<holdfast::Duration> latencies;
  for (const CallRecord& call : run.calls) {
    if (call.ok) latencies.push_back(call.done - call.due);
  }
  if (latencies.empty()) return {};
  std::ranges::sort(latencies);
  // The nearest rank: the smallest that at least this share of them does not exceed.
  const double rank = std::ceil(quantile * static_cast<double>(latencies.size()));
  return latencies[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

double Seconds(holdfast::Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace demo
