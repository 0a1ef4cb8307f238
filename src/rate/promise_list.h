// The promises made without the mutex of a TokenBucket: a lock-free list (Treiber's stack).
//
// A promise is pushed before the compare-and-swap that grants it, and marked as made or void after
// it. So whoever locks the bucket, and thereby ends all compare-and-swaps, finds every granted
// promise in the list, and has but to wait for marks.
//
// Memory orders. The push is a release and the taking of the list an acquire, so the taker sees a
// promise's links. The mark is a release and its reading an acquire, so whoever reads the mark sees
// the other fields, which the maker wrote before it. The list is only ever taken as a whole, hence
// there is no ABA problem. added_ is a mere count, and relaxed.
#ifndef HOLDFAST_SRC_RATE_PROMISE_LIST_H_
#define HOLDFAST_SRC_RATE_PROMISE_LIST_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "src/rate/token_schedule.h"

namespace holdfast::internal {

// Of tokens that are still to be taken, or are taken already.
std::shared_ptr<Promise> NewPromise(std::int64_t tokens, std::uint32_t forgiven);

// Lock-free, except for the thread that takes the list, which is one at a time.
class PromiseList {
 public:
  PromiseList() = default;
  PromiseList(const PromiseList&) = delete;
  PromiseList& operator=(const PromiseList&) = delete;
  ~PromiseList();

  // True now and then, when it is time to look for what can be forgotten.
  bool Add(const std::shared_ptr<Promise>& promise);

  // Hands what was made to the schedule; what is still being made is waited for, or else stays.
  void MoveTo(TokenSchedule& schedule, bool wait);

 private:
  void Push(Promise* promise);

  std::atomic<Promise*> newest_{nullptr};
  std::atomic<int> added_{0};  // since it was last time to look
};

// A promise on its way: void unless it is finished.
class Draft {
 public:
  Draft() = default;
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;
  ~Draft() {
    if (promise_ != nullptr) Mark(Promise::State::kVoid);
  }

  explicit operator bool() const { return promise_ != nullptr; }
  Promise* operator->() const { return promise_.get(); }
  const std::shared_ptr<Promise>& pointer() const { return promise_; }

  void Begin(std::int64_t tokens, std::uint32_t forgiven) {
    promise_ = NewPromise(tokens, forgiven);
  }
  std::shared_ptr<Promise> Finish() {
    Mark(Promise::State::kMade);
    return std::move(promise_);
  }

 private:
  void Mark(Promise::State state) { promise_->state.store(state, std::memory_order_release); }

  std::shared_ptr<Promise> promise_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_RATE_PROMISE_LIST_H_
