#include "holdfast/keyed_circuit_breaker.h"

#include <absl/container/flat_hash_map.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

#include <algorithm>
#include <iterator>
#include <list>
#include <mutex>

#include "holdfast/internal/string_view.h"
#include "holdfast/internal/validate.h"
#include "holdfast/rejection.h"

namespace holdfast {
namespace {

constexpr char kPolicy[] = "KeyedCircuitBreak";
constexpr std::int64_t kMostKeys = std::int64_t{1} << 30;
constexpr std::int64_t kMostLooks = 8;

absl::Status NoRoom(const std::string& name) {
  return MakeRejection(
      absl::StatusCode::kUnavailable,
      {.kind = RejectionKind::kOther, .policy = kPolicy, .name = name},
      absl::StrCat(kPolicy, name.empty() ? "" : " ", name, ": no room for another key"));
}

// To be asked with nothing locked: its answer may take calls of the user's.
bool ClosedByItself(CircuitBreaker& breaker, std::optional<TimePoint> now) {
  if (breaker.mode() != BreakerMode::kAutomatic) return false;
  return (now ? breaker.StateAt(*now) : breaker.state()) == BreakerState::kClosed;
}

// That the breakers are on, as far as it is given.
Clock* ClockOf(const KeyedCircuitBreaker::Options& options) {
  const bool own = options.options_for == nullptr && options.breaker.clock != nullptr;
  return own ? options.breaker.clock : options.clock;
}

}  // namespace

absl::Status Validate(const KeyedCircuitBreaker::Options& options) {
  if (options.max_keys < 1 || options.max_keys > kMostKeys) {
    return absl::InvalidArgumentError(absl::StrCat("KeyedCircuitBreaker ", options.name,
                                                   ": max_keys must be in [1, 2^30], not ",
                                                   options.max_keys));
  }
  if (options.options_for == nullptr && options.clock != nullptr &&
      options.breaker.clock != nullptr && options.clock != options.breaker.clock) {
    return absl::InvalidArgumentError(absl::StrCat("KeyedCircuitBreaker ", options.name,
                                                   ": clock and breaker.clock are two clocks"));
  }
  return Validate(options.breaker);
}

// All with the mutex held.
class KeyedCircuitBreaker::Table {
 public:
  struct Entry {
    std::string key;
    std::shared_ptr<CircuitBreaker> breaker;
    bool kept = false;        // it is in kept_
    bool handed_out = false;  // since it was last looked at
  };
  using Entries = std::list<Entry>;

  // A key that is looked at. While it is, nobody else looks at it, and so it stays in the table.
  struct Candidate {
    Entries::iterator entry;
    std::shared_ptr<CircuitBreaker> breaker;  // null: none
    bool closed = false;                      // by itself, when it was asked
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

  // Null for a key that isn't there.
  std::shared_ptr<CircuitBreaker> Find(std::string_view key) const {
    const auto it = index_.find(internal::ToAbsl(key));
    return it == index_.end() ? nullptr : HandOut(it->second);
  }
  std::shared_ptr<CircuitBreaker> Use(std::string_view key) {
    const auto it = index_.find(internal::ToAbsl(key));
    if (it == index_.end()) return nullptr;
    MoveTo(recent_, it->second);
    return HandOut(it->second);
  }

  // The next key in turn, if nobody holds it, of the kept ones or of the others.
  Candidate Look(bool of_kept) {
    Entries& list = (of_kept && !kept_.empty()) || recent_.empty() ? kept_ : recent_;
    const Entries::iterator entry = std::prev(list.end());
    MoveTo(kept_, entry);
    if (entry->breaker.use_count() > 1) return {};
    entry->handed_out = false;
    return {.entry = entry, .breaker = entry->breaker};
  }

  // Nobody had it since before it was asked, so it is still closed. Nor has anybody got it from a
  // std::weak_ptr: there are the table's and the candidate's.
  static bool MayBeForgotten(const Candidate& candidate) {
    return candidate.closed && !candidate.entry->handed_out && candidate.breaker.use_count() == 2;
  }

  // Moves the one entry of `made` in. Where that throws, nothing has happened.
  std::shared_ptr<CircuitBreaker> Add(Entries& made) {
    index_.emplace(internal::ToAbsl(made.front().key), made.begin());
    recent_.splice(recent_.begin(), made);
    return HandOut(recent_.begin());
  }
  // One that may be. Its breaker ends with the candidate.
  void Forget(const Candidate& candidate) {
    index_.erase(internal::ToAbsl(candidate.entry->key));
    kept_.erase(candidate.entry);
  }

  std::mutex mutex;

 private:
  void MoveTo(Entries& list, Entries::iterator entry) {
    list.splice(list.begin(), entry->kept ? kept_ : recent_, entry);
    entry->kept = &list == &kept_;
  }
  static std::shared_ptr<CircuitBreaker> HandOut(Entries::iterator entry) {
    entry->handed_out = true;
    return entry->breaker;
  }

  // Those used since they were last looked at, the last used first; and the others, the last looked
  // at first. All of these are less recently used than any of those.
  Entries recent_;
  Entries kept_;
  absl::flat_hash_map<absl::string_view, Entries::iterator> index_;  // by the entry's own key
};

KeyedCircuitBreaker::KeyedCircuitBreaker(Options options)
    : options_(internal::Validated(std::move(options))),
      clock_(ClockOf(options_)),
      no_room_(NoRoom(options_.name)),
      table_(std::make_unique<Table>()) {}

KeyedCircuitBreaker::~KeyedCircuitBreaker() = default;

// One step at a time, each with the mutex let go and taken again where user code may run; what
// happened meanwhile, in other threads or in that code, is seen before the next.
std::shared_ptr<CircuitBreaker> KeyedCircuitBreaker::GetOrMake(std::string_view key,
                                                               std::optional<TimePoint> now) {
  if (key.size() > kMaxKeyBytes) return nullptr;
  // Destroyed with nothing locked: there may be functions of the user's in them.
  Table::Entries made;
  Table::Candidate candidate;
  const std::int64_t most_looks = std::min(kMostLooks, options_.max_keys);
  std::int64_t looks = 0;
  std::unique_lock lock(table_->mutex);
  while (true) {
    if (auto known = table_->Use(key)) return known;
    const bool full = table_->size() >= static_cast<std::size_t>(options_.max_keys);
    if (full && !Table::MayBeForgotten(candidate)) {
      if (looks == most_looks) return nullptr;
      candidate = table_->Look(/*of_kept=*/looks++ == 0);
      if (candidate.breaker == nullptr) continue;
      lock.unlock();
      candidate.closed = ClosedByItself(*candidate.breaker, now);
      lock.lock();
    } else if (made.empty()) {
      lock.unlock();
      made.push_back({.key = std::string(key), .breaker = Make(key)});
      lock.lock();
    } else {
      auto breaker = table_->Add(made);
      if (full) table_->Forget(candidate);
      return breaker;
    }
  }
}

std::shared_ptr<CircuitBreaker> KeyedCircuitBreaker::Make(std::string_view key) const {
  CircuitBreaker::Options options =
      options_.options_for == nullptr ? options_.breaker : options_.options_for(key);
  if (options.name.empty()) {
    options.name = options_.name.empty() ? std::string(key)
                                         : absl::StrCat(options_.name, "/", internal::ToAbsl(key));
  }
  if (options.clock == nullptr) options.clock = clock_.given();
  return std::make_shared<CircuitBreaker>(std::move(options));
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
