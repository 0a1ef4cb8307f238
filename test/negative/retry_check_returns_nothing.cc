// refused: Retry: the check must take (const Call&, const R&), where R is what the call returns,
// and return a RetryDecision or a bool
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"

absl::Status Call() {
#ifdef WRONG_ORDER
  const auto check = [](const holdfast::Call&, const absl::Status&) {};
#else
  const auto check = [](const holdfast::Call&, const absl::Status&) {
    return holdfast::RetryDecision::Stop();
  };
#endif
  return holdfast::Stack(holdfast::Retry({}, check)).Around([] { return absl::OkStatus(); })();
}
