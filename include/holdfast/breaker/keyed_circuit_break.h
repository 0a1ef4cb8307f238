// KeyedCircuitBreak is the policy that gives each key (a host, a tenant, a shard) a CircuitBreaker
// of its own.
//
//   auto breakers = std::make_shared<holdfast::KeyedCircuitBreaker>(
//       holdfast::KeyedCircuitBreaker::Options{.breaker = {.timeout = 30s}, .name = "orders"});
//   auto fetch = holdfast::Stack(holdfast::Retry({}), holdfast::KeyedCircuitBreak(breakers))
//                    .Around(transport);
//   auto reply = fetch.With({.key = host}, request);
//
//   // Or with a key computed from the request:
//   auto by_host = holdfast::KeyedCircuitBreak(
//       breakers, {.key = holdfast::FromRequest<Request>(HostOf)});
#ifndef HOLDFAST_BREAKER_KEYED_CIRCUIT_BREAK_H_
#define HOLDFAST_BREAKER_KEYED_CIRCUIT_BREAK_H_

#include <concepts>
#include <memory>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/breaker/circuit_breaker.h"
#include "holdfast/breaker/internal/circuit_break_base.h"
#include "holdfast/breaker/keyed_circuit_breaker.h"
#include "holdfast/call/call.h"
#include "holdfast/call/collector.h"
#include "holdfast/call/key_function.h"
#include "holdfast/call/policy.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/verdict.h"

namespace holdfast {

struct KeyedCircuitBreakOptions {
  // Returns the key of a call. Default null: CallOptions::key. An empty key is a key like any
  // other. An exception that it throws passes to the caller.
  KeyFunction key = nullptr;
};

namespace internal {

struct BreakerHold {
  std::shared_ptr<CircuitBreaker> breaker;
};

// The hold is the first base, because the breaker must outlive the ticket.
class KeyedCircuitBreakAdmission : private BreakerHold, public CircuitBreakAdmission {
 public:
  Verdict AskByKey(Call& call, KeyedCircuitBreaker& breakers, std::string_view key,
                   std::string_view policy);
};

}  // namespace internal

// Does with the breaker of a call's key what CircuitBreak does with its one breaker. A call for
// whose key there is no room is treated as KeyedCircuitBreaker::WhenFull says: by default it
// proceeds and is not counted.
template <class Classify = internal::ClassifyStatus>
class KeyedCircuitBreak : public internal::CircuitBreakBase<Classify> {
 public:
  static constexpr std::string_view kName = "KeyedCircuitBreak";

  // Shares the breakers with other stacks, or makes its own from options. Throws
  // std::invalid_argument for null and for options that Validate refuses. `classify` is that of
  // CircuitBreak. The first is a template, so that KeyedCircuitBreak({}) means default options.
  template <std::same_as<KeyedCircuitBreaker> B>
  explicit KeyedCircuitBreak(std::shared_ptr<B> breakers, KeyedCircuitBreakOptions options = {},
                             Classify classify = {})
      : internal::CircuitBreakBase<Classify>(std::move(classify)),
        breakers_(
            internal::NotNull(std::move(breakers), "KeyedCircuitBreak: the KeyedCircuitBreaker")),
        options_(std::move(options)) {}
  explicit KeyedCircuitBreak(KeyedCircuitBreaker::Options breakers,
                             KeyedCircuitBreakOptions options = {}, Classify classify = {})
      : KeyedCircuitBreak(std::make_shared<KeyedCircuitBreaker>(std::move(breakers)),
                          std::move(options), std::move(classify)) {}

  using State = internal::KeyedCircuitBreakAdmission;

  Verdict Before(Call& call, State& state) const {
    const std::string_view key = options_.key(call);
    return state.AskByKey(call, *breakers_, key, kName);
  }

  PolicyInfo Info(const internal::Changes& changes = {}) const { return breakers_->Info(changes); }

  void Objects(CollectedObjects& objects) const { objects.Add(breakers_, kName); }

  void BindClock(internal::ClockBinder& binder) const { breakers_->BindClock(binder, kName); }

 private:
  std::shared_ptr<KeyedCircuitBreaker> breakers_;
  KeyedCircuitBreakOptions options_;
};

template <std::same_as<KeyedCircuitBreaker> B>
KeyedCircuitBreak(std::shared_ptr<B>) -> KeyedCircuitBreak<>;
template <std::same_as<KeyedCircuitBreaker> B>
KeyedCircuitBreak(std::shared_ptr<B>, KeyedCircuitBreakOptions) -> KeyedCircuitBreak<>;
template <std::same_as<KeyedCircuitBreaker> B, class Classify>
KeyedCircuitBreak(std::shared_ptr<B>, KeyedCircuitBreakOptions, Classify)
    -> KeyedCircuitBreak<Classify>;
KeyedCircuitBreak(KeyedCircuitBreaker::Options) -> KeyedCircuitBreak<>;
KeyedCircuitBreak(KeyedCircuitBreaker::Options, KeyedCircuitBreakOptions) -> KeyedCircuitBreak<>;
template <class Classify>
KeyedCircuitBreak(KeyedCircuitBreaker::Options, KeyedCircuitBreakOptions, Classify)
    -> KeyedCircuitBreak<Classify>;

// Stack(breakers) means Stack(KeyedCircuitBreak(breakers)).
template <>
struct PolicyOf<KeyedCircuitBreaker> {
  using type = KeyedCircuitBreak<>;
};

}  // namespace holdfast

#endif  // HOLDFAST_BREAKER_KEYED_CIRCUIT_BREAK_H_
