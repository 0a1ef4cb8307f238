#include "holdfast/breaker/keyed_circuit_breaker.h"

#include <absl/container/flat_hash_map.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

#include <algorithm>
#include <iterator>
#include <list>
#include <mutex>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/refusals.h"
#include "holdfast/base/internal/string_view.h"
#include "holdfast/base/internal/validate.h"

namespace holdfast {
namespace {

constexpr char kPolicy[] = "KeyedCircuitBreak";
constexpr std::int64_t kMostKeys = std::int64_t{1} << 30;
constexpr std::size_t kMostLooks = 8;

absl::Status NoRoom(const std::string& name) {
  return internal::Refusal(absl::StatusCode::kUnavailable, RejectionKind::kOther, kPolicy, name,
                           "no room for a new key");
}

// Called with nothing locked, because it may call functions of the user's.
bool ClosedByItself(CircuitBreaker& breaker, std::optional<TimePoint> now) {
  if (breaker.mode() != BreakerMode::kAutomatic) return false;
  return (now ? breaker.StateAt(*now) : breaker.state()) == BreakerState::kClosed;
}

// The given options of a key's breaker.
CircuitBreaker::Options OptionsOf(const KeyedCircuitBreaker::Options& options,
                                  std::string_view key) {
  return options.options_for == nullptr ? options.breaker : options.options_for(key);
}

// The clock of the breakers; null if none is given.
Clock* ClockOf(const KeyedCircuitBreaker::Options& options) {
  const bool own = options.options_for == nullptr && options.breaker.clock != nullptr;
  return own ? options.breaker.clock : options.clock;
}

}  // namespace

absl::Status Validate(const KeyedCircuitBreaker::Options& options) {
  internal::OptionsChecker check("KeyedCircuitBreaker", options.name);
  check(options.max_keys >= 1 && options.max_keys <= kMostKeys,
        "max_keys must be in [1, 2^30], not ", options.max_keys);
  check(options.options_for != nullptr || options.clock == nullptr ||
            options.breaker.clock == nullptr || options.clock == options.breaker.clock,
        "clock and breaker.clock must be the same clock");
  check(Validate(options.breaker));
  return check.status();
}

// The remembered keys. Every function needs the mutex.
class KeyedCircuitBreaker::Table {
 public:
  struct Entry {
    std::string key;
    std::shared_ptr<CircuitBreaker> breaker;
    std::uint64_t version = 0;  // the breaker's options are of this version or a later one
    bool kept = false;          // it is in kept_
    bool handed_out = false;    // since it was last examined
  };
  using Entries = std::list<Entry>;

  // A key that a thread examines. No other thread examines it meanwhile, so it stays in the table.
  struct Candidate {
    Entries::iterator entry;
    std::shared_ptr<CircuitBreaker> breaker;  // null: none
    bool closed = false;                      // and in kAutomatic, when it was asked
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
  std::shared_ptr<CircuitBreaker> Find(std::string_view key) const {
    const auto it = index_.find(internal::ToAbsl(key));
    return it == index_.end() ? nullptr : HandOut(it->second);
  }
  const Entry* Use(std::string_view key) {
    const auto it = index_.find(internal::ToAbsl(key));
    if (it == index_.end()) return nullptr;
    MoveTo(recent_, it->second);
    it->second->handed_out = true;
    return &*it->second;
  }

  // Commits new options of a key's breaker, if the key still has that breaker and no later ones.
  void Apply(std::string_view key, const CircuitBreaker& breaker, std::uint64_t its_version,
             internal::Commit& commit) {
    const auto it = index_.find(internal::ToAbsl(key));
    if (it == index_.end()) return;
    Entry& entry = *it->second;
    if (entry.breaker.get() != &breaker || entry.version >= its_version) return;
    std::move(commit)();
    entry.version = its_version;
  }

  // Examines the next key in turn, of the set-aside keys (kept_) or of the others, unless somebody
  // holds its breaker. Releases the mutex while it asks the breaker.
  void Look(Lock& lock, bool of_kept, std::optional<TimePoint> now, Candidate& candidate) {
    candidate = {};
    Entries& list = (of_kept && !kept_.empty()) || recent_.empty() ? kept_ : recent_;
    const Entries::iterator entry = std::prev(list.end());
    MoveTo(kept_, entry);
    if (entry->breaker.use_count() > 1) return;
    entry->handed_out = false;
    candidate = {.entry = entry, .breaker = entry->breaker};
    lock.unlock();
    candidate.closed = ClosedByItself(*candidate.breaker, now);
    lock.lock();
  }

