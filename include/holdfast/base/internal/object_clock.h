// One clock for a stack and all of its policy objects.
#ifndef HOLDFAST_BASE_INTERNAL_OBJECT_CLOCK_H_
#define HOLDFAST_BASE_INTERNAL_OBJECT_CLOCK_H_

#include <atomic>
#include <concepts>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "holdfast/base/time.h"

namespace holdfast::internal {

// The clock of a policy object: that of its options or, where they have none, of the first stack
// that the object is part of; until then it is the steady clock.
//
// Both words change once at most, from null. `owner_` decides who sets them; what `clock_` points
// to was made before, and is published by the release store.
class ObjectClock {
 public:
  explicit ObjectClock(Clock* given) : owner_(given), clock_(NullIfSteady(given)) {}
  ObjectClock(const ObjectClock&) = delete;
  ObjectClock& operator=(const ObjectClock&) = delete;

  Clock* get() const { return clock_.load(std::memory_order_acquire); }  // null: steady
  TimePoint Now() const { return ReadClock(get()); }
  Clock* given() const { return owner_.load(std::memory_order_acquire); }  // null: none yet

  // Whether it is `clock`, or may become that.
  bool Fits(const Clock& clock) const {
    const Clock* const owner = owner_.load(std::memory_order_acquire);
    return owner == nullptr || owner == &clock;
  }
  // Makes it that, unless it is another; false then.
  bool Bind(Clock& clock) {
    Clock* owner = nullptr;
    if (!owner_.compare_exchange_strong(owner, &clock, std::memory_order_acq_rel)) {
      return owner == &clock;
    }
    clock_.store(NullIfSteady(&clock), std::memory_order_release);
    return true;
  }

 private:
  std::atomic<Clock*> owner_;  // null: nobody has said yet
  std::atomic<Clock*> clock_;  // the same, but null for the steady clock
};

// Goes from object to object, first to look and then to bind, so that a stack which is refused has
// changed nothing.
class ClockBinder {
 public:
  ClockBinder(Clock& clock, bool looks) : clock_(clock), looks_(looks) {}

  // Throws std::invalid_argument, with a sentence that names the policy and its object, where that
  // is on another clock.
  void Bind(std::string_view policy, std::string_view object, ObjectClock& clock) {
    if (looks_ ? !clock.Fits(clock_) : !clock.Bind(clock_)) Refuse(policy, object);
  }
  // The same for a stack inside of this one.
  void Check(const Clock& inner) const {
    if (&inner != &clock_) Refuse("a stack inside of it", "");
  }

 private:
  [[noreturn]] static void Refuse(std::string_view policy, std::string_view object);

  Clock& clock_;
  bool looks_;
};

template <class Executor>
void BindExecutor(const Executor& executor, ClockBinder& binder) {
  if constexpr (requires {
                  { executor.StackClock() } -> std::convertible_to<const Clock*>;
                }) {
    binder.Check(*executor.StackClock());
  }
}

// Of a stack's policies, and of the executor if that is a stack; `clock` null: steady. A policy
// with objects has BindClock(ClockBinder&) const.
template <class... P, class Executor>
void BindClocks(const std::tuple<P...>& policies, const Executor& executor, Clock* clock) {
  for (const bool looks : {true, false}) {
    ClockBinder binder(clock == nullptr ? *SteadyClock() : *clock, looks);
    const auto bind = [&binder](const auto& policy) {
      if constexpr (requires { policy.BindClock(binder); }) policy.BindClock(binder);
    };
    std::apply([&](const P&... policy) { (bind(policy), ...); }, policies);
    BindExecutor(executor, binder);
  }
}

// The clock among the arguments of AroundAsync, null if there is none.
template <class... Io>
Clock* ClockAmong(const Io&... io) {
  Clock* found = nullptr;
  [[maybe_unused]] const auto look = [&found](const auto& one) {
    if constexpr (std::is_convertible_v<decltype(one), Clock*>) found = one;
  };
  (look(io), ...);
  return found;
}

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_OBJECT_CLOCK_H_
