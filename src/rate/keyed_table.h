// The keys of one shard of a KeyedTokenBucket, found by their fingerprints.
//
// Model. Two arrays: `states_` has what is remembered of each key, 32 bytes, at a number that stays
// the key's until it is erased; `slots_` is an open hash table of these numbers, 4 bytes a slot,
// small enough to stay in a cache. The lower half of a fingerprint says where in the table a key
// belongs (its home, by multiplication instead of division); the upper half fills the bits of a
// slot that its number leaves free, so that Find reads a state only where these bits agree. A key
// lies at its home, or in the next free slot behind it (linear probing).
//
// Invariants:
//   - between a key's home and its slot no slot is empty: so Find may stop at the first empty one.
//     Erase keeps it so by moving later keys up into the hole, and needs no mark for slots once
//     used;
//   - at most three quarters of the slots are used: the table grows by half at that point;
//   - numbers of erased keys are in the list that begins at free_, linked by `next`.
//
// Memory. After it grew a table may be half empty; tables that share a mutex (`growing`) grow one
// at a time, so that of all shards only one has two tables at once. That is what KeyedTokenBucket's
// bound of kBytesPerKey counts on.
//
// Threads. One at a time, under the shard's mutex, but for Prefetch: it computes an address from
// two relaxed atomics, which may be of two tables or of one that is gone, and only hints at it.
#ifndef HOLDFAST_SRC_RATE_KEYED_TABLE_H_
#define HOLDFAST_SRC_RATE_KEYED_TABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

namespace holdfast::internal {

// Where a number of a key, of limits or of a queue would be, and there is none.
constexpr std::uint32_t kNone = 0xffffffff;

// All that is remembered of a key, but for the promises while somebody waits: half a line of a
// cache.
struct alignas(32) KeyState {
  std::uint64_t fingerprint;
  std::int64_t spent;      // the position on its axis up to which all is spent, while nobody waits
  std::uint32_t limits;    // the number of its axis
  std::uint32_t waiting;   // the number of its schedule; kNone while nobody waits
  std::uint32_t next;      // in its row of the IdleQueue, or among the free ones
  std::uint32_t previous;  // in its row; kNone before it is in one
};
static_assert(sizeof(KeyState) == 32);

// See above. One thread at a time.
class KeyTable {
 public:
  static constexpr std::int64_t kMaxKeys = std::int64_t{1} << 30;
  // Of each key, at most; and once more while the table grows, which it does by making a larger
  // one.
  static constexpr std::size_t kBytesPerKey = 48;
  static constexpr std::size_t kFewBytes = 512;

  // For at most `max_keys`. Tables that share `growing` do so one at a time.
  void Begin(std::int64_t max_keys, std::mutex* growing);

  std::size_t size() const { return size_; }
  KeyState& operator[](std::uint32_t key) { return states_[key]; }
  const KeyState& operator[](std::uint32_t key) const { return states_[key]; }

  // Has the memory look for what Find is going to read. For any thread, at any time: what it goes
  // by may be out of date, and then nothing is gained. Hence relaxed.
  void Prefetch(std::uint64_t fingerprint) const {
    const std::uintptr_t slots = hinted_slots_.load(std::memory_order_relaxed);
    const std::size_t size = hinted_size_.load(std::memory_order_relaxed);
    // NOLINTNEXTLINE(performance-no-int-to-ptr): it is not read from
    __builtin_prefetch(reinterpret_cast<const void*>(slots + 4 * HomeIn(size, fingerprint)));
  }

  // The number of a key, which stays the same until it is erased; kNone if it isn't there.
  std::uint32_t Find(std::uint64_t fingerprint) const {
    for (std::size_t at = Home(fingerprint);; at = After(at)) {
      const std::uint32_t slot = slots_[at];
      if (slot == kNone) return kNone;
      const std::uint32_t key = slot & number_mask_;
      if ((slot | number_mask_) == (Tag(fingerprint) | number_mask_) &&
          states_[key].fingerprint == fingerprint) {
        return key;
      }
    }
  }

  std::uint32_t Insert(std::uint64_t fingerprint);  // which isn't there; states may move
  void Erase(std::uint32_t key);
  void Clear();  // keeps the memory

  template <class F>
  void ForEach(F f) {
    for (const std::uint32_t slot : slots_) {
      if (slot != kNone) f(slot & number_mask_);
    }
  }

 private:
  static constexpr std::size_t kFirstSlots = 16;
  // Half of the slots are used after they grew, three quarters before.
  static constexpr std::size_t MostKeys(std::size_t slots) { return slots / 4 * 3; }

  // A key's slot is its home, or else the next free one behind it. The halves of a fingerprint say
  // where its home is, and, as far as there are bits to spare, what is beside its number in it.
  static std::size_t HomeIn(std::size_t slots, std::uint64_t fingerprint) {
    return static_cast<std::size_t>((fingerprint & 0xffffffff) * slots >> 32);
  }
  std::size_t Home(std::uint64_t fingerprint) const { return HomeIn(slots_.size(), fingerprint); }
  static std::uint32_t Tag(std::uint64_t fingerprint) {
    return static_cast<std::uint32_t>(fingerprint >> 32);
  }
  std::size_t HomeOf(std::uint32_t slot) const {
    return Home(states_[slot & number_mask_].fingerprint);
  }
  std::size_t After(std::size_t at) const { return at + 1 == slots_.size() ? 0 : at + 1; }
  std::size_t Distance(std::size_t from, std::size_t to) const {
    return to >= from ? to - from : to + slots_.size() - from;
  }
  std::vector<std::uint32_t> SetSlots(std::size_t size);
  void Place(std::uint32_t slot);
  void Grow();

  std::vector<std::uint32_t> slots_;  // kNone: free
  std::vector<KeyState> states_;
  std::uint32_t number_mask_ = 0;  // of a slot
  std::uint32_t free_ = kNone;     // a state that is no key's
  std::size_t size_ = 0;
  std::mutex* growing_ = nullptr;

  std::atomic<std::uintptr_t> hinted_slots_{0};
  std::atomic<std::size_t> hinted_size_{0};
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_RATE_KEYED_TABLE_H_
