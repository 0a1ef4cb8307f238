// An EventQueue holds the future events of a simulated world. Most programs use World (world.h).
//
//   holdfast::testing::EventQueue queue;
//   queue.Push(holdfast::TimePoint{5s}, event);
//   if (holdfast::testing::Event* due = queue.Pop(holdfast::TimePoint{1min})) due->Happen();
#ifndef HOLDFAST_TESTING_EVENT_QUEUE_H_
#define HOLDFAST_TESTING_EVENT_QUEUE_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "holdfast/base/time.h"

namespace holdfast::testing {

// Something that happens at a time. It must live until it is popped, because an event can't be
// removed from the queue. An event that is no longer wanted does nothing in Happen.
class Event {
 public:
  virtual void Happen() = 0;

  // Called shortly before Happen. May only call FetchLines, for memory that Happen will use.
  virtual void Approach() const {}

 protected:
  virtual ~Event() = default;

 private:
  friend class EventQueue;
  std::uint64_t rank_ = 0;  // orders events of one time
};

// Prefetches the first `lines` cache lines of 64 bytes at `address`, which may be any address.
inline void FetchLines(const void* address, int lines) {
  for (int line = 0; line < lines; ++line) {
    __builtin_prefetch(static_cast<const char*>(address) + std::ptrdiff_t{64} * line);
  }
}

// A radix heap (Ahuja, Mehlhorn, Orlin and Tarjan, JACM 1990) with digits of six bits. An entry is
// in the bucket of the highest digit in which its time differs from the time popped last, and moves
// to a lower bucket when that bucket's turn comes. So an entry moves at most once for each digit,
// always between runs of memory: the cost is amortized O(1), and a million entries cost bandwidth
// rather than cache misses. Events of one time come out in the order in which they were pushed or
// ranked, because entries of one time are always in one bucket.
//
// Not thread-safe.
class EventQueue {
 public:
  EventQueue() = default;
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;

  // `at` must not be before the time popped last.
  void Push(TimePoint at, Event& event) {
    Rank(event);
    PushRanked(at, event);
  }

  // Push in two steps, for an event that is pushed later than it was scheduled: among events of its
  // time it takes the place that it had if it was pushed when it was ranked.
  void Rank(Event& event) { event.rank_ = ++rank_; }
  void PushRanked(TimePoint at, Event& event) { Put({Key(at), &event}); }

  // Removes and returns the first event if its time is at most `limit`; null otherwise.
  Event* Pop(TimePoint limit);

  // The time popped last.
  TimePoint last() const { return TimePoint(Duration(static_cast<Duration::rep>(last_ ^ kSign))); }

  std::size_t size() const { return size_; }

 private:
  struct Entry {
    std::uint64_t key;
    Event* event;
  };
  // A kibibyte.
  struct Chunk {
    static constexpr std::uint32_t kSize = 63;
    Chunk* next = nullptr;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::array<Entry, kSize> entries;
  };
  struct Bucket {
    Chunk* first = nullptr;  // null: empty
    Chunk* last = nullptr;
  };

  static constexpr int kBits = 6;
  static constexpr int kDigits = 1 << kBits;
  static constexpr int kFetchedLines = 8;  // of an event
  // Entries of a bucket that are prefetched: more would leave the cache again, fewer are there
  // already.
  static constexpr std::uint32_t kFewestFetched = 8;
  static constexpr std::uint32_t kMostFetched = 256;
  static constexpr int kLevels = (64 + kBits - 1) / kBits;
  static constexpr std::uint64_t kSign = std::uint64_t{1} << 63;

  // In the order of the times, negative ones included.
  static std::uint64_t Key(TimePoint at) {
    return static_cast<std::uint64_t>(at.time_since_epoch().count()) ^ kSign;
  }

  void Put(const Entry& entry) {
    const int level = (63 - std::countl_zero((entry.key ^ last_) | 1)) / kBits;
    const int digit = static_cast<int>((entry.key >> (level * kBits)) & (kDigits - 1));
    Bucket& bucket = buckets_[At(level)][At(digit)];
    if (bucket.last == nullptr || bucket.last->end == Chunk::kSize) Grow(bucket, level, digit);
    bucket.last->entries[bucket.last->end++] = entry;
    ++size_;
  }

  static std::size_t At(int index) { return static_cast<std::size_t>(index); }

  void Grow(Bucket& bucket, int level, int digit);
  Event* TakeFront(Bucket& bucket, int level, int digit);
  void Clear(Bucket& bucket, int level, int digit);
  void SortByRank(const Bucket& bucket);
  static void Fetch(const Chunk* first);
  void Spread(Chunk* chunk);
  Chunk* NewChunk();
  void FreeChunk(Chunk* chunk);

  std::uint64_t last_ = kSign;  // the key popped last
  std::size_t size_ = 0;
  std::uint64_t rank_ = 0;                          // the last one given
  std::vector<Entry> sorted_;                       // room for SortByRank
  std::uint64_t sorted_key_ = 0;                    // the last one that needs none any more
  std::uint32_t levels_ = 0;                        // bit l: level l is not empty
  std::array<std::uint64_t, kLevels> digits_ = {};  // bit d of digits_[l]: that bucket is not empty
  std::array<std::array<Bucket, kDigits>, kLevels> buckets_ = {};
  Chunk* free_ = nullptr;
  std::vector<std::unique_ptr<Chunk[]>> slabs_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTING_EVENT_QUEUE_H_
