// A KeyedCircuitBreaker is a CircuitBreaker for each key: a host, a tenant, a shard.
//
//   holdfast::KeyedCircuitBreaker breakers({.breaker = {.timeout = 30s}, .name = "orders"});
//   absl::StatusOr<Order> order = breakers.Execute(host, [&] { return client.GetOrder(id); });
//
// Most callers want KeyedCircuitBreak (keyed_circuit_break.h) in a stack.
#ifndef HOLDFAST_BREAKER_KEYED_CIRCUIT_BREAKER_H_
#define HOLDFAST_BREAKER_KEYED_CIRCUIT_BREAKER_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/versions.h"
#include "holdfast/base/result.h"
#include "holdfast/base/time.h"
#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/call/policy_info.h"

namespace holdfast {

namespace internal {
class KeyedCircuitBreakAdmission;
}  // namespace internal

// Thread-safe. Each key has a breaker that begins closed and is like any other. At most `max_keys`
// are remembered.
//
// A key is forgotten only to make room for another, and only while its breaker is closed by itself
// (not by hand) and nobody holds it; a call in flight does. So who cycles through keys makes it
// forget at most what closed breakers have counted, never that one is open or half-open, or what
// was set by hand. A key in trouble keeps its place even if it is never used again, unless somebody
// calls its breaker's Reset().
//
// A new key that needs room looks at up to eight others, and takes the place of the first that may
// be forgotten. One that may not is kept, and is no more looked at as one of the rest until it is
// used again. The order is: one kept key, each in turn; then the rest, the least recently used
// first; and where there are no more of those, further kept ones. So the least recently used goes,
// and of n kept keys each is looked at again by one of the next n new keys. There may be room and a
// new key doesn't find it only where eight in that order may not be forgotten, or are being looked
// at by other threads.
//
// One mutex, held while a key is looked up. User code never runs under it: not `options_for`, not
// what is told and asked when looking at a breaker brings a change that was due (on_state_change,
// open_time), nor the destructor of a callback. All of it may call back into this object.
class KeyedCircuitBreaker {
 public:
  // The options of a key's breaker. Asked about a key that isn't remembered, once there is room for
  // it, and about the others where the options change: outside of every lock, in several threads at
  // once, maybe about the same key, which gets one breaker all the same. What it throws, and
  // std::invalid_argument for options that CircuitBreaker would refuse, passes to the caller, and
  // nothing has happened.
  using OptionsFor = std::function<CircuitBreaker::Options(std::string_view key)>;

  // What becomes of calls for a key for which there is no room.
  enum class WhenFull {
    // They pass and are not counted, as if there were no breaker. No key is ever turned away; but a
    // new one is not protected while `max_keys` others have trouble.
    kAdmit,
    // They are refused, with kUnavailable. Nothing passes that no breaker watches; but where
    // `max_keys` keys have trouble or calls in flight, new ones have it too.
    kRefuse,
  };

  struct Options {
    // Of each key. The name, unless one is given, is the key, after `name` and a slash if there is
    // one; and the clock, unless one is given, is `clock`.
    CircuitBreaker::Options breaker = {};
    OptionsFor options_for = {};     // instead of `breaker`; null: that
    std::int64_t max_keys = 10'000;  // 1 to 2^30
    WhenFull when_full = WhenFull::kAdmit;
    std::string name = {};
    Clock* clock = nullptr;  // must outlive the object and every breaker of it
  };

  // For a longer key there is no room. A breaker takes some kilobytes, and up to 36 times the
  // length of its key, since each copy of its refusals names it.
  static constexpr std::size_t kMaxKeyBytes = 1024;

  // Throws std::invalid_argument with the text of Validate.
  explicit KeyedCircuitBreaker(Options options);
  KeyedCircuitBreaker(const KeyedCircuitBreaker&) = delete;
  KeyedCircuitBreaker& operator=(const KeyedCircuitBreaker&) = delete;
  ~KeyedCircuitBreaker();  // who holds a breaker may go on using it

