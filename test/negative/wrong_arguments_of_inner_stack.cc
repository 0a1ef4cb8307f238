// refused: the executor in this stack can't be called with these arguments, neither alone nor with
// a Call& after them
#include "holdfast/stack/stack.h"
#include "holdfast/timeout/timeout.h"

void Call() {
  const holdfast::Stack stack(holdfast::Timeout(std::chrono::seconds(1)));
  const auto ask = stack.Around(stack.Around([](int) { return absl::OkStatus(); }));
#ifdef WRONG_ORDER
  (void)ask.With({.key = "a"}, 1, 2);
#else
  (void)ask.With({.key = "a"}, 1);
#endif
}
