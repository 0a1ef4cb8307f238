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
#include "holdfast/call/collector.h"

namespace holdfast {

struct CacheStats {
  std::int64_t hits = 0;     // calls that got a fresh result
  std::int64_t stale = 0;    // calls that got a stale one, while another asked or for a failure
  std::int64_t shared = 0;   // calls that got the result of another call
  std::int64_t misses = 0;   // calls that went down, and those of Get that found nothing
  std::int64_t evicted = 0;  // entries that made room for others
  std::int64_t entries = 0;  // at present
  std::int64_t bytes = 0;    // at present, by size_of
};

namespace internal {

// The options of a ResultCache that the table needs.
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

// Thread-safe: one mutex, held for a lookup and to move a few pointers.
class CacheTable {
  struct Flight;

 public:
  using Value = std::shared_ptr<const void>;
  enum class Found {
    kAnswer,  // place.answer()
    kAsk,     // this call goes below the cache, and must Settle
    kWait,    // another call is below, and this one waits for it
  };

  // What decides which calls share a call's failure.
  struct Asker {
    Priority priority = Priority::kNormal;
    std::string_view whom = {};  // CallOptions::key; it must outlive the place
    TimePoint deadline = TimePoint::max();
    TimePoint came = {};  // now
  };

  // A call's part in a flight. Its destructor leaves the flight, to the next waiting call.
  class Place {
   public:
    Place() = default;
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;
    ~Place() {
      if (table_ != nullptr) table_->Leave(*this);
    }

    bool entered() const { return table_ != nullptr; }
    // True from when Find or Look returned kAsk until Settle.
    bool asks() const { return asks_; }
    const Value& answer() const { return answer_; }
    // When Find was called.
    TimePoint came() const { return asker_.came; }
    // The stale success that may replace a failure; null: none.
    Value StandIn(TimePoint now) const { return now < stand_in_until_ ? stand_in_ : nullptr; }

   private:
    friend class CacheTable;
    CacheTable* table_ = nullptr;  // null: Find was not called, or found an entry
    bool asks_ = false;
    // Guarded by the table's mutex.
    Flight* flight_ = nullptr;  // null: in no flight
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

  // Find is called first, with a new place; after kWait, `waker` is woken when Look will return
  // something else.
  [[nodiscard]] Found Find(std::string_view key, const Asker& asker, Waker& waker, Place& place);
  [[nodiscard]] Found Look(Place& place);

  // Which waiting calls share an ending.
  enum class For {
    kAll,
    kAlike,      // those of kAsHurried of the same or a lower priority and with the same `whom`
    kAsHurried,  // those whose deadline is not later by more than the call took
    kNobody,
  };

  // How a call that went below ended.
  struct Ending {
    TimePoint now;
    Value value;  // null only for kNobody
    For whom = For::kAll;
    Duration ttl{0};         // how long the value is kept; zero: not at all
    std::int64_t bytes = 0;  // the size of the value
    bool stands_in = false;  // the value is the place's stale success, which replaces a failure
    bool success = false;    // it replaces an older entry even if it is not kept
  };
  void Settle(Place& place, const Ending& ending);

  [[nodiscard]] Value Get(std::string_view key, TimePoint now);
  void Put(std::string_view key, const Ending& ending);
  void Erase(std::string_view key);
  void Clear();
  CacheStats stats() const;
  void Collect(Collector& collector) const;

  // Replaces the terms, and calls `also` with the mutex held. Entries beyond the new bounds are
  // evicted, and destroyed before this returns.
  void Change(const CacheTerms& terms, absl::FunctionRef<void()> also);

 private:
  struct Entry;
  class Dropped;

  CacheStats LookupsLocked() const;  // the stats without stand_ins_: each lookup is counted once
  void Leave(Place& place);
  void StoreLocked(std::string_view key, const Ending& ending, Dropped& dropped);
  void ExtendLocked(std::string_view key, TimePoint until);
  // Evicts the least recently used entries until at most so many entries and bytes are left.
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
  // The keys are views into the values.
  absl::flat_hash_map<absl::string_view, std::unique_ptr<Entry>> entries_;
  absl::flat_hash_map<absl::string_view, std::unique_ptr<Flight>> flights_;
  Entry* newest_ = nullptr;  // the list of entries by their last use
  Entry* oldest_ = nullptr;
  CacheStats stats_;            // without `entries`, and without `stand_ins_` in `stale`
  std::int64_t stand_ins_ = 0;  // calls that went down, failed, and got a stale result
};

}  // namespace internal
}  // namespace holdfast

#endif  // HOLDFAST_CACHE_INTERNAL_CACHE_TABLE_H_
