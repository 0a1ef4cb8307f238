#include "src/http/housekeeper.h"

#include <openssl/crypto.h>

#include <cstdlib>
#include <utility>

#include "holdfast/base/internal/process.h"
#include "holdfast/base/internal/thread.h"

namespace holdfast::http::internal {
namespace {

using Housekeepers = holdfast::internal::PerProcess<Housekeeper>;

const Housekeepers& HousekeeperOfProcess() {
  // Leaked: connections may be kept while the process ends.
  static const auto& of_process = *new Housekeepers(std::make_shared<Housekeeper>());
  return of_process;
}

// A child of fork() has this one, too, and maybe no housekeeper.
void StopHousekeeper() {
  if (Housekeeper* const ours = HousekeeperOfProcess().IfOurs()) ours->Stop();
}

// What is registered last runs first, so OpenSSL registers its own before, if it has not yet.
bool RegisterStop() {
  (void)OPENSSL_init_crypto(0, nullptr);
  return std::atexit(StopHousekeeper) == 0;
}

}  // namespace

Housekeeper& Housekeeper::OfProcess() {
  [[maybe_unused]] static const bool registered = RegisterStop();
  return *HousekeeperOfProcess().Get();
}

void Housekeeper::Visit(const std::shared_ptr<Tidied>& whom, TimePoint at) {
  const std::lock_guard lock(mutex_);
  std::optional<Tidied::Visit>& visit = whom->visit_;
  if (stopped_ || (visit && visit->first <= at)) return;
  const auto made = visits_.emplace(Tidied::Visit(at, ++number_), whom).first;
  if (visit) visits_.erase(*visit);
  visit = made->first;
  if (running_) {
    if (made == visits_.begin()) changed_.notify_one();
    return;
  }
  try {
    Start();
  } catch (...) {
    visits_.erase(made);
    visit.reset();
    throw;
  }
}

void Housekeeper::Forget(Tidied& whom) noexcept {
  const std::lock_guard lock(mutex_);
  if (!whom.visit_) return;
  visits_.erase(*whom.visit_);
  whom.visit_.reset();
  if (visits_.empty()) changed_.notify_one();
}

void Housekeeper::Stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

std::size_t Housekeeper::visits() const {
  const std::lock_guard lock(mutex_);
  return visits_.size();
}

// The thread before is one that does nothing more than end.
void Housekeeper::Start() {
  if (thread_.joinable()) thread_.join();
  thread_ = holdfast::internal::StartThread([this] { Run(); });
  running_ = true;
}

void Housekeeper::Run() {
  std::unique_lock lock(mutex_);
  while (!stopped_ && !visits_.empty()) {
    const TimePoint now = holdfast::internal::ReadClock(nullptr);
    const TimePoint at = visits_.begin()->first.first;
    if (now < at) {
      changed_.wait_until(lock, at);
      continue;
    }
    auto node = visits_.extract(visits_.begin());
    std::shared_ptr<Tidied> whom = node.mapped().lock();
    if (whom == nullptr) continue;
    std::optional<Tidied::Visit>& visit = whom->visit_;
    visit.reset();
    lock.unlock();
    const TimePoint next = whom->TidyUp(now);
    lock.lock();
    // Meanwhile it may have asked for another one.
    if (next != TimePoint::max() && (!visit || next < visit->first)) {
      if (visit) visits_.erase(*visit);
      node.key() = Tidied::Visit(next, ++number_);
      visit = visits_.insert(std::move(node)).position->first;
    }
    lock.unlock();
    whom.reset();  // if it is destroyed by that, it calls Forget
    lock.lock();
  }
  running_ = false;
}

}  // namespace holdfast::http::internal
