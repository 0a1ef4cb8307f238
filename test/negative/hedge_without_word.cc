// refused: Hedge may run this call twice at once, and nothing says that it may: give it your word,
// Hedge(options, HedgeAll()) or a function of the call, or specialize RequestTraits for the call's
// first argument (holdfast/call/repeatability.h)
#include "holdfast/hedge/hedge.h"
#include "holdfast/stack/stack.h"

struct Silent {};
struct Telling {};

template <>
struct holdfast::RequestTraits<Telling> {
  static holdfast::Repeatability RepeatabilityOf(const Telling&) { return {.idempotent = true}; }
};

absl::Status Call() {
  const auto ask = [](const auto&) { return absl::OkStatus(); };
  // To either of these nothing is missing.
  (void)holdfast::Stack(holdfast::Hedge({})).Around(ask)(Telling());
  (void)holdfast::Stack(holdfast::Hedge({}, holdfast::HedgeAll())).Around(ask)(Silent());
#ifdef WRONG_ORDER
  return holdfast::Stack(holdfast::Hedge({})).Around(ask)(Silent());
#else
  return absl::OkStatus();
#endif
}
