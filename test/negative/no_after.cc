// refused: a policy of a Stack has no `template <class R> Next After(Call&, State&, R&)`, or its
// State can't be default-constructed: see docs/custom_policy.md
#include "holdfast/stack/stack.h"

struct Quota {
  struct State {};
  holdfast::Verdict Before(holdfast::Call&, State&) { return holdfast::Verdict::Proceed(); }
#ifndef WRONG_ORDER
  template <class R>
  holdfast::Next After(holdfast::Call&, State&, R&) {
    return holdfast::Next::Done();
  }
#endif
};
#ifdef WRONG_ORDER
static_assert(!holdfast::Policy<Quota>);
#else
static_assert(holdfast::Policy<Quota>);
#endif

absl::Status Call() {
  return holdfast::Stack(Quota()).Around([] { return absl::OkStatus(); })();
}
