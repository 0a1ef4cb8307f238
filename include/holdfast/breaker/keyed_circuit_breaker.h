// A KeyedCircuitBreaker holds a CircuitBreaker for each key: a host, a tenant, a shard.
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
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/keyed.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/striped_counters.h"
#include "holdfast/base/internal/versions.h"
#include "holdfast/base/result.h"
#include "holdfast/base/time.h"
#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/call/collector.h"
#include "holdfast/call/observer.h"
#include "holdfast/call/policy_info.h"

namespace holdfast {

namespace internal {
class KeyedCircuitBreakAdmission;
class LiveBreakers;
}  // namespace internal

// A breaker begins closed and is a CircuitBreaker like any other. At most `max_keys` keys are
// remembered.
//
// Which key is forgotten. A key is forgotten only to make room for a new one, and only if its
// breaker is closed and in kAutomatic, and nobody holds the breaker (a call in flight holds it). A
// caller that cycles through many keys can therefore make the object forget the counts of closed
// breakers, but never that a breaker is open or half-open, nor a mode set by hand. The key of an
// open breaker keeps its place, even if it is never used again, until its breaker has closed or
// somebody calls Reset() on it.
//
// A new key that needs room examines up to eight remembered keys and takes the place of the first
// that may be forgotten. A key that may not be forgotten is set aside, and is examined as one of
// the set-aside keys only, until its next use. The order: one set-aside key, in turn; then the
// others, the least recently used first; then further set-aside keys. So the least recently used
// key is forgotten, and each of n set-aside keys is examined by one of the next n new keys. A new
// key can fail to find room only if none of the eight keys examined may be forgotten, or other
// threads are examining them.
//
// Thread-safe. One mutex is held while a key is looked up. User code never runs under it: not
// `options_for`, not the callbacks of a breaker that is examined (on_state_change, open_time), not
// the destructor of a callback. Any of them may call back into this object.
class KeyedCircuitBreaker {
 public:
  // Returns the options of a key's breaker. Called for a new key once there is room for it, and for
  // known keys when the options change; outside of every lock, in several threads at once, perhaps
  // for the same key, which gets one breaker nevertheless. An exception that it throws passes to
  // the caller, as does std::invalid_argument for options that CircuitBreaker refuses; nothing has
  // changed then.
  using OptionsFor = std::function<CircuitBreaker::Options(std::string_view key)>;

  // What happens to a call for a key for which there is no room.
  enum class WhenFull {
    // The call proceeds and is not counted, as if there were no breaker. No key is ever rejected,
    // but new keys have no breaker while `max_keys` others are open, half-open or in use.
    kAdmit,
    // The call is rejected with kUnavailable. No call proceeds without a breaker, but while
    // `max_keys` keys are open, half-open or in use, calls for new keys fail.
    kRefuse,
  };

  struct Options {
    // The options of each key's breaker. Without a name in them, a breaker's name is "<name>/<key>"
    // or, if `name` is empty, the key; without a clock, its clock is `clock`.
    CircuitBreaker::Options breaker = {};
    // Replaces `breaker` by a function of the key. Default null: `breaker`.
    OptionsFor options_for = {};
    // How many keys are remembered: 1 to 2^30; default 10,000.
    std::int64_t max_keys = 10'000;
    WhenFull when_full = WhenFull::kAdmit;
    // Appears in rejections and Describe(). Default: none.
    std::string name = {};
    // Must outlive the object and every breaker in it. Default null: the clock of the stack that
    // the object is in, or the steady clock.
    Clock* clock = nullptr;
  };

  // There is no room for a longer key. A breaker takes some kilobytes and up to 36 times the length
  // of its key, because each copy of its rejections contains the name.
  static constexpr std::size_t kMaxKeyBytes = 1024;

  // Throws std::invalid_argument with the text of Validate.
  explicit KeyedCircuitBreaker(Options options);
  KeyedCircuitBreaker(const KeyedCircuitBreaker&) = delete;
  KeyedCircuitBreaker& operator=(const KeyedCircuitBreaker&) = delete;
  ~KeyedCircuitBreaker();  // a breaker that somebody still holds stays usable

