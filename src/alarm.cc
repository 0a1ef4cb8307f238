#include "holdfast/alarm.h"

namespace holdfast::internal {

void AlarmQueue::Put(std::size_t place, const Entry& entry) {
  heap_[place] = entry;
  entry.alarm->place_ = place;
}

// Finds the place of `entry` above or below `place`, which is free.
void AlarmQueue::Settle(std::size_t place, const Entry& entry) {
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

bool AlarmQueue::Set(Alarm& alarm, TimePoint at) {
  const Entry entry{at, number_++, &alarm};
  const bool was_set = alarm.place_ != Alarm::kNotSet;
  if (!was_set) {
    heap_.push_back(entry);
    alarm.place_ = heap_.size() - 1;
  }
  Settle(alarm.place_, entry);
  return was_set;
}

bool AlarmQueue::Cancel(Alarm& alarm) {
  if (alarm.place_ == Alarm::kNotSet) return false;
  const std::size_t place = alarm.place_;
  alarm.place_ = Alarm::kNotSet;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (place < heap_.size()) Settle(place, last);
  return true;
}

Waker& AlarmQueue::RemoveFirst() {
  Alarm& alarm = *heap_.front().alarm;
  Cancel(alarm);
  return alarm.waker_;
}

Waker& AlarmQueue::RingFirst() {
  Waker& waker = RemoveFirst();
  waker.Wake();
  return waker;
}

}  // namespace holdfast::internal
