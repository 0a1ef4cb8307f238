#include "src/rate/promise_list.h"

#include <thread>
#include <utility>

#include "src/rate/recycling.h"

namespace holdfast::internal {
namespace {

constexpr int kAddedToLook = 2;

}  // namespace

std::shared_ptr<Promise> NewPromise(std::int64_t tokens, std::uint32_t forgiven) {
  auto promise = std::allocate_shared<Promise>(Recycling<Promise>());
  promise->tokens = tokens;
  promise->forgiven = forgiven;
  return promise;
}

PromiseList::~PromiseList() {
  for (Promise* promise = newest_.load(std::memory_order_acquire); promise != nullptr;) {
    const std::shared_ptr<Promise> gone = std::move(promise->self);
    promise = promise->next;
  }
}

bool PromiseList::Add(const std::shared_ptr<Promise>& promise) {
  promise->self = promise;
  Push(promise.get());
  if (added_.fetch_add(1, std::memory_order_relaxed) + 1 < kAddedToLook) return false;
  added_.store(0, std::memory_order_relaxed);
  return true;
}

void PromiseList::Push(Promise* promise) {
  promise->next = newest_.load(std::memory_order_relaxed);
  while (!newest_.compare_exchange_weak(promise->next, promise, std::memory_order_release,
                                        std::memory_order_relaxed)) {
  }
}

void PromiseList::MoveTo(TokenSchedule& schedule, bool wait) {
  Promise* oldest = nullptr;
  for (Promise* promise = newest_.exchange(nullptr, std::memory_order_acquire);
       promise != nullptr;) {
    Promise* const next = std::exchange(promise->next, oldest);
    oldest = std::exchange(promise, next);
  }
  while (oldest != nullptr) {
    Promise* const promise = std::exchange(oldest, oldest->next);
    promise->next = nullptr;
    const auto state = [promise] { return promise->state.load(std::memory_order_acquire); };
    while (wait && state() == Promise::State::kMaking) std::this_thread::yield();
    const Promise::State seen = state();
    if (seen == Promise::State::kMaking) {
      Push(promise);
      continue;
    }
    std::shared_ptr<Promise> listed = std::move(promise->self);
    if (seen == Promise::State::kMade) schedule.Insert(std::move(listed));
  }
}

}  // namespace holdfast::internal
