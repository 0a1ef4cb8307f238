// refused: a Fallback is inside of a policy that tries again or counts failures (Retry, Hedge,
// CircuitBreak, KeyedCircuitBreak, AdaptiveThrottle, AdaptiveLimit): that policy would take the
// substitute for a success of the service, so that it never tries again, never opens and never
// refuses; put the Fallback outside of it
#include "holdfast/fallback/fallback.h"
#include "holdfast/hedge/hedge.h"
#include "holdfast/stack/stack.h"

auto Make() {
  const holdfast::Fallback fallback([](const absl::Status&) { return absl::OkStatus(); });
#ifdef WRONG_ORDER
  return holdfast::Stack(holdfast::Hedge({}), fallback);
#else
  return holdfast::Stack(fallback, holdfast::Hedge({}));
#endif
}
