// refused: Retry: the preparation must take (const Call&, const R&), where R is what the call
// returns, and return an absl::Status
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"

absl::Status Call() {
#ifdef WRONG_ORDER
  const auto prepare = [](const holdfast::Call&, const absl::Status&) {};
#else
  const auto prepare = [](const holdfast::Call&, const absl::Status&) { return absl::OkStatus(); };
#endif
  return holdfast::Stack(holdfast::Retry({}, holdfast::RetryTransient(), prepare)).Around([] {
    return absl::OkStatus();
  })();
}
