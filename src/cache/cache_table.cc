// How a cache's table works.
//
// Model. Two maps, from keys to entries and from keys to flights, and one mutex.
//
//   entry   a result that is kept. `expires` is when it stops being fresh; `ask_at`, when calls no
//           longer get it without a request: `expires`, or later while it replaces failures.
//           Entries form a list by their last use, whose oldest end is evicted.
//   flight  the calls that are at a key: one that is below the cache, and a list of those that wait
//           for it, in the order in which they came. There is one where and as long as a call is
//           below.
//   place   a call's part in a flight. It lies in the call's own state, so a waiting call allocates
//           nothing, and a destroyed one (cancelled, at its deadline, after an exception) leaves
//           the flight by the place's destructor, whatever ended it.
//
// A place's life:
//
//   Find -> kAnswer                                    there is an entry that may be returned
//        -> kAsk  -> Settle, or destroyed              it is the first: it goes below
//        -> kWait -> kAnswer  by another's Settle      it gets that call's result
//                 -> kAsk     by another's leaving     it is next, then as above
//                 -> destroyed                         it leaves the list
//
// Settle stores the result, gives it to those who wait and may share it (IsFor), and passes the
// flight on: if any still wait, to the one of the highest priority that has the latest deadline;
// else the flight ends. A call that leaves without a result passes it on likewise. The latest
// deadline, since a call that is about to time out would be cut off, pass on to the next such one,
// and none would ever finish. The stale entry that the first call found goes along, for the case
// that the next one fails.
//
// Erase and Clear detach flights: no map has them any more, so that calls that come afterwards
// start a new one, and their results are not stored. They are deleted by the last place that
// leaves.
//
// Invariants, with the mutex free:
//   - Each flight in the map has exactly one place with kAsk, and all other places in it, with
//     kWait, are in its list. A detached one also.
//   - A place with kAnswer is in no flight.
//   - stats_.bytes is the sum over all entries, and is at most max_bytes; entries are at most
//     max_entries.
//   - A map's key is a view into what it leads to, and so lives as long as that.
//
// The mutex is all the synchronization: all that is shared is read and written with it held, so
// there are no atomics. A place is written by other calls only with the mutex held; its own call
// reads `asks_`, `answer_`, `asker_` and the stand-in without it, which is right since they change
// only before the call is in a flight, by the call itself, or (`answer_`, the stand-in) before the
// Look that tells it of the change, which takes the mutex. Wakers are woken with the mutex held: so
// the place, and the waker with it, cannot be destroyed meanwhile. Results are copied, made and
// destroyed without it, as their code may use the same cache: what is erased with it held goes into
// a Dropped, which is destroyed afterwards.
#include "holdfast/cache/internal/cache_table.h"

#include <algorithm>
#include <new>
#include <string>
#include <utility>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/string_view.h"

namespace holdfast::internal {

absl::Status Validate(const CacheTerms& terms) {
  constexpr Duration kZero = Duration::zero();
  OptionsChecker check("ResultCache", terms.name);
  check(terms.ttl > kZero, "ttl must be > 0; it has no default");
  check(terms.negative_ttl >= kZero, "negative_ttl must be >= 0");
  check(terms.stale_while_revalidate >= kZero, "stale_while_revalidate must be >= 0");
  check(terms.stale_if_error >= kZero, "stale_if_error must be >= 0");
  check(terms.max_entries >= 1, "max_entries must be >= 1");
  check(terms.max_bytes >= 0, "max_bytes must be >= 0");
  return check.status();
}

// The calls that are at a key.
struct CacheTable::Flight {
  std::string key;
  Place* first = nullptr;
  Place* last = nullptr;
  bool detached = false;  // the key was erased meanwhile: no map has it, its result is not stored
};

struct CacheTable::Entry {
  std::string key;
  Value value;
  TimePoint expires;
  TimePoint ask_at;  // >= expires; later while it replaces failures
  std::int64_t bytes;
  bool success;
  Entry* newer = nullptr;
  Entry* older = nullptr;
};

// Entries that were erased with the mutex held, to be destroyed after it was released: a result's
// destructor may do anything.
class CacheTable::Dropped {
 public:
  Dropped() = default;
  Dropped(const Dropped&) = delete;
  Dropped& operator=(const Dropped&) = delete;
  ~Dropped() {
    while (first_ != nullptr) delete std::exchange(first_, first_->older);
  }

  void Add(std::unique_ptr<Entry> entry) {
    entry->older = first_;
    first_ = entry.release();
  }

