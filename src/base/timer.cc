#include "holdfast/base/timer.h"

namespace holdfast::internal {

void TimerQueue::Put(std::size_t place, const Entry& entry) {
  heap_[place] = entry;
  entry.timer->place_ = place;
}

// Finds the place of `entry` above or below `place`, which is free.
void TimerQueue::Settle(std::size_t place, const Entry& entry) {
  while (place > 0 && Before(entry, heap_[(place - 1) / 2])) {
    Put(place, heap_[(place - 1) / 2]);
    place = (place - 1) / 2;
  }
  for (std::size_t child = 2 * place + 1; child < heap_.size(); child = 2 * place + 1) {
    if (child + 1 < heap_.size() && Before(heap_[child + 1], heap_[child])) ++child;
    if (!Before(heap_[child], entry)) break;
    Put(place, heap_[child]);
    place = child;
  }
  Put(place, entry);
}

bool TimerQueue::Set(Timer& timer, TimePoint at) {
  const Entry entry{at, number_++, &timer};
  const bool was_set = timer.place_ != Timer::kNotSet;
  if (!was_set) {
    heap_.push_back(entry);
    timer.place_ = heap_.size() - 1;
  }
  Settle(timer.place_, entry);
  return was_set;
}

bool TimerQueue::Cancel(Timer& timer) {
  if (timer.place_ == Timer::kNotSet) return false;
  const std::size_t place = timer.place_;
  timer.place_ = Timer::kNotSet;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (place < heap_.size()) Settle(place, last);
  return true;
}

Waker& TimerQueue::RemoveFirst() {
  Timer& timer = *heap_.front().timer;
  Cancel(timer);
  return timer.waker_;
}

Waker& TimerQueue::RingFirst() {
  Waker& waker = RemoveFirst();
  waker.Wake();
  return waker;
}

}  // namespace holdfast::internal