  // Nobody has held the breaker since it was asked, so it is still closed. Two pointers, the
  // table's and the candidate's, are left, so nobody has got one from a std::weak_ptr either.
  static bool MayBeForgotten(const Candidate& candidate) {
    return candidate.closed && !candidate.entry->handed_out && candidate.breaker.use_count() == 2;
  }

  // Moves the one entry of `made` in. If that throws, nothing has changed.
  std::shared_ptr<CircuitBreaker> Add(Entries& made) {
    index_.emplace(internal::ToAbsl(made.front().key), made.begin());
    recent_.splice(recent_.begin(), made);
    return HandOut(recent_.begin());
  }
  // The candidate must be one that MayBeForgotten. The breaker is destroyed with the candidate.
  void Forget(const Candidate& candidate) {
    index_.erase(internal::ToAbsl(candidate.entry->key));
    kept_.erase(candidate.entry);
  }

  std::mutex mutex;
  std::uint64_t version = 0;  // of the options

 private:
  void MoveTo(Entries& list, Entries::iterator entry) {
    list.splice(list.begin(), entry->kept ? kept_ : recent_, entry);
    entry->kept = &list == &kept_;
  }
  static std::shared_ptr<CircuitBreaker> HandOut(Entries::iterator entry) {
    entry->handed_out = true;
    return entry->breaker;
  }

