// Model. An entry is in one of two lists. recent_ has the keys used since they were last examined,
// the most recently used first; kept_ the keys set aside, the last examined first. To examine a key
// is to ask whether its object is idle; a use moves the entry to the front of recent_, and whoever
// examines it moves it to the front of kept_. So each key of kept_ was used less recently than any
// of recent_, and to examine the last key of a list each time is to examine its keys in turn. A
// call examines at most kMostLooks keys.
//
// Why an object that is in use is never forgotten. `idle` runs with the mutex released, so its
// answer may be out of date when the mutex is held again. It still holds if nobody has had the
// object since: the table handed it out to nobody (Entry::handed_out), and only the table's and the
// candidate's pointer are left, so nobody got one from a std::weak_ptr either. A second pointer
// exists while a thread examines a key, so no other thread examines it and the entry stays.
//
// Why each object that Get returns has the present options. The options are replaced and the
// version is raised in one section of the mutex. Get reads the version under the mutex, and the
// options after that, so an object made or updated "to version v" has those of v or of a later one.
// Get returns an object only if its entry's version is the table's. So it matters neither in which
// order an update reaches the keys nor whether a key existed when the update was prepared.
#include "holdfast/base/internal/keyed.h"

#include <absl/container/flat_hash_map.h>
#include <absl/strings/string_view.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <list>

#include "holdfast/base/internal/string_view.h"
#include "holdfast/base/internal/validate.h"

namespace holdfast::internal {
namespace {

constexpr std::size_t kMostLooks = 8;

}  // namespace

// The remembered keys. Every function needs the mutex.
class KeyedCore::Table {
 public:
  struct Entry {
    std::string key;
    std::shared_ptr<void> object;
    std::uint64_t version = 0;  // the object's options are of this version or a later one
    bool kept = false;          // it is in kept_
    bool handed_out = false;    // since it was last examined
  };
  using Entries = std::list<Entry>;

  // A key that a thread examines. No other thread examines it meanwhile, so it stays in the table.
  struct Candidate {
    Entries::iterator entry;
    std::shared_ptr<void> object;  // null: none
    bool idle = false;             // when it was asked
  };

  std::size_t size() const { return index_.size(); }
  std::vector<std::string> keys() const {
    std::vector<std::string> keys;
    keys.reserve(size());
    for (const Entries* list : {&recent_, &kept_}) {
      for (const Entry& entry : *list) keys.push_back(entry.key);
    }
    return keys;
  }

  // Null for an unknown key.
  std::shared_ptr<void> Find(std::string_view key) const {
    const auto it = index_.find(ToAbsl(key));
    return it == index_.end() ? nullptr : HandOut(it->second);
  }
  const Entry* Use(std::string_view key) {
    const auto it = index_.find(ToAbsl(key));
    if (it == index_.end()) return nullptr;
    MoveTo(recent_, it->second);
    it->second->handed_out = true;
    return &*it->second;
  }

  // Commits new options of a key's object, if the key still has that object and no later ones.
  void Apply(std::string_view key, const void* object, std::uint64_t its_version, Commit& commit) {
    const auto it = index_.find(ToAbsl(key));
    if (it == index_.end()) return;
    Entry& entry = *it->second;
    if (entry.object.get() != object || entry.version >= its_version) return;
    std::move(commit)();
    entry.version = its_version;
  }

  // Examines the next key in turn, of the set-aside keys (kept_) or of the others, unless somebody
  // holds its object. Releases the mutex while it asks `idle`.
  void Look(Lock& lock, bool of_kept, const Functions& functions, std::optional<TimePoint> now,
            Candidate& candidate) {
    candidate = {};
    Entries& list = (of_kept && !kept_.empty()) || recent_.empty() ? kept_ : recent_;
    const Entries::iterator entry = std::prev(list.end());
    MoveTo(kept_, entry);
    if (entry->object.use_count() > 1) return;
    entry->handed_out = false;
    candidate = {.entry = entry, .object = entry->object};
    lock.unlock();
    candidate.idle = functions.idle(candidate.object.get(), now);
    lock.lock();
  }

  // Nobody has held the object since it was asked, so it is still idle.
  static bool MayBeForgotten(const Candidate& candidate) {
    return candidate.idle && !candidate.entry->handed_out && candidate.object.use_count() == 2;
  }

  // Moves the one entry of `made` in. If that throws, nothing has changed.
  std::shared_ptr<void> Add(Entries& made) {
    index_.emplace(ToAbsl(made.front().key), made.begin());
    recent_.splice(recent_.begin(), made);
    return HandOut(recent_.begin());
  }
  // The candidate must be one that MayBeForgotten. The object is destroyed with the candidate.
  void Forget(const Candidate& candidate) {
    index_.erase(ToAbsl(candidate.entry->key));
    kept_.erase(candidate.entry);
  }

  std::mutex mutex;
  std::uint64_t version = 0;  // of the options

 private:
  void MoveTo(Entries& list, Entries::iterator entry) {
    list.splice(list.begin(), entry->kept ? kept_ : recent_, entry);
    entry->kept = &list == &kept_;
  }
  static std::shared_ptr<void> HandOut(Entries::iterator entry) {
    entry->handed_out = true;
    return entry->object;
  }

