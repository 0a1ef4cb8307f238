#include "src/rate/idle_queue.h"

namespace holdfast::internal {

std::size_t IdleQueue::FirstRow() const {
  for (std::size_t word = 0; word < used_.size(); ++word) {
    if (used_[word] != 0)
      return word * 64 + static_cast<std::size_t>(std::countr_zero(used_[word]));
  }
  return kDue;
}

void IdleQueue::PushAt(KeyTable& keys, std::uint32_t key, std::uint64_t at) {
  const std::size_t row = RowOf(at);
  KeyState& state = keys[key];
  state.next = rows_[row];
  state.previous = kHead + static_cast<std::uint32_t>(row);
  if (state.next != kNone) keys[state.next].previous = key;
  first_[row] = state.next == kNone ? at : std::min(first_[row], at);
  rows_[row] = key;
  Mark(row, true);
  if (at < earliest_.load(std::memory_order_relaxed)) {
    earliest_.store(at, std::memory_order_relaxed);
  }
}

void IdleQueue::Remove(KeyTable& keys, std::uint32_t key) {
  const KeyState& state = keys[key];
  if (state.next != kNone) keys[state.next].previous = state.previous;
  if (state.previous < kHead) {
    keys[state.previous].next = state.next;
    return;
  }
  const std::size_t row = state.previous - kHead;
  rows_[row] = state.next;
  if (state.next == kNone) Mark(row, false);
}

void IdleQueue::Clear() {
  rows_.fill(kNone);
  used_.fill(0);
  earliest_.store(kNever, std::memory_order_relaxed);
}

}  // namespace holdfast::internal