  // recent_: the keys used since they were last examined, the most recently used first. kept_: the
  // keys set aside, the last examined first; each was used less recently than any of recent_.
  Entries recent_;
  Entries kept_;
  absl::flat_hash_map<absl::string_view, Entries::iterator> index_;  // by the entry's own key
};

KeyedCircuitBreaker::KeyedCircuitBreaker(Options options)
    : name_(options.name),
      options_(internal::Validated(std::move(options))),
      max_keys_(options_.Read()->max_keys),
      when_full_(options_.Read()->when_full),
      clock_(ClockOf(*options_.Read())),
      no_room_(NoRoom(name_)),
      table_(std::make_unique<Table>()) {}

KeyedCircuitBreaker::~KeyedCircuitBreaker() = default;

// One step at a time. A step that runs user code releases the mutex meanwhile, and the next step
// begins with a fresh look at the table, because other threads or that code may have changed it.
std::shared_ptr<CircuitBreaker> KeyedCircuitBreaker::GetOrMake(std::string_view key,
                                                               std::optional<TimePoint> now) {
  if (key.size() > kMaxKeyBytes) return nullptr;
  // Destroyed with nothing locked, because they may hold functions of the user's.
  Table::Entries made;
  Table::Candidate candidate;
  Lock lock(table_->mutex);
  const auto most_keys = [this] { return static_cast<std::size_t>(max_keys()); };
  const std::size_t most_looks = std::min(kMostLooks, std::max(table_->size(), most_keys()));
  std::size_t looks = 0;
  while (true) {
    if (auto known = UseKnown(key, lock)) return known;
    const bool full = table_->size() >= most_keys();
    if (full && !Table::MayBeForgotten(candidate)) {
      if (looks == most_looks) return nullptr;
      table_->Look(lock, /*of_kept=*/looks++ == 0, now, candidate);
    } else if (made.empty() || made.front().version != table_->version) {
      const std::uint64_t version = table_->version;
      lock.unlock();
      made.clear();
      made.push_back({.key = std::string(key), .breaker = Make(key), .version = version});
      lock.lock();
    } else {
      auto breaker = table_->Add(made);
      if (full) table_->Forget(candidate);
      ForgetMore(lock, most_looks - looks, now);
      return breaker;
    }
  }
}

// Null for an unknown key.
std::shared_ptr<CircuitBreaker> KeyedCircuitBreaker::UseKnown(std::string_view key, Lock& lock) {
  while (const Table::Entry* const known = table_->Use(key)) {
    auto breaker = known->breaker;
    const std::uint64_t version = table_->version;
    if (known->version == version) return breaker;
    lock.unlock();
    UpdateKey(key, *breaker, version);
    lock.lock();
  }
  return nullptr;
}

// After max_keys was lowered: forgets keys beyond it.
void KeyedCircuitBreaker::ForgetMore(Lock& lock, std::size_t looks, std::optional<TimePoint> now) {
  for (; looks > 0 && table_->size() > static_cast<std::size_t>(max_keys()); --looks) {
    Table::Candidate candidate;
    table_->Look(lock, /*of_kept=*/false, now, candidate);
    if (!Table::MayBeForgotten(candidate)) continue;
    table_->Forget(candidate);
    lock.unlock();
    candidate = {};
    lock.lock();
  }
}

std::shared_ptr<CircuitBreaker> KeyedCircuitBreaker::Make(std::string_view key) const {
  CircuitBreaker::Options options = OptionsOf(*options_.Read(), key);
  if (options.name.empty()) {
    options.name =
        name_.empty() ? std::string(key) : absl::StrCat(name_, "/", internal::ToAbsl(key));
  }
  if (options.clock == nullptr) options.clock = clock_.given();
  return std::make_shared<CircuitBreaker>(std::move(options));
}

struct KeyedCircuitBreaker::KeyUpdate {
  std::string key;
  std::weak_ptr<CircuitBreaker> breaker;  // weak: the key may be forgotten meanwhile
  internal::Commit commit;
};

absl::StatusOr<internal::Commit> KeyedCircuitBreaker::PrepareUpdate(Options options) {
  if (absl::Status status = KeepNameAndClock(options); !status.ok()) return status;
  if (absl::Status status = Validate(options); !status.ok()) return status;
  std::vector<KeyUpdate> known;
  for (std::string& key : keys()) {
    CircuitBreaker::Options its_options = OptionsOf(options, key);
    const std::shared_ptr<CircuitBreaker> breaker = Find(key);
    if (breaker == nullptr) continue;
    auto commit = breaker->PrepareUpdate(std::move(its_options));
    if (!commit.ok()) return commit.status();
    known.push_back({.key = std::move(key), .breaker = breaker, .commit = *std::move(commit)});
  }
  auto next = internal::Versions<Options>::Make(std::move(options));
  // The options that it replaces are destroyed with the commit, and so with nothing locked.
  internal::Versions<Options>::Pin before;
  return [this, next = std::move(next), before = std::move(before),
          known = std::move(known)]() mutable { Apply(std::move(next), before, known); };
}

absl::Status KeyedCircuitBreaker::KeepNameAndClock(Options& next) const {
  const auto now = options_.Read();
  constexpr std::string_view kThis = "KeyedCircuitBreaker";
  Clock* const clock = clock_.given();
  if (absl::Status status = internal::CheckSame(kThis, name_, next.name, clock, next.clock);
      !status.ok()) {
    return status;
  }
  if (next.breaker.clock == nullptr) next.breaker.clock = now->breaker.clock;
  if (absl::Status status = internal::CheckSame(kThis, now->breaker.name, next.breaker.name, clock,
                                                next.options_for ? nullptr : next.breaker.clock);
      !status.ok()) {
    return status;
  }
  next.name = name_;
  next.clock = now->clock;
  next.breaker.name = now->breaker.name;
  return absl::OkStatus();
}

// Once the version is raised, whoever uses a key with older options updates it first (UseKnown). So
// the order does not matter, nor whether the key existed when the update was prepared.
void KeyedCircuitBreaker::Apply(internal::Versions<Options>::Next next,
                                internal::Versions<Options>::Pin& before,
                                std::vector<KeyUpdate>& known) {
  Lock lock(table_->mutex);
  before = options_.Read();
  options_.Replace(std::move(next));
  const std::uint64_t version = ++table_->version;
  max_keys_.store(options_.Read()->max_keys, std::memory_order_relaxed);
  when_full_.store(options_.Read()->when_full, std::memory_order_relaxed);
  lock.unlock();
  for (KeyUpdate& update : known) {
    const std::shared_ptr<CircuitBreaker> breaker = update.breaker.lock();
    if (breaker == nullptr) continue;
    lock.lock();
    table_->Apply(update.key, *breaker, version, update.commit);
    lock.unlock();
    update.commit = nullptr;  // destroys the replaced options, before the breaker
  }
}

// Gives the key's breaker the options of that version or a later one.
void KeyedCircuitBreaker::UpdateKey(std::string_view key, CircuitBreaker& breaker,
                                    std::uint64_t version) {
  auto commit = breaker.PrepareUpdate(OptionsOf(*options_.Read(), key));
  internal::ThrowIfInvalid(commit.status());
  const std::lock_guard lock(table_->mutex);
  table_->Apply(key, breaker, version, *commit);
}

void KeyedCircuitBreaker::BindClock(internal::ClockBinder& binder, std::string_view policy) {
  binder.Bind(policy, name(), clock_);
  for (const std::string& key : keys()) {
    if (const auto breaker = Find(key)) breaker->BindClock(binder, policy);
  }
}

std::shared_ptr<CircuitBreaker> KeyedCircuitBreaker::Find(std::string_view key) const {
  const std::lock_guard lock(table_->mutex);
  return table_->Find(key);
}

std::vector<std::string> KeyedCircuitBreaker::keys() const {
  const std::lock_guard lock(table_->mutex);
  return table_->keys();
}

std::int64_t KeyedCircuitBreaker::size() const {
  const std::lock_guard lock(table_->mutex);
  return static_cast<std::int64_t>(table_->size());
}

}  // namespace holdfast
