#include "src/http/net/lookup_table.h"

#include <absl/status/status.h>

#include <algorithm>
#include <new>

namespace holdfast::http::internal {
namespace {

LookupResult WithPort(const LookupResult& result, int port) noexcept {
  try {
    LookupResult copy = result;
    if (copy.ok()) {
      for (Address& address : *copy) address = address.WithPort(port);
    }
    return copy;
  } catch (const std::bad_alloc&) {
    return absl::Status(absl::StatusCode::kResourceExhausted, "");  // without a text: no memory
  }
}

}  // namespace

void LookupRequest::Answer(const LookupResult& result) noexcept {
  const std::lock_guard lock(mutex_);
  if (!callback_) return;
  LookupCallback callback = std::exchange(callback_, nullptr);
  try {
    callback(WithPort(result, port_));
  } catch (...) {  // NOLINT(bugprone-empty-catch): nobody is there to hear of it
  }
}

void LookupRequest::Abandon() {
  const std::lock_guard lock(mutex_);
  callback_ = nullptr;
}

LookupTable::Admission LookupTable::Ask(const std::shared_ptr<LookupRequest>& request,
                                        TimePoint now) {
  if (stuck(now)) return Admission::kStuck;
  const std::uint64_t number = number_ + 1;
  const auto found = lookups_.find(request->host());
  if (found != lookups_.end()) {
    found->second.waiting.emplace(number, request);
  } else {
    // Those for which a thread is free or will be started do not wait.
    if (queue_.size() + running_ >= limits_.max_queued + limits_.max_running) {
      return Admission::kFull;
    }
    std::map<std::string, Lookup> made;
    made[request->host()].waiting.emplace(number, request);
    queue_.push_back(request->host());
    lookups_.merge(made);
  }
  request->number_ = number_ = number;
  return Admission::kAdmitted;
}

void LookupTable::Leave(const LookupRequest& request) {
  const auto found = lookups_.find(request.host());
  if (found == lookups_.end()) return;
  Lookup& lookup = found->second;
  lookup.waiting.erase(request.number_);
  if (lookup.running || !lookup.waiting.empty()) return;
  queue_.erase(std::find(queue_.begin(), queue_.end(), request.host()));
  lookups_.erase(found);
}

std::optional<std::string> LookupTable::Begin(TimePoint now) {
  if (queue_.empty() || running_ >= limits_.max_running) return std::nullopt;
  std::string host = std::move(queue_.front());
  queue_.pop_front();
  Lookup& lookup = lookups_.find(host)->second;
  lookup.running = true;
  lookup.began = now;
  ++running_;
  return host;
}

LookupRequests LookupTable::End(const std::string& host) {
  const auto found = lookups_.find(host);
  LookupRequests waiting = std::move(found->second.waiting);
  lookups_.erase(found);
  --running_;
  return waiting;
}

LookupRequests LookupTable::TakeAll() {
  LookupRequests waiting;
  for (auto& [host, lookup] : lookups_) waiting.merge(lookup.waiting);
  for (const std::string& host : queue_) lookups_.erase(host);
  queue_.clear();
  return waiting;
}

bool LookupTable::stuck(TimePoint now) const {
  if (running_ < limits_.max_running) return false;
  return std::all_of(lookups_.begin(), lookups_.end(), [&](const auto& entry) {
    return !entry.second.running || now - entry.second.began >= limits_.stuck_after;
  });
}

}  // namespace holdfast::http::internal