 private:
  Entry* first_ = nullptr;  // a list by `older`, owned
};

CacheTable::CacheTable(const CacheTerms& terms) : terms_(terms) {}
CacheTable::~CacheTable() = default;

CacheTable::Entry* CacheTable::EntryOf(std::string_view key) {
  const auto at = entries_.find(ToAbsl(key));
  return at == entries_.end() ? nullptr : at->second.get();
}

CacheTable::Found CacheTable::Find(std::string_view key, const Asker& asker, Waker& waker,
                                   Place& place) {
  const TimePoint now = asker.came;
  const std::lock_guard lock(mutex_);
  Entry* const entry = EntryOf(key);
  const auto at = flights_.find(ToAbsl(key));
  const bool fresh = entry != nullptr && now < entry->ask_at;
  const bool revalidated = entry != nullptr && entry->success && at != flights_.end() &&
                           now < SaturatingAdd(entry->expires, terms_.stale_while_revalidate);
  if (fresh || revalidated) {
    ++(now < entry->expires ? stats_.hits : stats_.stale);
    TouchLocked(*entry);
    place.answer_ = entry->value;
    return Found::kAnswer;
  }
  place.table_ = this;
  place.waker_ = &waker;
  place.asker_ = asker;
  if (at != flights_.end()) {
    Flight& flight = *at->second;
    place.flight_ = &flight;
    place.role_ = Found::kWait;
    place.previous_ = std::exchange(flight.last, &place);
    (place.previous_ != nullptr ? place.previous_->next_ : flight.first) = &place;
    return Found::kWait;
  }
  auto flight = std::make_unique<Flight>(Flight{.key = std::string(key)});
  place.flight_ = flights_.emplace(ToAbsl(flight->key), std::move(flight)).first->second.get();
  place.role_ = Found::kAsk;
  place.asks_ = true;
  if (entry != nullptr && entry->success) {
    place.stand_in_ = entry->value;
    place.stand_in_until_ = SaturatingAdd(entry->expires, terms_.stale_if_error);
  }
  ++stats_.misses;
  return Found::kAsk;
}

CacheTable::Found CacheTable::Look(Place& place) {
  const std::lock_guard lock(mutex_);
  place.asks_ = place.role_ == Found::kAsk;
  return place.role_;
}

void CacheTable::Settle(Place& place, const Ending& ending) {
  Dropped dropped;
  const std::lock_guard lock(mutex_);
  place.asks_ = false;
  Flight& flight = *place.flight_;
  if (!flight.detached) {
    Entry* const entry = EntryOf(flight.key);
    if (ending.stands_in) {
      ExtendLocked(flight.key, SaturatingAdd(ending.now, ending.ttl));
    } else if (ending.value != nullptr && ending.ttl > Duration::zero()) {
      try {
        StoreLocked(flight.key, ending, dropped);
      } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): then it is not kept
      }
    } else if (ending.success && entry != nullptr) {
      EraseLocked(*entry, dropped);
    }
  }
  if (ending.stands_in) ++stand_ins_;
  TellLocked(place, ending);
  PassOnLocked(place);
}

void CacheTable::Leave(Place& place) {
  const std::lock_guard lock(mutex_);
  if (place.flight_ == nullptr) return;
  if (place.role_ == Found::kAsk) return PassOnLocked(place);
  UnlinkLocked(*place.flight_, place);
}

void CacheTable::UnlinkLocked(Flight& flight, Place& place) {
  (place.previous_ != nullptr ? place.previous_->next_ : flight.first) = place.next_;
  (place.next_ != nullptr ? place.next_->previous_ : flight.last) = place.previous_;
  place.flight_ = nullptr;
}

// To the waiting call of the highest priority, since the others may share its rejection; of these,
// to the one with the latest deadline, and of equal ones to the last that came.
void CacheTable::PassOnLocked(Place& place) {
  Flight& flight = *std::exchange(place.flight_, nullptr);
  Place* next = flight.last;
  if (next == nullptr) return DropLocked(flight);
  const auto rank = [](const Place& waits) {
    return std::pair(waits.asker_.priority, waits.asker_.deadline);
  };
  for (Place* other = next->previous_; other != nullptr; other = other->previous_) {
    if (rank(*next) < rank(*other)) next = other;
  }
  UnlinkLocked(flight, *next);
  next->flight_ = &flight;
  next->role_ = Found::kAsk;
  next->stand_in_ = place.stand_in_;
  next->stand_in_until_ = place.stand_in_until_;
  ++stats_.misses;
  next->waker_->Wake();
}

// Whether `to` shares the ending of `from`. Not if it has more time left, by more than `from` took:
// it may succeed where `from` ran out of time.
bool CacheTable::IsFor(const Ending& ending, const Place& from, const Place& to) {
  const bool hurried = SaturatingSub(to.asker_.deadline, from.asker_.deadline) <=
                       SaturatingSub(ending.now, from.asker_.came);
  switch (ending.whom) {
    case For::kAll:
      return true;
    case For::kAlike:
      return hurried && to.asker_.priority <= from.asker_.priority &&
             to.asker_.whom == from.asker_.whom;
    case For::kAsHurried:
      return hurried;
    case For::kNobody:
      break;
  }
  return false;
}

// Gives the result to the waiting calls that share it.
void CacheTable::TellLocked(Place& from, const Ending& ending) {
  Flight& flight = *from.flight_;
  for (Place* place = flight.first; place != nullptr;) {
    Place* const next = place->next_;
    if (IsFor(ending, from, *place)) {
      UnlinkLocked(flight, *place);
      place->role_ = Found::kAnswer;
      place->answer_ = ending.value;
      ++stats_.shared;
      place->waker_->Wake();
    }
    place = next;
  }
}