  // Replaces all options while calls run. `breaker`, or the result of options_for, which is called
  // again for every key, becomes the options of all keys, known and new: CircuitBreaker::Update
  // says what happens to a known key's breaker. A key that is added during the update gets the new
  // options at its next use. If more keys are remembered than the new `max_keys`, none is forgotten
  // at once: each new key that finds a place examines up to eight others in all and forgets those
  // that may be forgotten.
  //
  // Names and clocks cannot change, those of `breaker` included: leave them out, or pass the
  // present ones. kInvalidArgument, with nothing changed, for another name or clock, for options
  // that Validate refuses, and if a known key's breaker refuses the result of options_for. An
  // exception of options_for passes to the caller, with nothing changed.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // The present options. To change one option, change a copy of these.
  Options options() const {
    Options options = *options_.Read();
    options.clock = clock_.given();
    return options;
  }
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options);

  // Runs f() as CircuitBreaker::Execute of the key's breaker does; without room for the key, as
  // `when_full` says.
  template <class F>
  auto Execute(std::string_view key, F&& f) -> std::invoke_result_t<F>;

  // The key's breaker, made if the key is new; null if there is no room. Hold the pointer as long
  // as any of the breaker's tickets exists. `now` is a time of the clock that the breakers are used
  // with: to make room, GetAt asks other breakers for their state at that time, and Get at the time
  // of their own clock.
  std::shared_ptr<CircuitBreaker> Get(std::string_view key) { return GetOrMake(key, std::nullopt); }
  std::shared_ptr<CircuitBreaker> GetAt(TimePoint now, std::string_view key) {
    return GetOrMake(key, now);
  }

  // The breaker of a remembered key; null for any other key. Does not count as a use of the key.
  std::shared_ptr<CircuitBreaker> Find(std::string_view key) const { return breakers_.Find(key); }

  // The remembered keys, in no particular order, and their number.
  std::vector<std::string> keys() const { return breakers_.keys(); }
  std::int64_t size() const { return breakers_.size(); }

  std::int64_t max_keys() const { return breakers_.max_keys(); }
  const std::string& name() const { return name_; }
  // Describes a KeyedCircuitBreak with this object, as it is after `changes`.
  PolicyInfo Info(const internal::Changes& changes = {}) const;

  // Tells holdfast.breaker.calls, slow_calls, refusals and transitions as sums over all keys, those
  // that were forgotten included, and holdfast.keys*: see docs/circuit_breakers.md. The number of
  // series does not depend on the number of keys. A call for a known key waits only while its own
  // breaker is looked at.
  void Collect(Collector& collector) const;

  // CircuitBreaker::Observe for the breakers of all keys, known and new.
  void Observe(std::shared_ptr<Observer> observer) const;

  // For stacks: see internal/object_clock.h.
  void BindClock(internal::ClockBinder& binder, std::string_view policy);

 private:
  friend class internal::KeyedCircuitBreakAdmission;

  std::shared_ptr<CircuitBreaker> GetOrMake(std::string_view key, std::optional<TimePoint> now) {
    auto breaker = key.size() > kMaxKeyBytes ? nullptr : breakers_.Get(key, now);
    if (breaker == nullptr) turned_away_.Add(0);
    return breaker;
  }
  std::shared_ptr<CircuitBreaker> Make(std::string_view key) const;

  absl::Status KeepNameAndClock(Options& next) const;

  // The rejection of a call for whose key there is no room; null if the call proceeds.
  const absl::Status* no_room() const {
    const WhenFull when_full = when_full_.load(std::memory_order_relaxed);
    return when_full == WhenFull::kRefuse ? &no_room_ : nullptr;
  }

  const std::string name_;
  internal::Versions<Options> options_;  // replaced by an update of breakers_
  std::atomic<WhenFull> when_full_;      // a copy; relaxed: no other data depends on it
  internal::ObjectClock clock_;
  const absl::Status no_room_;
  internal::StripedCounters turned_away_{1};  // calls for whose key there was no room
  const std::shared_ptr<internal::LiveBreakers> live_;
  internal::Keyed<CircuitBreaker> breakers_;
};

// OK, or kInvalidArgument with a text that names the option that is out of its range.
absl::Status Validate(const KeyedCircuitBreaker::Options& options);

template <class F>
auto KeyedCircuitBreaker::Execute(std::string_view key, F&& f) -> std::invoke_result_t<F> {
  using R = std::invoke_result_t<F>;
  static_assert(HasResultTraits<R>, "specialize holdfast::ResultTraits for what f returns");
  if (const auto breaker = Get(key)) return breaker->Execute(std::forward<F>(f));
  if (no_room() != nullptr) return ResultTraits<R>::FromStatus(*no_room());
  return std::forward<F>(f)();
}

}  // namespace holdfast

#endif  // HOLDFAST_BREAKER_KEYED_CIRCUIT_BREAKER_H_
