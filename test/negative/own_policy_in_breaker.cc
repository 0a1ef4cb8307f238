// refused: a Fallback is inside of a policy that tries again or counts failures (Retry, Hedge,
// CircuitBreak, KeyedCircuitBreak, AdaptiveThrottle, AdaptiveLimit): that policy would take the
// substitute for a success of the service, so that it never tries again, never opens and never
// refuses; put the Fallback outside of it
#include "holdfast/breaker/circuit_break.h"
#include "holdfast/stack/stack.h"

// A user's own policy takes part in the rules.
struct LastKnownPrice {
  static constexpr bool kReplacesFailures = true;
  struct State {};
  holdfast::Verdict Before(holdfast::Call&, State&) { return holdfast::Verdict::Proceed(); }
  template <class R>
  holdfast::Next After(holdfast::Call&, State&, R&) {
    return holdfast::Next::Done();
  }
};

auto Make() {
  const holdfast::CircuitBreak breaker(holdfast::CircuitBreaker::Options{});
#ifdef WRONG_ORDER
  return holdfast::Stack(breaker, LastKnownPrice());
#else
  return holdfast::Stack(LastKnownPrice(), breaker);
#endif
}
