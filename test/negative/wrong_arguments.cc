// refused: the executor in this stack can't be called with these arguments, neither alone nor with
// a Call& after them
#include "holdfast/stack/stack.h"
#include "holdfast/timeout/timeout.h"

void Call() {
  const auto ask = holdfast::Stack(holdfast::Timeout(std::chrono::seconds(1))).Around([](int) {
    return absl::OkStatus();
  });
#ifdef WRONG_ORDER
  (void)ask("one");
#else
  (void)ask(1);
#endif
}
