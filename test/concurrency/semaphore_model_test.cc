// A semaphore beside a plain model of it, step by step.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "holdfast/concurrency/semaphore.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"

namespace holdfast::semaphore_model_test {
namespace {

enum class Fate { kWaiting, kServed, kExceedsCapacity, kGaveWay };

// What a semaphore should do, in the slowest way.
class Model {
 public:
  struct Entry {
    int id;
    Semaphore::Place place;
  };

  explicit Model(std::int64_t limit) : limit_(limit) {}

  bool TryAcquire(std::int64_t n) {
    if (!queue_.empty() || n > limit_ - in_use_) return false;
    in_use_ += n;
    return true;
  }
  void Release(std::int64_t n) {
    in_use_ -= n;
    Serve();
  }
  void SetLimit(std::int64_t limit) {
    limit_ = limit;
    Serve();
  }
  bool Enter(int id, const Semaphore::Place& place) {
    if (place.max_queue < 1) return false;
    if (std::cmp_greater_equal(queue_.size(), place.max_queue)) {
      const Entry& last = queue_.back();  // of the lowest priority
      const bool gives_way = last.place.priority < place.priority ||
                             (last.place.priority == place.priority && place.newest_first);
      if (!gives_way) return false;
      fates_[last.id] = Fate::kGaveWay;
      queue_.pop_back();
    }
    const auto before = std::find_if(queue_.begin(), queue_.end(), [&](const Entry& other) {
      return other.place.priority < place.priority ||
             (other.place.priority == place.priority && place.newest_first);
    });
    queue_.insert(before, {id, place});
    if (std::cmp_less_equal(fates_.size(), id)) fates_.resize(static_cast<std::size_t>(id) + 1);
    fates_[static_cast<std::size_t>(id)] = Fate::kWaiting;
    Serve();
    return true;
  }
  void Leave(int id) {
    const auto at = std::find_if(queue_.begin(), queue_.end(),
                                 [id](const Entry& entry) { return entry.id == id; });
    if (at != queue_.end()) queue_.erase(at);
    Serve();
  }

  Fate fate(int id) const { return fates_[static_cast<std::size_t>(id)]; }
  std::int64_t limit() const { return limit_; }
  std::int64_t in_use() const { return in_use_; }
  std::int64_t queued() const { return static_cast<std::int64_t>(queue_.size()); }

 private:
  void Serve() {
    while (!queue_.empty()) {
      const Entry& head = queue_.front();
      const bool impossible = head.place.n > limit_;
      if (!impossible && head.place.n > limit_ - in_use_) return;
      if (!impossible) in_use_ += head.place.n;
      fates_[static_cast<std::size_t>(head.id)] =
          impossible ? Fate::kExceedsCapacity : Fate::kServed;
      queue_.pop_front();
    }
  }

  std::int64_t limit_;
  std::int64_t in_use_ = 0;
  std::list<Entry> queue_;
  std::vector<Fate> fates_;
};

// The two side by side.
class Pair {
 public:
  explicit Pair(std::uint64_t seed)
      : random_(seed), semaphore_({.limit = 5, .name = "s"}), model_(5) {}

  void Step() {
    switch (Draw(0, 9)) {
      case 0:
      case 1:
        return TryAcquire();
      case 2:
      case 3:
      case 4:
        return Enter();
      case 5:
      case 6:
        return Take();
      case 7:
        return Leave();
      case 8:
        return Release();
      default:
        return SetLimit();
    }
  }

  void Check() const {
    RC_ASSERT(semaphore_.limit() == model_.limit());
    RC_ASSERT(semaphore_.in_use() == model_.in_use());
    RC_ASSERT(semaphore_.queued() == model_.queued());
  }

  // Everybody leaves.
  void End() {
    while (!waiters_.empty()) Leave();
    while (!permits_.empty()) Release();
    Check();
    RC_ASSERT(semaphore_.in_use() == 0);
  }

