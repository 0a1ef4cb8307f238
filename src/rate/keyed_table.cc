#include "src/rate/keyed_table.h"

#include <algorithm>
#include <bit>

namespace holdfast::internal {
namespace {

// A state and a slot, in arrays that have just grown by a quarter and by a half.
static_assert(sizeof(KeyState) * 5 / 4 + sizeof(std::uint32_t) * 2 <= KeyTable::kBytesPerKey);

}  // namespace

void KeyTable::Begin(std::int64_t max_keys, std::mutex* growing) {
  SetSlots(kFirstSlots);
  number_mask_ = (std::uint32_t{1} << std::bit_width(static_cast<std::uint64_t>(max_keys))) - 1;
  growing_ = growing;
}

std::uint32_t KeyTable::Insert(std::uint64_t fingerprint) {
  const bool no_state = free_ == kNone && states_.size() == states_.capacity();
  if (no_state || size_ == MostKeys(slots_.size())) Grow();
  std::uint32_t key = free_;
  if (key == kNone) {
    key = static_cast<std::uint32_t>(states_.size());
    states_.emplace_back();
  } else {
    free_ = states_[key].next;
  }
  states_[key] = {.fingerprint = fingerprint,
                  .spent = 0,
                  .limits = kNone,
                  .waiting = kNone,
                  .next = kNone,
                  .previous = kNone};
  Place((Tag(fingerprint) & ~number_mask_) | key);
  ++size_;
  return key;
}

// Empty ones; returns those that were.
std::vector<std::uint32_t> KeyTable::SetSlots(std::size_t size) {
  std::vector<std::uint32_t> slots(size, kNone);
  slots.swap(slots_);
  hinted_slots_.store(reinterpret_cast<std::uintptr_t>(slots_.data()), std::memory_order_relaxed);
  hinted_size_.store(size, std::memory_order_relaxed);
  return slots;
}

void KeyTable::Place(std::uint32_t slot) {
  std::size_t at = HomeOf(slot);
  while (slots_[at] != kNone) at = After(at);
  slots_[at] = slot;
}

// What must grow of the two.
void KeyTable::Grow() {
  const std::lock_guard lock(*growing_);
  if (free_ == kNone && states_.size() == states_.capacity()) {
    states_.reserve(states_.size() + states_.size() / 4 + kFirstSlots / 4);
  }
  if (size_ < MostKeys(slots_.size())) return;
  const std::vector<std::uint32_t> old = SetSlots(slots_.size() / 2 * 3);
  for (const std::uint32_t slot : old) {
    if (slot != kNone) Place(slot);
  }
}

// Those behind it move up, as far as none comes before its home: so no slot need be marked as one
// that was used.
void KeyTable::Erase(std::uint32_t key) {
  std::size_t hole = Home(states_[key].fingerprint);
  while (slots_[hole] == kNone || (slots_[hole] & number_mask_) != key) hole = After(hole);
  for (std::size_t at = After(hole); slots_[at] != kNone; at = After(at)) {
    if (Distance(HomeOf(slots_[at]), at) < Distance(hole, at)) continue;
    slots_[hole] = slots_[at];
    hole = at;
  }
  slots_[hole] = kNone;
  states_[key].next = free_;
  free_ = key;
  --size_;
}

void KeyTable::Clear() {
  std::fill(slots_.begin(), slots_.end(), kNone);
  states_.clear();
  free_ = kNone;
  size_ = 0;
}

}  // namespace holdfast::internal
