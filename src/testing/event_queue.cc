#include "holdfast/testing/event_queue.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace holdfast::testing {

Event* EventQueue::Pop(TimePoint limit) {
  const std::uint64_t limit_key = Key(limit);
  while (levels_ != 0) {
    const int level = std::countr_zero(levels_);
    const int digit = std::countr_zero(digits_[At(level)]);
    Bucket& bucket = buckets_[At(level)][At(digit)];
    const bool alone =
        bucket.first->next == nullptr && bucket.first->end - bucket.first->begin == 1;
    // On the lowest level all entries of a bucket have the same time.
    std::uint64_t first = std::numeric_limits<std::uint64_t>::max();
    if (level == 0 || alone) {
      first = bucket.first->entries[bucket.first->begin].key;
    } else {
      for (const Chunk* chunk = bucket.first; chunk != nullptr; chunk = chunk->next) {
        for (std::uint32_t i = chunk->begin; i < chunk->end; ++i) {
          first = std::min(first, chunk->entries[i].key);
        }
      }
    }
    // What is put in meanwhile may come before it, so nothing is moved yet.
    if (first > limit_key) return nullptr;
    if (level == 0 && !alone && first != sorted_key_) SortByRank(bucket);
    if (level == 0) sorted_key_ = first;
    last_ = first;
    if (level == 0 || alone) return TakeFront(bucket, level, digit);
    Chunk* const chunks = bucket.first;
    Clear(bucket, level, digit);
    Fetch(chunks);
    Spread(chunks);
  }
  return nullptr;
}

// Once, when the bucket's time has come: what is put in after that has the highest rank.
void EventQueue::SortByRank(const Bucket& bucket) {
  const auto by_rank = [](const Entry& a, const Entry& b) {
    return a.event->rank_ < b.event->rank_;
  };
  sorted_.clear();
  for (const Chunk* chunk = bucket.first; chunk != nullptr; chunk = chunk->next) {
    sorted_.insert(sorted_.end(), chunk->entries.begin() + chunk->begin,
                   chunk->entries.begin() + chunk->end);
  }
  if (std::ranges::is_sorted(sorted_, by_rank)) return;
  std::ranges::sort(sorted_, by_rank);  // ranks differ
  auto next = sorted_.begin();
  for (Chunk* chunk = bucket.first; chunk != nullptr; chunk = chunk->next) {
    for (std::uint32_t i = chunk->begin; i < chunk->end; ++i) chunk->entries[i] = *next++;
  }
}

Event* EventQueue::TakeFront(Bucket& bucket, int level, int digit) {
  Chunk* const chunk = bucket.first;
  Event* const event = chunk->entries[chunk->begin++].event;
  --size_;
  if (chunk->begin == chunk->end) {
    bucket.first = chunk->next;
    if (bucket.first == nullptr) Clear(bucket, level, digit);
    FreeChunk(chunk);
  }
  return event;
}

// These are soon due, and lie anywhere in memory: a world of a million clients waits for that most
// of the time, unless it asks early. To ask for what lies behind an event does no harm.
void EventQueue::Fetch(const Chunk* first) {
  std::uint32_t size = 0;
  for (const Chunk* chunk = first; chunk != nullptr; chunk = chunk->next) {
    size += chunk->end - chunk->begin;
    if (size > kMostFetched) return;
  }
  if (size < kFewestFetched) return;
  for (const Chunk* chunk = first; chunk != nullptr; chunk = chunk->next) {
    for (std::uint32_t i = chunk->begin; i < chunk->end; ++i) {
      FetchLines(chunk->entries[i].event, kFetchedLines);
    }
  }
  for (const Chunk* chunk = first; chunk != nullptr; chunk = chunk->next) {
    for (std::uint32_t i = chunk->begin; i < chunk->end; ++i) chunk->entries[i].event->Approach();
  }
}

void EventQueue::Clear(Bucket& bucket, int level, int digit) {
  bucket = Bucket{};
  digits_[At(level)] &= ~(std::uint64_t{1} << digit);
  if (digits_[At(level)] == 0) levels_ &= ~(std::uint32_t{1} << level);
}

void EventQueue::Spread(Chunk* chunk) {
  while (chunk != nullptr) {
    for (std::uint32_t i = chunk->begin; i < chunk->end; ++i) {
      --size_;
      Put(chunk->entries[i]);
    }
    FreeChunk(std::exchange(chunk, chunk->next));
  }
}

void EventQueue::Grow(Bucket& bucket, int level, int digit) {
  Chunk* const chunk = NewChunk();
  (bucket.last == nullptr ? bucket.first : bucket.last->next) = chunk;
  bucket.last = chunk;
  digits_[At(level)] |= std::uint64_t{1} << digit;
  levels_ |= std::uint32_t{1} << level;
}

EventQueue::Chunk* EventQueue::NewChunk() {
  constexpr std::size_t kSlab = 64;
  if (free_ == nullptr) {
    slabs_.push_back(std::make_unique<Chunk[]>(kSlab));
    for (std::size_t i = kSlab; i-- > 0;) FreeChunk(&slabs_.back()[i]);
  }
  Chunk* const chunk = std::exchange(free_, free_->next);
  chunk->next = nullptr;
  chunk->begin = 0;
  chunk->end = 0;
  return chunk;
}

void EventQueue::FreeChunk(Chunk* chunk) { chunk->next = std::exchange(free_, chunk); }

}  // namespace holdfast::testing