  // Replaces the options, all of them, while calls run. `breaker`, or what options_for answers when
  // it is asked again, becomes those of all keys, known and new: see CircuitBreaker::Update for
  // what becomes of a known one's. Of more keys than `max_keys` now is none is forgotten at once:
  // each new key that finds a place looks at others, up to eight in all, and forgets those that may
  // be. Name and clock stay, those of `breaker` too: left out they are as before, and others are
  // refused. kInvalidArgument, with nothing changed, for that, for what Validate refuses, and where
  // a known key's breaker refuses what options_for answers; what that throws passes to the caller,
  // likewise. A key that comes in the meantime has the new options from its next use on, which is
  // when options_for is asked.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // Those of now: to change one, change a copy of them.
  Options options() const {
    Options options = *options_.Read();
    options.clock = clock_.given();
    return options;
  }
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options);

  // Runs f() as the key's breaker does, or, without room for the key, as `when_full` says.
  template <class F>
  auto Execute(std::string_view key, F&& f) -> std::invoke_result_t<F>;

  // The key's breaker, made if need be; null if there is no room. Hold it for as long as one of its
  // tickets is out. `now` is of the clock that the breakers are used with: one that is looked at to
  // make room is asked for its state at that time, and by Get at the time of its own clock.
  std::shared_ptr<CircuitBreaker> Get(std::string_view key) { return GetOrMake(key, std::nullopt); }
  std::shared_ptr<CircuitBreaker> GetAt(TimePoint now, std::string_view key) {
    return GetOrMake(key, now);
  }

  // The same for a key that is remembered, and null for any other. It does not count as a use.
  std::shared_ptr<CircuitBreaker> Find(std::string_view key) const;

  // Those remembered, in no certain order.
  std::vector<std::string> keys() const;
  std::int64_t size() const;

  std::int64_t max_keys() const { return max_keys_.load(std::memory_order_relaxed); }
  const std::string& name() const { return name_; }
  PolicyInfo Info(const internal::Changes& changes = {}) const;  // of a KeyedCircuitBreak with it

  // For stacks: see internal/object_clock.h.
  void BindClock(internal::ClockBinder& binder, std::string_view policy);

 private:
  friend class internal::KeyedCircuitBreakAdmission;

  class Table;

  struct KeyUpdate;
  using Lock = std::unique_lock<std::mutex>;  // of the table

  std::shared_ptr<CircuitBreaker> GetOrMake(std::string_view key, std::optional<TimePoint> now);
  std::shared_ptr<CircuitBreaker> UseKnown(std::string_view key, Lock& lock);
  void ForgetMore(Lock& lock, std::size_t looks, std::optional<TimePoint> now);
  std::shared_ptr<CircuitBreaker> Make(std::string_view key) const;

  absl::Status KeepNameAndClock(Options& next) const;
  void UpdateKey(std::string_view key, CircuitBreaker& breaker, std::uint64_t version);
  void Apply(internal::Versions<Options>::Next next, internal::Versions<Options>::Pin& before,
             std::vector<KeyUpdate>& known);

  // What a call without room is refused with; null if it passes.
  const absl::Status* no_room() const {
    const WhenFull when_full = when_full_.load(std::memory_order_relaxed);
    return when_full == WhenFull::kRefuse ? &no_room_ : nullptr;
  }

  const std::string name_;
  internal::Versions<Options> options_;  // replaced with the table's mutex held
  // Of the options. Relaxed: no other data depends on them.
  std::atomic<std::int64_t> max_keys_;
  std::atomic<WhenFull> when_full_;
  internal::ObjectClock clock_;
  const absl::Status no_room_;
  const std::unique_ptr<Table> table_;
};

absl::Status Validate(const KeyedCircuitBreaker::Options& options);

template <class F>
auto KeyedCircuitBreaker::Execute(std::string_view key, F&& f) -> std::invoke_result_t<F> {
  using R = std::invoke_result_t<F>;
  static_assert(HasResultTraits<R>, "specialise holdfast::ResultTraits for what f returns");
  if (const auto breaker = Get(key)) return breaker->Execute(std::forward<F>(f));
  if (no_room() != nullptr) return ResultTraits<R>::FromStatus(*no_room());
  return std::forward<F>(f)();
}

}  // namespace holdfast

#endif  // HOLDFAST_BREAKER_KEYED_CIRCUIT_BREAKER_H_
