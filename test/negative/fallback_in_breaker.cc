// refused: Fallback inside of CircuitBreak: the breaker would count its answers as successes and
// never open; put Fallback outside of CircuitBreak
#include "holdfast/circuit_break.h"
#include "holdfast/fallback.h"
#include "holdfast/stack.h"
#include "holdfast/timeout.h"

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