void CacheTable::DropLocked(Flight& flight) {
  if (flight.detached) {
    delete &flight;
  } else {
    flights_.erase(flights_.find(ToAbsl(flight.key)));
  }
}

// Takes it out of the map: the places in it own it from now on.
void CacheTable::DetachLocked(std::unique_ptr<Flight> flight) { flight.release()->detached = true; }

CacheTable::Value CacheTable::Get(std::string_view key, TimePoint now) {
  const std::lock_guard lock(mutex_);
  Entry* const entry = EntryOf(key);
  if (entry == nullptr || now >= entry->expires) {
    ++stats_.misses;
    return nullptr;
  }
  TouchLocked(*entry);
  ++stats_.hits;
  return entry->value;
}

void CacheTable::Put(std::string_view key, const Ending& ending) {
  Dropped dropped;
  const std::lock_guard lock(mutex_);
  StoreLocked(key, ending, dropped);
}

void CacheTable::Erase(std::string_view key) {
  Dropped dropped;
  const std::lock_guard lock(mutex_);
  if (Entry* const entry = EntryOf(key)) EraseLocked(*entry, dropped);
  if (const auto at = flights_.find(ToAbsl(key)); at != flights_.end()) {
    auto flight = std::move(at->second);
    flights_.erase(at);
    DetachLocked(std::move(flight));
  }
}

void CacheTable::Clear() {
  decltype(entries_) dropped;
  const std::lock_guard lock(mutex_);
  entries_.swap(dropped);
  newest_ = oldest_ = nullptr;
  stats_.bytes = 0;
  for (auto& [key, flight] : flights_) DetachLocked(std::move(flight));
  flights_.clear();
}

void CacheTable::Change(const CacheTerms& terms, absl::FunctionRef<void()> also) {
  Dropped dropped;
  const std::lock_guard lock(mutex_);
  terms_ = terms;
  also();
  EvictLocked(terms.max_entries, terms.max_bytes, dropped);
}

CacheStats CacheTable::stats() const {
  const std::lock_guard lock(mutex_);
  CacheStats stats = LookupsLocked();
  stats.stale += stand_ins_;
  return stats;
}

CacheStats CacheTable::LookupsLocked() const {
  CacheStats stats = stats_;
  stats.entries = static_cast<std::int64_t>(entries_.size());
  return stats;
}

// Replaces the entry for the key. A result that is larger than max_bytes by itself is not kept.
void CacheTable::StoreLocked(std::string_view key, const Ending& ending, Dropped& dropped) {
  if (Entry* const old = EntryOf(key)) EraseLocked(*old, dropped);
  if (ending.bytes > terms_.max_bytes) return;
  EvictLocked(terms_.max_entries - 1, terms_.max_bytes - ending.bytes, dropped);
  const TimePoint expires = SaturatingAdd(ending.now, ending.ttl);
  auto made = std::make_unique<Entry>(Entry{.key = std::string(key),
                                            .value = ending.value,
                                            .expires = expires,
                                            .ask_at = expires,
                                            .bytes = ending.bytes,
                                            .success = ending.success});
  Entry& entry = *entries_.emplace(ToAbsl(made->key), std::move(made)).first->second;
  stats_.bytes += entry.bytes;
  entry.older = std::exchange(newest_, &entry);
  (entry.older != nullptr ? entry.older->newer : oldest_) = &entry;
}

void CacheTable::ExtendLocked(std::string_view key, TimePoint until) {
  if (Entry* const entry = EntryOf(key)) {
    entry->ask_at = std::min(until, SaturatingAdd(entry->expires, terms_.stale_if_error));
  }
}

void CacheTable::EvictLocked(std::int64_t entries, std::int64_t bytes, Dropped& dropped) {
  while (oldest_ != nullptr &&
         (std::cmp_greater(entries_.size(), entries) || stats_.bytes > bytes)) {
    ++stats_.evicted;
    EraseLocked(*oldest_, dropped);
  }
}

void CacheTable::EraseLocked(Entry& entry, Dropped& dropped) {
  UnlinkLocked(entry);
  stats_.bytes -= entry.bytes;
  const auto at = entries_.find(ToAbsl(entry.key));
  dropped.Add(std::move(at->second));
  entries_.erase(at);
}

void CacheTable::TouchLocked(Entry& entry) {
  if (&entry == newest_) return;
  UnlinkLocked(entry);
  entry.newer = nullptr;
  entry.older = std::exchange(newest_, &entry);
  entry.older->newer = &entry;
}

void CacheTable::UnlinkLocked(Entry& entry) {
  (entry.newer != nullptr ? entry.newer->older : newest_) = entry.older;
  (entry.older != nullptr ? entry.older->newer : oldest_) = entry.newer;
}

}  // namespace holdfast::internal