  Entries recent_;
  Entries kept_;
  absl::flat_hash_map<absl::string_view, Entries::iterator> index_;  // by the entry's own key
};

KeyedCore::KeyedCore(std::int64_t max_keys, Functions functions)
    : functions_(std::move(functions)), max_keys_(max_keys), table_(std::make_unique<Table>()) {}

KeyedCore::~KeyedCore() = default;

std::shared_ptr<void> KeyedCore::Get(std::string_view key, std::optional<TimePoint> now) {
  Lock lock(table_->mutex);
  if (auto known = UseKnown(key, lock)) return known;
  return GetNew(key, std::move(lock), now);
}

// One step at a time. A step that calls a function releases the mutex meanwhile, and the next step
// begins with a fresh look at the table, because other threads or the function may have changed it.
std::shared_ptr<void> KeyedCore::GetNew(std::string_view key, Lock held,
                                        std::optional<TimePoint> now) {
  // Destroyed with nothing locked, because they may hold functions of the user's.
  Table::Entries made;
  Table::Candidate candidate;
  Lock lock = std::move(held);
  const auto most_keys = [this] { return static_cast<std::size_t>(max_keys()); };
  const std::size_t most_looks = std::min(kMostLooks, std::max(table_->size(), most_keys()));
  std::size_t looks = 0;
  while (true) {
    const bool full = table_->size() >= most_keys();
    if (full && !Table::MayBeForgotten(candidate)) {
      if (looks == most_looks) return nullptr;
      table_->Look(lock, /*of_kept=*/looks++ == 0, functions_, now, candidate);
    } else if (made.empty() || made.front().version != table_->version) {
      const std::uint64_t version = table_->version;
      lock.unlock();
      made.clear();
      made.push_back({.key = std::string(key), .object = functions_.make(key), .version = version});
      lock.lock();
    } else {
      auto object = table_->Add(made);
      if (full) table_->Forget(candidate);
      ForgetMore(lock, most_looks - looks, now);
      return object;
    }
    if (auto known = UseKnown(key, lock)) return known;
  }
}

// Null for an unknown key.
std::shared_ptr<void> KeyedCore::UseKnown(std::string_view key, Lock& lock) {
  while (const Table::Entry* const known = table_->Use(key)) {
    auto object = known->object;
    const std::uint64_t version = table_->version;
    if (known->version == version) return object;
    lock.unlock();
    UpdateKey(key, object.get(), version);
    lock.lock();
  }
  return nullptr;
}

// Gives the key's object the options of that version or a later one.
void KeyedCore::UpdateKey(std::string_view key, void* object, std::uint64_t version) {
  auto commit = functions_.update(object, key);
  ThrowIfInvalid(commit.status());
  const std::lock_guard lock(table_->mutex);
  table_->Apply(key, object, version, *commit);
}

// After max_keys was lowered: forgets keys beyond it.
void KeyedCore::ForgetMore(Lock& lock, std::size_t looks, std::optional<TimePoint> now) {
  for (; looks > 0 && table_->size() > static_cast<std::size_t>(max_keys()); --looks) {
    Table::Candidate candidate;
    table_->Look(lock, /*of_kept=*/false, functions_, now, candidate);
    if (!Table::MayBeForgotten(candidate)) continue;
    table_->Forget(candidate);
    lock.unlock();
    candidate = {};
    lock.lock();
  }
}

struct KeyedCore::KeyUpdate {
  std::string key;
  std::weak_ptr<void> object;  // weak: the key may be forgotten meanwhile
  Commit commit;
};

absl::StatusOr<Commit> KeyedCore::PrepareUpdate(
    std::int64_t max_keys, absl::FunctionRef<PrepareObject(std::string_view key)> prepare,
    absl::AnyInvocable<void()> replace) {
  std::vector<KeyUpdate> known;
  for (std::string& key : keys()) {
    PrepareObject prepare_object = prepare(key);
    const std::shared_ptr<void> object = Find(key);
    if (object == nullptr) continue;
    auto commit = prepare_object(object.get());
    if (!commit.ok()) return commit.status();
    known.push_back({.key = std::move(key), .object = object, .commit = *std::move(commit)});
  }
  return [this, max_keys, replace = std::move(replace), known = std::move(known)]() mutable {
    Apply(max_keys, replace, known);
  };
}

void KeyedCore::Apply(std::int64_t max_keys, absl::AnyInvocable<void()>& replace,
                      std::vector<KeyUpdate>& known) {
  Lock lock(table_->mutex);
  replace();
  const std::uint64_t version = ++table_->version;
  max_keys_.store(max_keys, std::memory_order_relaxed);
  lock.unlock();
  for (KeyUpdate& update : known) {
    const std::shared_ptr<void> object = update.object.lock();
    if (object == nullptr) continue;
    lock.lock();
    table_->Apply(update.key, object.get(), version, update.commit);
    lock.unlock();
    update.commit = nullptr;  // destroys the replaced options, before the object
  }
}

std::shared_ptr<void> KeyedCore::Find(std::string_view key) const {
  const std::lock_guard lock(table_->mutex);
  return table_->Find(key);
}

std::vector<std::string> KeyedCore::keys() const {
  const std::lock_guard lock(table_->mutex);
  return table_->keys();
}

std::int64_t KeyedCore::size() const {
  const std::lock_guard lock(table_->mutex);
  return static_cast<std::int64_t>(table_->size());
}

}  // namespace holdfast::internal
