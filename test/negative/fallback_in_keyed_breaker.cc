// refused: Fallback inside of KeyedCircuitBreak: the breakers would count its answers as successes
// and never open; put Fallback outside of KeyedCircuitBreak
#include "holdfast/fallback.h"
#include "holdfast/keyed_circuit_break.h"
#include "holdfast/stack.h"

auto Make() {
  const holdfast::Fallback fallback([](const absl::Status&) { return absl::OkStatus(); });
  const holdfast::KeyedCircuitBreak breaker(holdfast::KeyedCircuitBreaker::Options{});
#ifdef WRONG_ORDER
  return holdfast::Stack(breaker, fallback);
#else
  return holdfast::Stack(fallback, breaker);
#endif
}
