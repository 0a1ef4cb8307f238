// Which keys of a KeyedTokenBucket may be forgotten, and when.
//
// Model. A priority queue of keys by the time at which their buckets will be full again: a
// hierarchical timing wheel (Varghese and Lauck, 1987) without a timer, whose hand, base_, moves
// when somebody asks. Time is a number of 64 bits in digits of three. A key lies in the row of the
// highest digit in which its time differs from base_, and of the value of that digit: 22 levels of
// eight rows, in the order of time; row 0 has what is due. To pop is to take a key of row 0, or
// else to move the hand to the end of the first row, or to now, and to put the keys of that row
// where they belong then, which is a lower level each time.
//
// Late knowledge. A key that is used becomes full later than the queue knows. That costs nothing at
// the use; the queue asks `full_at` again when it comes to the key, and puts it further back. Only
// a key that becomes full earlier must be put in anew at once (KeyedShard::Enqueue).
//
// Cost. A look at a key that is not idle is paid for by a use since the look before, or by one of
// the 22 levels that it descends. So finding an idle key, or that there is none, takes constant
// time, amortized.
//
// Invariants:
//   - no key is full before the time under which it lies;
//   - a row is a doubly linked list through KeyState::next and `previous`; the first one's
//     `previous` is kHead + row, which no number of a key reaches;
//   - used_ has a bit for each row that holds a key; first_[row] is not after any time in it;
//   - earliest_ is not after the time of any key.
//
// Memory orders. One thread at a time, under the shard's mutex, but for earliest(): it is relaxed,
// since who reads it acts on it only under that mutex, or else refuses a request that might as well
// have come a little earlier.
#ifndef HOLDFAST_SRC_RATE_IDLE_QUEUE_H_
#define HOLDFAST_SRC_RATE_IDLE_QUEUE_H_

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "holdfast/base/time.h"
#include "src/rate/keyed_table.h"

namespace holdfast::internal {

// See above. One thread at a time, but for earliest().
class IdleQueue {
 public:
  IdleQueue() { rows_.fill(kNone); }

  // No key is idle before this.
  TimePoint earliest() const { return TimeOf(earliest_.load(std::memory_order_relaxed)); }

  void Push(KeyTable& keys, std::uint32_t key, TimePoint full_at) {
    PushAt(keys, key, CountOf(full_at));
  }
  void Remove(KeyTable& keys, std::uint32_t key);
  void Clear();

  // Takes a key out whose bucket is full; kNone if there is none. `now` never falls. `full_at` says
  // when a key's bucket will be full, TimePoint::max() for never.
  template <class FullAt>
  std::uint32_t Pop(KeyTable& keys, TimePoint now, FullAt full_at) {
    const std::uint64_t present = std::min(CountOf(now), kNever - 1);
    if (earliest_.load(std::memory_order_relaxed) > present) return kNone;
    for (;;) {
      while (rows_[kDue] != kNone) {
        const std::uint32_t key = rows_[kDue];
        const std::uint64_t at = CountOf(full_at(key));
        Remove(keys, key);
        if (at <= present) return key;
        PushAt(keys, key, at);
      }
      const std::size_t row = FirstRow();
      const std::uint64_t first = row == kDue ? kNever : first_[row];
      if (first > present) {
        earliest_.store(first, std::memory_order_relaxed);
        return kNone;
      }
      base_ = std::min(present, End(row));
      PushAnew(keys, row, full_at);
    }
  }

 private:
  // Time as a number that never falls below zero.
  static constexpr std::uint64_t kSign = std::uint64_t{1} << 63;
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};
  static std::uint64_t CountOf(TimePoint time) {
    return static_cast<std::uint64_t>(time.time_since_epoch().count()) ^ kSign;
  }
  static TimePoint TimeOf(std::uint64_t count) {
    return TimePoint(Duration(static_cast<Duration::rep>(count ^ kSign)));
  }

  // A row holds the keys whose times differ from base_ in one digit of three bits, and in none
  // above it: eight rows for each digit, in the order of time. The first one, which that leaves
  // empty, holds those that are due at base_.
  static constexpr std::size_t kDigitBits = 3;
  static constexpr std::size_t kDigits = 8;
  static constexpr std::size_t kRows = kDigits * ((64 + kDigitBits - 1) / kDigitBits);
  static constexpr std::size_t kDue = 0;
  // What `previous` is of the first in a row, plus the row.
  static constexpr std::uint32_t kHead = kNone - kRows;
  static_assert(kHead > KeyTable::kMaxKeys);

  std::size_t RowOf(std::uint64_t at) const {
    if (at <= base_) return kDue;
    const auto level = static_cast<std::size_t>(std::bit_width(at ^ base_) - 1) / kDigitBits;
    return level * kDigits + (at >> (level * kDigitBits)) % kDigits;
  }
  std::uint64_t End(std::size_t row) const {
    const std::size_t shift = row / kDigits * kDigitBits;
    const std::uint64_t above = kNever << shift << kDigitBits;  // the row's own digit
    const std::uint64_t below = (std::uint64_t{1} << shift) - 1;
    return (base_ & above) | std::uint64_t{row % kDigits} << shift | below;
  }
  std::size_t FirstRow() const;  // that holds any, kDue if none does

  void PushAt(KeyTable& keys, std::uint32_t key, std::uint64_t at);

  // Puts a row's keys where they belong by now.
  template <class FullAt>
  void PushAnew(KeyTable& keys, std::size_t row, FullAt full_at) {
    std::uint32_t key = rows_[row];
    rows_[row] = kNone;
    Mark(row, false);
    while (key != kNone) {
      const std::uint32_t next = keys[key].next;
      PushAt(keys, key, CountOf(full_at(key)));
      key = next;
    }
  }

  void Mark(std::size_t row, bool used) {
    std::uint64_t& word = used_[row / 64];
    const std::uint64_t bit = std::uint64_t{1} << (row % 64);
    word = used ? word | bit : word & ~bit;
  }

  std::array<std::uint32_t, kRows> rows_;   // the key at the head of each
  std::array<std::uint64_t, kRows> first_;  // of those that hold any: no time is before
  std::array<std::uint64_t, (kRows + 63) / 64> used_{};  // which ones hold any
  std::uint64_t base_ = 0;                               // how far the hand has come
  std::atomic<std::uint64_t> earliest_{kNever};
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_RATE_IDLE_QUEUE_H_
