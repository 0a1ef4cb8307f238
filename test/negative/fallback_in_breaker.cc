// refused: a Fallback is inside of a policy that tries again or counts failures (Retry, Hedge,
// CircuitBreak, KeyedCircuitBreak, AdaptiveThrottle, AdaptiveLimit): that policy would take the
// substitute for a success of the service, so that it never tries again, never opens and never
// refuses; put the Fallback outside of it
#include "holdfast/breaker/circuit_break.h"
#include "holdfast/fallback/fallback.h"
#include "holdfast/stack/stack.h"
#include "holdfast/timeout/timeout.h"

auto Make() {
  const holdfast::Timeout timeout(std::chrono::seconds(1));
  const holdfast::Fallback fallback([](const absl::Status&) { return absl::OkStatus(); });
  const holdfast::CircuitBreak breaker(
      holdfast::CircuitBreaker::Options{},
      [](const holdfast::Call&, const absl::Status&) { return holdfast::Outcome::kSuccess; });
#ifdef WRONG_ORDER
  return holdfast::Stack(breaker, timeout, fallback);
#else
  return holdfast::Stack(fallback, timeout, breaker);
#endif
}
