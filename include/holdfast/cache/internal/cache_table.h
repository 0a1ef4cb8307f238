// The part of a ResultCache that does not depend on the type of the results. The model and the
// invariants are in cache_table.cc.
#ifndef HOLDFAST_CACHE_INTERNAL_CACHE_TABLE_H_
#define HOLDFAST_CACHE_INTERNAL_CACHE_TABLE_H_

#include <absl/container/flat_hash_map.h>
#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/strings/string_view.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>

#include "holdfast/base/priority.h"
#include "holdfast/base/time.h"
#include "holdfast/base/waker.h"

namespace holdfast {

struct CacheStats {
  std::int64_t hits = 0;  // calls that got a fresh result
  std::int64_t stale =
      0;  // calls that got a stale one: while another revalidated, or for a failure
  std::int64_t shared = 0;   // calls that got the result of another call
  std::int64_t misses = 0;   // calls that went down
  std::int64_t evicted = 0;  // entries that made room for others
  std::int64_t entries = 0;  // at present
  std::int64_t bytes = 0;    // at present, by size_of
};

namespace internal {

// As ResultCache::Options says them.
struct CacheTerms {
  std::string_view name;
  Duration ttl;
  Duration negative_ttl;
  Duration stale_while_revalidate;
  Duration stale_if_error;
  std::int64_t max_entries;
  std::int64_t max_bytes;
};
absl::Status Validate(const CacheTerms& terms);

// Thread-safe; one mutex, held for a lookup and the moving of a few pointers.
class CacheTable {
  struct Flight;

 public:
  using Value = std::shared_ptr<const void>;
  enum class Found {
    kAnswer,  // place.answer()
    kAsk,     // this call is the one that asks, and it is to Settle
    kWait,    // for the one that does
  };

  // Who asks: what makes one call's failure not another's.
  struct Asker {
    Priority priority = Priority::kNormal;
    std::string_view whom = {};  // CallOptions::key; it must outlive the place
    TimePoint deadline = TimePoint::max();
    TimePoint came = {};  // now
  };

  // A call's part in what its key is asked for; destroyed, it leaves it to the next who waits.
  class Place {
   public:
    Place() = default;
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() {
      if (table_ != nullptr) table_->Leave(*this);
    }

    bool entered() const { return table_ != nullptr; }
    // Once Find or Look has said so, until Settle.
    bool asks() const { return asks_; }
    const Value& answer() const { return answer_; }
    TimePoint came() const { return asker_.came; }
    // What may stand in for a failure; null: nothing.
    Value StandIn(TimePoint now) const { return now < stand_in_until_ ? stand_in_ : nullptr; }

   private:
    friend class CacheTable;
    CacheTable* table_ = nullptr;  // null: it has had no part in anything
    bool asks_ = false;
    // Guarded by the table's mutex.
    Flight* flight_ = nullptr;  // null when it has no part
    Found role_ = Found::kWait;
    Waker* waker_ = nullptr;
    Asker asker_;
    Place* previous_ = nullptr;
    Place* next_ = nullptr;
    Value answer_;
    Value stand_in_;
    TimePoint stand_in_until_ = TimePoint::min();
  };

  explicit CacheTable(const CacheTerms& terms);
  CacheTable(const CacheTable&) = delete;
  CacheTable& operator=(const CacheTable&) = delete;
  ~CacheTable();

  // For a place that has no part yet. `waker` is rung when Look has something else to say than that
  // it waits.
  [[nodiscard]] Found Find(std::string_view key, const Asker& asker, Waker& waker, Place& place);
  [[nodiscard]] Found Look(Place& place);

  // Whose an ending is, beside the call's that asked.
  enum class For {
    kAll,
    // Those for whom a refusal would be the same: no more important, for the same whom, and without
    // much more time.
    kAlike,
    kAsHurried,  // those without much more time
    kNobody,     // the next who waits asks
  };

  // How what was asked for ended. Of those who wait and are not to have it, the one of the most
  // important that has the most time left asks.
  struct Ending {
    TimePoint now;
    Value value;  // not null, but where it is for nobody
    For whom = For::kAll;
    Duration ttl{0};         // to be kept so long; zero: not
    std::int64_t bytes = 0;  // of it
    bool stands_in = false;  // it is the place's stand-in, which may go on for the ttl
    bool success = false;    // what is kept is outdated, kept or not; and it may answer when stale
  };
  void Settle(Place& place, const Ending& ending);

  [[nodiscard]] Value Get(std::string_view key, TimePoint now);
  void Put(std::string_view key, const Ending& ending);
  void Erase(std::string_view key);
  void Clear();
  CacheStats stats() const;

  // Goes by other terms from now on, and calls `also` as it begins to, with the mutex held. What
  // the new bounds have no room for is evicted, and destroyed before this returns.
  void Change(const CacheTerms& terms, absl::FunctionRef<void()> also);

 private:
  struct Entry;
  class Dropped;

  void Leave(Place& place);
  void StoreLocked(std::string_view key, const Ending& ending, Dropped& dropped);
  void ExtendLocked(std::string_view key, TimePoint until);
  // What was not used for longest, until there are no more than that.
  void EvictLocked(std::int64_t entries, std::int64_t bytes, Dropped& dropped);
  void EraseLocked(Entry& entry, Dropped& dropped);
  void TouchLocked(Entry& entry);
  void UnlinkLocked(Entry& entry);
  static bool IsFor(const Ending& ending, const Place& from, const Place& to);
  void PassOnLocked(Place& place);
  void TellLocked(Place& from, const Ending& ending);
  static void UnlinkLocked(Flight& flight, Place& place);
  void DropLocked(Flight& flight);
  static void DetachLocked(std::unique_ptr<Flight> flight);
  Entry* EntryOf(std::string_view key);

  mutable std::mutex mutex_;
  CacheTerms terms_;
  // By keys that lie in what they lead to.
  absl::flat_hash_map<absl::string_view, std::unique_ptr<Entry>> entries_;
  absl::flat_hash_map<absl::string_view, std::unique_ptr<Flight>> flights_;
  Entry* newest_ = nullptr;  // by their last use
  Entry* oldest_ = nullptr;
  CacheStats stats_;  // but for entries
};

}  // namespace internal
}  // namespace holdfast

#endif  // HOLDFAST_CACHE_INTERNAL_CACHE_TABLE_H_
