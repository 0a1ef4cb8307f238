// refused: ignoring return value of
#include "holdfast/breaker/circuit_breaker.h"

#pragma GCC diagnostic error "-Wunused-result"

void Call(holdfast::CircuitBreaker& breaker, holdfast::TimePoint now) {
#ifdef WRONG_ORDER
  breaker.AdmitAt(now);
#else
  auto ticket = breaker.AdmitAt(now);
  if (ticket.ok()) ticket->DoneAt(now, holdfast::Outcome::kSuccess);
#endif
}
