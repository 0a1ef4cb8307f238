// A bounded table of shared objects, each made at the first use of its key. KeyedTokenBucket has a
// table of its own, because it guarantees 50 bytes a key, and here a key takes more than that
// besides its text and its object.
#ifndef HOLDFAST_BASE_INTERNAL_KEYED_H_
#define HOLDFAST_BASE_INTERNAL_KEYED_H_

#include <absl/functional/any_invocable.h>
#include <absl/functional/function_ref.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/time.h"

namespace holdfast::internal {

// What Keyed<T> does, for objects of any type. See there.
class KeyedCore {
 public:
  struct Functions {
    std::function<std::shared_ptr<void>(std::string_view key)> make;
    std::function<bool(void* object, std::optional<TimePoint> now)> idle;
    std::function<absl::StatusOr<Commit>(void* object, std::string_view key)> update;
  };
  using PrepareObject = absl::AnyInvocable<absl::StatusOr<Commit>(void* object)>;

  KeyedCore(std::int64_t max_keys, Functions functions);
  KeyedCore(const KeyedCore&) = delete;
  KeyedCore& operator=(const KeyedCore&) = delete;
  ~KeyedCore();

  std::shared_ptr<void> Get(std::string_view key, std::optional<TimePoint> now);
  std::shared_ptr<void> Find(std::string_view key) const;
  std::vector<std::string> keys() const;
  std::int64_t size() const;
  std::int64_t max_keys() const { return max_keys_.load(std::memory_order_relaxed); }
  absl::StatusOr<Commit> PrepareUpdate(
      std::int64_t max_keys, absl::FunctionRef<PrepareObject(std::string_view key)> prepare,
      absl::AnyInvocable<void()> replace);

 private:
  class Table;
  struct KeyUpdate;
  using Lock = std::unique_lock<std::mutex>;  // of the table

  std::shared_ptr<void> UseKnown(std::string_view key, Lock& lock);
  std::shared_ptr<void> GetNew(std::string_view key, Lock held, std::optional<TimePoint> now);
  void UpdateKey(std::string_view key, void* object, std::uint64_t version);
  void ForgetMore(Lock& lock, std::size_t looks, std::optional<TimePoint> now);
  void Apply(std::int64_t max_keys, absl::AnyInvocable<void()>& replace,
             std::vector<KeyUpdate>& known);

  const Functions functions_;
  std::atomic<std::int64_t> max_keys_;  // relaxed: no other data depends on it
  const std::unique_ptr<Table> table_;
};

// At most `max_keys` keys are remembered, each with an object. A key is forgotten only to make room
// for a new one, and only while its object is idle and nobody holds it. A new key that needs room
// examines up to eight keys and takes the place of the first that may be forgotten: one key that
// was set aside, in turn, then the others, the least recently used first, then further set-aside
// ones. A key that may not be forgotten is set aside until its next use. If none of the eight may
// be, there is no room.
//
// Thread-safe. One mutex is held while a key is looked up, and never while one of the functions
// runs, or the destructor of an object or of options.
template <class T>
class Keyed {
 public:
  // Called with nothing locked, in several threads at once, perhaps for the same key; they may call
  // back into the table. An exception that one of them throws passes to the caller of Get.
  struct Functions {
    // Makes the object of a new key, never null, with the options that are present when it is
    // called. Of several made for one key at once, the table keeps one.
    std::function<std::shared_ptr<T>(std::string_view key)> make;
    // Whether the object may be forgotten. `now`: what Get was given.
    std::function<bool(T& object, std::optional<TimePoint> now)> idle;
    // Prepares an update of the object to the present options. If they are refused, Get throws
    // std::invalid_argument with the text.
    std::function<absl::StatusOr<Commit>(T& object, std::string_view key)> update;
  };

  // `max_keys` must be positive, here and below.
  Keyed(std::int64_t max_keys, Functions functions)
      : core_(max_keys,
              {.make = std::move(functions.make),
               .idle =
                   [idle = std::move(functions.idle)](void* object, std::optional<TimePoint> now) {
                     return idle(*static_cast<T*>(object), now);
                   },
               .update =
                   [update = std::move(functions.update)](void* object, std::string_view key) {
                     return update(*static_cast<T*>(object), key);
                   }}) {}

  // The key's object, made if the key is new, and with the present options; null if there is no
  // room for the key.
  std::shared_ptr<T> Get(std::string_view key, std::optional<TimePoint> now) {
    return std::static_pointer_cast<T>(core_.Get(key, now));
  }
  // The object of a remembered key; null for any other key. Does not count as a use of the key.
  std::shared_ptr<T> Find(std::string_view key) const {
    return std::static_pointer_cast<T>(core_.Find(key));
  }

  // The remembered keys, in no particular order, and their number.
  std::vector<std::string> keys() const { return core_.keys(); }
  std::int64_t size() const { return core_.size(); }
  std::int64_t max_keys() const { return core_.max_keys(); }

  // Calls `prepare(key)` for each remembered key, without holding its object, and then, if the key
  // is still remembered, calls the function of T& that `prepare` returned, which prepares the
  // object's update. The first error or exception passes to the caller, with nothing changed.
  //
  // The result, which must not outlive the table, calls `replace`, which replaces the present
  // options; then it runs the objects' commits. These and `replace` run with the mutex held, and
  // destroy what they replace when they are destroyed themselves. A key that comes meanwhile is
  // updated at its next use. If more keys are remembered than the new `max_keys`, each new key that
  // finds a place examines up to eight others in all and forgets those that may be forgotten.
  template <class Prepare>
  absl::StatusOr<Commit> PrepareUpdate(std::int64_t max_keys, const Prepare& prepare,
                                       absl::AnyInvocable<void()> replace) {
    const auto any = [&prepare](std::string_view key) -> KeyedCore::PrepareObject {
      return [of_key = prepare(key)](void* object) mutable {
        return of_key(*static_cast<T*>(object));
      };
    };
    return core_.PrepareUpdate(max_keys, any, std::move(replace));
  }

 private:
  KeyedCore core_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_KEYED_H_