 private:
  struct Waiting {
    int id;
    std::unique_ptr<Semaphore::Waiter> waiter;
    std::unique_ptr<Parker> parker;
  };

  std::int64_t Draw(std::int64_t from, std::int64_t to) {
    return std::uniform_int_distribution<std::int64_t>(from, to)(random_);
  }
  std::size_t Index(std::size_t size) {
    return static_cast<std::size_t>(Draw(0, static_cast<std::int64_t>(size) - 1));
  }

  void TryAcquire() {
    const std::int64_t n = Draw(1, 3);
    auto permit = semaphore_.TryAcquire(n);
    RC_ASSERT(permit.has_value() == model_.TryAcquire(n));
    if (permit) permits_.emplace_back(n, *std::move(permit));
  }

  void Enter() {
    const Semaphore::Place place = {
        .n = Draw(1, std::min<std::int64_t>(3, model_.limit())),
        .priority = static_cast<Priority>(Draw(0, kPriorities - 1)),
        .newest_first = Draw(0, 2) == 0,
        .max_queue = Draw(0, 6),
    };
    Waiting waiting{next_id_++, std::make_unique<Semaphore::Waiter>(), std::make_unique<Parker>()};
    const bool entered = waiting.waiter->TryEnter(semaphore_, *waiting.parker, place);
    RC_ASSERT(entered == model_.Enter(waiting.id, place));
    if (!entered) return;
    sizes_.resize(static_cast<std::size_t>(next_id_));
    sizes_[static_cast<std::size_t>(waiting.id)] = place.n;
    waiters_.push_back(std::move(waiting));
  }

  void Take() {
    if (waiters_.empty()) return;
    const auto at = waiters_.begin() + static_cast<std::ptrdiff_t>(Index(waiters_.size()));
    const Fate fate = model_.fate(at->id);
    auto taken = at->waiter->Take();
    RC_ASSERT(taken.has_value() == (fate != Fate::kWaiting));
    if (!taken) return;
    RC_ASSERT(taken->ok() == (fate == Fate::kServed));
    if (taken->ok()) {
      permits_.emplace_back(sizes_[static_cast<std::size_t>(at->id)], *std::move(*taken));
    } else {
      RC_ASSERT(taken->status() == (fate == Fate::kExceedsCapacity
                                        ? semaphore_.refusals().impossible
                                        : semaphore_.refusals().exhausted));
    }
    waiters_.erase(at);
  }

  void Leave() {
    if (waiters_.empty()) return;
    const auto at = waiters_.begin() + static_cast<std::ptrdiff_t>(Index(waiters_.size()));
    const bool served = model_.fate(at->id) == Fate::kServed;
    const std::int64_t n = sizes_[static_cast<std::size_t>(at->id)];
    model_.Leave(at->id);
    if (served) model_.Release(n);
    waiters_.erase(at);
  }

  void Release() {
    if (permits_.empty()) return;
    const auto at = permits_.begin() + static_cast<std::ptrdiff_t>(Index(permits_.size()));
    model_.Release(at->first);
    permits_.erase(at);
  }

  void SetLimit() {
    const std::int64_t limit = Draw(1, 8);
    semaphore_.SetLimit(limit);
    model_.SetLimit(limit);
  }

  std::mt19937_64 random_;
  Semaphore semaphore_;
  Model model_;
  int next_id_ = 0;
  std::vector<std::int64_t> sizes_;  // of the waiters, by their ids
  std::vector<Waiting> waiters_;
  std::vector<std::pair<std::int64_t, Permit>> permits_;
};

TEST_CASE("a semaphore agrees with a model of it: a million steps") {
  test::Property(2, [](std::uint64_t seed) {
    Pair pair(seed);
    for (int step = 0; step < 5'000; ++step) {
      pair.Step();
      pair.Check();
    }
    pair.End();
  });
}

}  // namespace
}  // namespace holdfast::semaphore_model_test
